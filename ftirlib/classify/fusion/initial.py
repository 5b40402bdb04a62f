"""Seeded first weights for the backbones, and norms calibrated so that random features carry the image.

He et al. 2015 (arXiv:1502.01852) for the weights; random convolutional features as in Saxe et al. 2011 ("On random
weights and unsupervised feature learning", ICML).
"""

from __future__ import annotations

import torch
from torch import nn


def initialise(module: nn.Module, random_state: int) -> None:
    """Fill the weights of convolutions, norms and linear layers, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
            elif isinstance(part, nn.BatchNorm2d):
                nn.init.ones_(part.weight)
                nn.init.zeros_(part.bias)
            elif isinstance(part, nn.Linear):
                bound = part.out_features**-0.5
                nn.init.uniform_(part.weight, -bound, bound)
                nn.init.zeros_(part.bias)


def calibrate_norms(module: nn.Module, images: torch.Tensor) -> None:
    """Set the running mean and variance of every norm to those of these images, (n, 3, height, width), n above 1.

    Untrained norms pass their input on as it is. Through a hundred random layers the features then grow or vanish by
    orders of magnitude; depthwise layers vanish below what float32 holds.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    was_training = module.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over what is seen
    with torch.no_grad():
        module.train()
        module(images)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    module.train(was_training)
