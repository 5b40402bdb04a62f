"""Settings of the multi-scale network and of its training; light to import, so that a run's settings may name them."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ftirlib.settings import Group

Width = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(gt=0)]


class MSCNNSettings(Group):
    """Shape of an MSCNN; the defaults are the published network."""

    n_classes: int = Field(4, ge=2, description="outputs")
    head_widths: tuple[Width, ...] = Field(
        (8.0, 25.0, 50.0),
        min_length=1,
        description="kernel widths of the parallel first-layer convolutions, cm-1; on a grid, the nearest whole points",
    )
    head_strides: tuple[Width, ...] = Field((4.0, 12.0, 25.0), description="their strides, cm-1, one for each width")
    head_channels: int = Field(8, ge=1, description="channels of each first-layer convolution")
    core: tuple[tuple[Size, Size, Size], ...] = Field(
        ((8, 15, 7), (16, 9, 4), (32, 9, 4), (64, 2, 1)),
        min_length=1,
        description="convolutions over the joined heads, each (channels, kernel, stride) in points of its own input, "
        "which has no unit",
    )
    dense: tuple[Size, ...] = Field(
        (32, 16), min_length=1, description="widths of the fully connected layers before the output"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="the authors' sweep preferred 0.01 to 0.2")
    leak: float = Field(
        0.38, allow_inf_nan=False, description="negative slope of LeakyReLU; the authors' sweep preferred 0.2 to 0.56"
    )

    @model_validator(mode="after")
    def _one_stride_a_width(self):
        if len(self.head_widths) != len(self.head_strides):
            raise ValueError(
                f"there are {len(self.head_widths)} head widths and {len(self.head_strides)} head strides; "
                "give one stride per width, and at least one of each."
            )
        return self


class TrainingSettings(Group):
    """How an MSCNN is trained; where the authors swept a range, the default is near its middle."""

    epochs: int = Field(100, ge=1, description="most epochs")
    batch_size: int = Field(
        512,
        ge=2,  # batch-norm has no spread of one spectrum
        description="most spectra in a step; the authors used 3584 for 0.6 million training spectra, the default suits "
        "data sets a tenth of that size and smaller",
    )
    learning_rate: float = Field(
        8e-4, gt=0, allow_inf_nan=False, description="of AdamW; authors' sweep: 3e-4 to 1.3e-3"
    )
    weight_decay: float = Field(0.15, ge=0, allow_inf_nan=False, description="of AdamW; authors' sweep: 0.09 to 0.22")
    step_epochs: int = Field(
        8, ge=1, description="epochs after which the learning rate is multiplied by step_factor; authors' sweep: 8 or 9"
    )
    step_factor: float = Field(0.5, gt=0, le=1, description="factor of the learning rate")
    label_smoothing: float = Field(0.2, ge=0, lt=1, description="share of a label given to all classes alike")
    class_weight: tuple[float, ...] | Literal["balanced"] | None = Field(
        None,
        description="weight of each class in the loss, in the order of the codes; null: 1 each; balanced: inversely "
        "proportional to the class's share of the training spectra; the authors gave hyperplastic 0.28, else 1",
    )
    stop_after: int = Field(
        30,
        ge=0,
        description="epochs before the stop rule applies: validation loss not finite or above twice the training loss, "
        "or every class but one at sensitivity 0",
    )

    @field_validator("class_weight", mode="plain")
    @classmethod
    def _weights_above_0(cls, value):
        if value is None or (isinstance(value, str) and value == "balanced"):
            return value
        try:
            weights = tuple(float(weight) for weight in value)
        except (TypeError, ValueError):
            weights = ()
        if not weights or not all(0 < weight < math.inf for weight in weights):
            raise ValueError("it must be None, 'balanced', or a number above 0 for every class")
        return weights
