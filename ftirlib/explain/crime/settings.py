"""Settings of the autoencoder; light to import, so that a run's settings may name them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ftirlib.settings import Group

Variant = Literal["CP", "CT", "TT"]  # encoder, decoder: Convolutional, Transformer, Perceptron


class NetworkSettings(Group):
    """Settings of the networks of the autoencoder.

    As first published, the decoder of M2 gets the class beside z, so that z is freed of the class. Contexts are sought
    in z and must tell classes apart: by default z alone carries the class, which enters it by the class probabilities.
    """

    variant: Variant = Field("CP", description="encoder and decoder: Convolutional, Transformer, Perceptron")
    latent: int = Field(4, ge=1, description="dimensions of z")
    kernels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (3, 300),
        min_length=1,
        description="widths of the first convolutions, in points of an axis of 801; they keep their share of another",
    )
    patch: int = Field(
        1,
        ge=1,
        description="points per token of the transformers: 1 as in the paper; attention costs its inverse squared, the "
        "rest its inverse; CP has no tokens and takes 1 only",
    )
    decoder_input: Literal["latent", "latent+class"] = Field("latent", description="input of the decoder")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="of the products inside the transformers, everything else is float32; auto: bfloat16 on a GPU that "
        "has it, float32 elsewhere (bfloat16 was measured to be slower on processors)",
    )

    @model_validator(mode="after")
    def _check_perceptron(self):
        if self.variant == "CP" and self.patch != 1:
            raise ValueError(f"patch is {self.patch}, but variant 'CP' has no tokens; leave it at 1.")
        if self.variant == "CP" and self.precision == "bfloat16":
            raise ValueError("precision is 'bfloat16', but variant 'CP' has no transformer; leave it at 'auto'.")
        return self


class Objective(Group):
    """Settings of the objective and its optimisation.

    The bound sums over all 2 n input values, hundreds of nats, and where the class is not seen the classifier head is
    also drawn to the class that is decoded best: below full supervision it may follow its labels only at a larger
    `alpha` than that of Kingma et al., the default. Look at the history's classification, which is log(n_classes) for a
    head that has learned nothing. With full supervision and some hundred steps the head agrees with the labels it saw
    as well as logistic regression of the same input, as long as there are more spectra than input values; with fewer,
    regression learns any labels by heart.
    """

    beta: float = Field(1.0, ge=0, description="weight of the divergence of z from its prior")
    alpha: float = Field(0.1, ge=0, description="weight of the classification loss")
    epochs: int = Field(60, ge=1)
    batch: int = Field(128, ge=2, description="spectra per step")
    learning_rate: float = Field(3e-3, gt=0, description="of Adam")
    noise: float | str = Field(
        "learned",
        description="standard deviation of the likelihood, in units of the scaled input; learned: one for the spectrum "
        "and one for the weights, 1 in the first epoch, then the root mean square error of the last (at least 0.01)",
    )

    @field_validator("noise")
    @classmethod
    def _check_noise(cls, value):
        if value != "learned" and (isinstance(value, str) or not value > 0):
            raise ValueError("it must be 'learned' or a number above 0")
        return value


class VaeSettings(NetworkSettings, Objective):
    """Settings of `CrimeVAE`: its networks, its objective, and the spectra that train, supervise and validate it."""

    supervision: float = Field(
        0.2,
        ge=0,
        le=1,
        strict=True,
        description="share of the spectra of known class whose class the objective sees, from each class alike and at "
        "least one of each; 0: unsupervised, no label is read",
    )
    holdout: float = Field(
        0.1,
        ge=0,
        le=0.5,
        strict=True,
        description="share of the spectra that `fit` sets aside to choose the epoch when it gets no validation set; 0 "
        "keeps the last epoch",
    )
