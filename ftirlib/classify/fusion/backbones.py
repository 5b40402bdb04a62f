"""ResNet-101 and EfficientNet-B0, layer by layer, without their libraries, and seeded first weights for them.

He et al. 2016 (10.1109/CVPR.2016.90), with the stride of a block in its 3 x 3 convolution as in torchvision: 44 549 160
parameters, 42 500 160 before the classifier. Tan & Le 2019 (arXiv:1905.11946), Table 1, with blocks of Sandler et al.
2018 (arXiv:1801.04381) and squeeze and excitation of Hu et al. 2018 (arXiv:1709.01507): 5 288 548 parameters, 4 007 548
before the classifier. torchvision's parameter names are kept so that published weights fit. He et al. 2015
(arXiv:1502.01852) for the first weights; random convolutional features as in Saxe et al. 2011 ("On random weights and
unsupervised feature learning", ICML).
"""

from __future__ import annotations

import torch
from torch import nn

BLOCKS = (3, 4, 23, 3)  # of ResNet-101
EXPANSION = 4  # a block's output channels over its inner ones
N_IMAGENET = 1000  # classes


# of B0: expansion, kernel, stride, channels, blocks
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
STEM, HEAD = 32, 1280  # channels
DROPOUT = 0.2


class Bottleneck(nn.Module):
    """1 x 1 down, 3 x 3, 1 x 1 up, each with its norm, added to the input."""

    def __init__(self, before: int, width: int, stride: int):
        super().__init__()
        after = EXPANSION * width
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, after, 1, bias=False), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet101(nn.Module):
    """ResNet-101 for images of three channels.

    Parameters
    ----------
    classifier : bool
        Keep the layer to the 1000 classes of ImageNet; without it the network ends in its 2048 pooled features.
    random_state : int
        Seed of the initial weights.

    Examples
    --------
    >>> import torch
    >>> model = ResNet101(classifier=False).eval()
    >>> model(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 2048])
    """

    n_features = 64 * 2 ** (len(BLOCKS) - 1) * EXPANSION

    def __init__(self, *, classifier: bool = True, random_state: int = 0):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, padding=1)
        before = 64
        for stage, n_blocks in enumerate(BLOCKS):
            width, blocks = 64 * 2**stage, []
            for i in range(n_blocks):
                blocks.append(Bottleneck(before, width, stride=2 if stage and not i else 1))
                before = EXPANSION * width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, N_IMAGENET) if classifier else nn.Identity()
        initialise(self, random_state)

    def forward(self, images):
        """Logits (n, 1000), or features (n, 2048), of images (n, 3, height, width)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))  # (n, 64, height / 4, width / 4)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (n, 2048, height / 32, width / 32)
        return self.fc(self.avgpool(x).flatten(1))


def conv_norm(before: int, after: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, active: bool = True):
    """Convolution that keeps the size but for its stride, norm, and SiLU where `active`."""
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), *([nn.SiLU(inplace=True)] if active else []))


class SqueezeExcitation(nn.Module):
    """Weighs channels by a small network of their means."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.activation, self.scale_activation = nn.SiLU(inplace=True), nn.Sigmoid()

    def forward(self, x):
        return x * self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))


class MBConv(nn.Module):
    """1 x 1 up, depthwise, channel weights, 1 x 1 down; added to the input where shapes allow."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        inner = before * expansion
        self.adds = stride == 1 and before == after
        self.block = nn.Sequential(
            *([conv_norm(before, inner)] if expansion > 1 else []),
            conv_norm(inner, inner, kernel, stride, groups=inner),
            SqueezeExcitation(inner, max(1, before // 4)),
            conv_norm(inner, after, active=False),
        )

    def forward(self, x):
        out = self.block(x)
        return x + out if self.adds else out


class EfficientNetB0(nn.Module):
    """EfficientNet-B0 for images of three channels.

    Parameters
    ----------
    classifier : bool
        Keep the layer to the 1000 classes of ImageNet; without it the network ends in its 1280 pooled features.
    random_state : int
        Seed of the initial weights.

    Notes
    -----
    The stochastic depth of its original training has no parameters and no part in features, and is left out.

    Examples
    --------
    >>> import torch
    >>> model = EfficientNetB0(classifier=False).eval()
    >>> model(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 1280])
    """

    n_features = HEAD

    def __init__(self, *, classifier: bool = True, random_state: int = 0):
        super().__init__()
        layers, before = [conv_norm(3, STEM, 3, 2)], STEM
        for expansion, kernel, stride, after, n_blocks in STAGES:
            blocks = []
            for i in range(n_blocks):
                blocks.append(MBConv(before, after, expansion, kernel, 1 if i else stride))
                before = after
            layers.append(nn.Sequential(*blocks))
        self.features = nn.Sequential(*layers, conv_norm(before, HEAD))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        top = [nn.Dropout(DROPOUT), nn.Linear(HEAD, N_IMAGENET)] if classifier else []
        self.classifier = nn.Sequential(*top)
        initialise(self, random_state)

    def forward(self, images):
        """Logits (n, 1000), or features (n, 1280), of images (n, 3, height, width)."""
        x = self.features(images)  # (n, 1280, height / 32, width / 32)
        return self.classifier(self.avgpool(x).flatten(1))


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
