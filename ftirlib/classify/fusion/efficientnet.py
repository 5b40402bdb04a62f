"""EfficientNet-B0, layer by layer, without its libraries: 5 288 548 parameters, 4 007 548 before the classifier.

Tan & Le 2019 (arXiv:1905.11946), Table 1; blocks of Sandler et al. 2018 (arXiv:1801.04381) with squeeze and excitation
of Hu et al. 2018 (arXiv:1709.01507). torchvision's parameter names are kept so that published weights fit.
"""

from __future__ import annotations

from torch import nn

from ftirlib.classify.fusion.initial import initialise

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
N_IMAGENET = 1000  # classes
DROPOUT = 0.2


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
