"""ResNet-101, layer by layer, without its libraries: 44 549 160 parameters, 42 500 160 before the classifier.

He et al. 2016 (10.1109/CVPR.2016.90), with the stride of a block in its 3 x 3 convolution as in torchvision, whose
parameter names are kept so that published weights fit.
"""

from __future__ import annotations

from torch import nn

from ftirlib.classify.fusion.initial import initialise

BLOCKS = (3, 4, 23, 3)  # of ResNet-101
EXPANSION = 4  # a block's output channels over its inner ones
N_IMAGENET = 1000  # classes


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
