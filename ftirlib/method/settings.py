"""Everything a run can be told, in one readable place, and refusals that name what is wrong.

A profile is a YAML file in ``ftirlib/method/profiles`` that states every setting; changes are written as
``members.epochs=40``. The estimators' own settings classes say what a setting may be (`ftirlib.settings.stated`).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import Field, field_validator

from ftirlib.classify.fusion.settings import FAMILIES, HeadSettings
from ftirlib.classify.settings import MSCNNSettings, TrainingSettings
from ftirlib.engine.places import place_name, resolved
from ftirlib.errors import SettingsError
from ftirlib.explain.crime.settings import NetworkSettings, Objective, Variant
from ftirlib.settings import Group, stated
from ftirlib.spectra.model import CHUNK
from ftirlib.spectra.prepare.recipe import PreparationSettings
from ftirlib.spectra.simulate.settings import CohortSize

PROFILES = Path(__file__).resolve().parent / "profiles"


def _named_once(values: list) -> list:
    """The values, refused where one stands twice."""
    if len(set(values)) < len(values):
        raise ValueError("each may be named once")
    return values


class PreparationGroup(PreparationSettings):
    """From raw absorbance to what the models see; nothing here is learned from the data."""

    group: ClassVar[str] = "preparation"

    shard: int = Field(ge=CHUNK, multiple_of=CHUNK, description="spectra of one task, whole chunks of them")


class BaselinesGroup(Group):
    """The five models of Figure 2a."""

    group: ClassVar[str] = "baselines"

    models: list[Literal["mean-mse", "mean-cosine", "pca-lda", "pca-xgb", "xgb"]] = Field(min_length=1)
    components: int = Field(ge=1, description="PCA components")


class MembersGroup(
    stated(TrainingSettings, "epochs", "batch_size", "learning_rate", "weight_decay", "label_smoothing"),
    stated(MSCNNSettings, "dropout", "leak"),
):
    """The MSCNNs of one fold and how each is trained; a step takes at most a 16th of the training set."""

    group: ClassVar[str] = "members"

    count: int = Field(ge=1, description="networks per fold")
    class_weights: dict[str, float] = Field(description="weight of a class in the loss by its name; 1 where not named")


class EnsembleGroup(Group):
    """Which networks vote, and how."""

    group: ClassVar[str] = "ensemble"

    threshold: float | Literal["fold_median"] | None = Field(
        description="validation balanced accuracy that a member must exceed"
    )
    voting: Literal["hard", "soft"]


class ExplanationsGroup(Group):
    """LIME of the ensemble."""

    group: ClassVar[str] = "explanations"

    mode: Literal["instance", "mean", "quartile", "decile", "limit"]
    samples: int = Field(ge=2, description="perturbed spectra; in mode limit, most gradients")
    tolerance: float | None = Field(description="in mode limit: stop at this relative standard error; else null")
    spectra: int = Field(ge=10, description="most spectra explained per fold and side")
    background: int = Field(ge=10, description="validation spectra that set the scale or the bins")
    shard: int = Field(ge=10, description="spectra of one task and one artefact")


class VaesGroup(
    stated(NetworkSettings, "patch"), stated(Objective, "epochs", "batch", "learning_rate", "beta", "alpha")
):
    """The autoencoders of CRIME; CP has no tokens, and a patch is given for an axis of 801 points."""

    group: ClassVar[str] = "vaes"

    variants: list[Variant] = Field(min_length=1)
    supervision: list[float] = Field(min_length=1, description="shares of spectra whose label the objective sees")
    labels: Literal["model", "image"] = Field(description="labels that supervise: the ensemble's, or the images'")
    seeds: int = Field(ge=1, le=100, description="autoencoders of each variant and share that differ by seed alone")

    @field_validator("supervision")
    @classmethod
    def _shares(cls, values):
        if any(not 0 <= v <= 1 for v in values):
            raise ValueError("each share must lie in 0..1")
        return values

    _once = field_validator("variants", "supervision")(_named_once)


class ContextsGroup(Group):
    """K-means of the latent space."""

    group: ClassVar[str] = "contexts"

    latent: Literal["mean", "mean+log_variance"] = Field(description="what of the latent space is clustered")
    count: int | Literal["auto"] = Field(description="contexts; auto: the stated rule for small data")
    stability_floor: float | None = Field(description="least stability of the weights; null takes any")


class FusionGroup(stated(HeadSettings, "epochs", "batch_size", "learning_rate")):
    """The fusion classifier of the second paper: its data, features and network."""

    group: ClassVar[str] = "fusion"

    data: str | None = Field(description="a path or address; null: simulated complexes")
    preparations: int = Field(ge=24, description="simulated powders, over all six classes")
    replicates: int = Field(ge=1, description="spectra of each powder")
    step: float = Field(gt=0, description="spacing of the simulated axis, 400 to 4000 cm-1")
    recipe: list[dict[str, dict[str, Any]]] = Field(description="steps in order, the same for every model compared")
    families: list[Literal[FAMILIES]] = Field(min_length=2)
    image: Literal["line", "gramian", "recurrence"] = Field(description="how a spectrum becomes an image")
    image_size: int = Field(ge=32, description="pixels; the backbones were designed for 224")
    weights: dict[str, tuple[Path, str]] | Literal["random"] | None = Field(
        description="{backbone: [safetensors file, sha256]}; null: the cached files, random where there are none"
    )
    oversampling: Literal["random", "smote"] | None = Field(description="of rare classes, inside the training side")

    @field_validator("data")
    @classmethod
    def _absolute(cls, value):
        # notebooks run in a folder of their own
        return value if value is None else resolved(value)

    @field_validator("weights")
    @classmethod
    def _absolute_files(cls, value):
        return (
            {n: (file.resolve(), sha256) for n, (file, sha256) in value.items()} if isinstance(value, dict) else value
        )

    _once = field_validator("families")(_named_once)


class ScoresGroup(Group):
    """Uncertainty of every score."""

    group: ClassVar[str] = "scores"

    resamples: int = Field(ge=100, description="bootstrap resamples of groups")
    confidence: float = Field(gt=0, lt=1)


class Settings(Group):
    """All settings of a run."""

    profile: str
    data: str | None = None  # a path, or an fsspec address
    out: str
    seed: int = Field(default=0, ge=0)
    scheduler: str | None = None
    tls: dict[Literal["ca", "cert", "key"], str] | None = None  # PEM files for a tls:// scheduler
    workers: int = Field(ge=1)
    device: Literal["cpu", "cuda"] = "cpu"  # of workers: where networks train, explain and encode
    phantom: CohortSize
    preparation: PreparationGroup
    baselines: BaselinesGroup
    members: MembersGroup
    ensemble: EnsembleGroup
    explanations: ExplanationsGroup
    vaes: VaesGroup
    contexts: ContextsGroup
    fusion: FusionGroup
    scores: ScoresGroup

    @property
    def bootstrap(self) -> dict[str, Any]:
        """What every bootstrap over groups is told: resamples, confidence and seed."""
        return {
            "n_resamples": self.scores.resamples,
            "confidence": self.scores.confidence,
            "random_state": self.seed,
        }


def read_settings(
    profile: str = "quick",
    *,
    data: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    seed: int = 0,
    scheduler: str | None = None,
    tls: Mapping[str, str] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Settings:
    """Read a profile and apply what was given beside it.

    Parameters
    ----------
    profile : name of a file in ``ftirlib/method/profiles``, or the path of a YAML file
    data : path or fsspec address of a data set; the simulated cohort without it
    out : folder or address of the results; default ``results/<profile>`` or ``results/<data set>-<profile>``
        in the present folder, or in the folder that FTIRLIB_RESULTS names
    seed : int
    scheduler : address of a Dask scheduler; local processes without it
    tls : PEM files ``ca``, ``cert`` and ``key`` for a ``tls://`` scheduler
    changes : mapping of dotted names to values, such as ``{"members.epochs": 40}``

    Raises
    ------
    SettingsError
        An unknown profile, name or value, by its name.
    """
    path = Path(profile) if str(profile).endswith((".yaml", ".yml")) else PROFILES / f"{profile}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in PROFILES.glob("*.yaml"))
        raise SettingsError(f"there is no profile '{profile}'; known are {known}, or give the path of a YAML file.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SettingsError(f"'{path}' is not readable YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise SettingsError(f"'{path}' must hold a mapping of settings, not {type(values).__name__}.")
    for name, value in (changes or {}).items():
        _change(values, name, value)
    name = path.stem if not data else f"{place_name(data)}-{path.stem}"
    base = Path(os.environ.get("FTIRLIB_RESULTS") or "results")
    values |= {
        "profile": path.stem,
        "data": resolved(data) if data else None,
        "out": resolved(out or base / name),
        "seed": seed,
        "scheduler": scheduler or None,
        "tls": dict(tls) if tls else None,
    }
    _check_names(values, path)
    return Settings(**values)


def _change(values: dict, name: str, value) -> None:
    *groups, last = name.split(".")
    place = values
    for group in groups:
        if not isinstance(place.get(group), dict):
            raise SettingsError(f"'{name}' is not a setting{_nearest(name)}.")
        place = place[group]
    place[last] = value


def setting_names() -> list[str]:
    """Every name that ``--set`` takes."""
    return [name for field in Settings.model_fields for name in _dotted(field)]


def _dotted(field: str) -> list[str]:
    return [f"{field}.{inner}" for inner in _fields(field)] or [field]


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, setting_names(), n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; the settings are {', '.join(setting_names())}"


def _check_names(values: dict, path: Path) -> None:
    """Refuse a setting that does not exist, and a profile that does not state every setting."""
    for name, value in values.items():
        fields = _fields(name)
        unknown = [name] if name not in Settings.model_fields else []
        if fields and isinstance(value, dict):
            unknown += [f"{name}.{inner}" for inner in value if inner not in fields]
        if unknown:
            raise SettingsError(f"'{unknown[0]}' is not a setting{_nearest(unknown[0])}.")
    for name, info in Settings.model_fields.items():
        missing = [name] if name not in values and (_fields(name) or info.is_required()) else []
        if isinstance(values.get(name), dict):
            missing += [f"{name}.{inner}" for inner in _fields(name) if inner not in values[name]]
        if missing:
            raise SettingsError(f"'{path}' does not state '{missing[0]}'; a profile states every setting.")


def _fields(name: str) -> list[str]:
    """Settings of a group; none of a name that is no group's."""
    kind = Settings.model_fields[name].annotation if name in Settings.model_fields else None
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, Group) else []
