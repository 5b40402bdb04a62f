"""Settings of the fused features and of the head; light to import, so that a run's settings may name them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ftirlib.settings import Group

FAMILIES = ("resnet101", "efficientnet_b0", "scattering", "statistics")


class FeatureSettings(Group):
    """What is extracted, and how; the ranges of pictures and scattering are those of `Raster`, `SpectrumScattering`."""

    families: tuple[str, ...] = Field(FAMILIES, description="feature families, kept in this order")
    image: str = Field("line", description="how a spectrum becomes an image")
    image_size: int = Field(224, description="pixels; the backbones were designed for 224")
    line_width: float = Field(1.5, description="of a drawn line, pixels")
    scattering_scale: int | None = Field(None, description="of the scattering, as an exponent of 2; null: its own")
    wavelets_per_octave: int = Field(8, description="of the scattering")
    random_state: int = Field(0, description="seed of backbones without published weights")

    @field_validator("families")
    @classmethod
    def _known(cls, families):
        if unknown := [name for name in families if name not in FAMILIES]:
            raise ValueError(f"there is no feature family {unknown[0]!r}; choose of {', '.join(FAMILIES)}")
        if not families:
            raise ValueError(f"every feature family is switched off; keep at least one of {', '.join(FAMILIES)}")
        return tuple(name for name in FAMILIES if name in families)


class HeadSettings(Group):
    """Shape and training of the head.

    Neighbours in a row of fused features have no common axis but inside a family: of paths and positions in the
    scattering, of channels of a backbone elsewhere.
    """

    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field((8, 16), min_length=1, description="of each convolution")
    kernel: int = Field(9, ge=1, description="width of a convolution, features")
    stride: int = Field(4, ge=1, description="of a convolution, features")
    pooled: int = Field(64, ge=1, description="most positions left before the read-out")
    dropout: float = Field(0.3, ge=0, lt=1, description="before the read-out")
    epochs: int = Field(40, ge=1)
    batch_size: int = Field(64, ge=2, description="least spectra in a step, as far as there are as many")
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False, description="of Adam")
    weight_decay: float = Field(0.0, ge=0, description="of Adam")
