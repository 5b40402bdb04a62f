"""The base of every settings class: values are checked when they are given, and never changed afterwards."""

from __future__ import annotations

from copy import copy
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import PydanticUndefined

from ftirlib.errors import SettingsError


class Group(BaseModel):
    """A group of settings, stated once: the class of the estimator that uses them, or one that inherits from it.

    Unknown names and values out of range raise `SettingsError` with the setting's name. The run's settings
    (`ftirlib.method.settings`) are such groups, and `group` is then the name before the dot, as in ``members.epochs``.

    Examples
    --------
    >>> class Training(Group):
    ...     epochs: int
    >>> Training(epochs=3).epochs
    3
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    group: ClassVar[str] = ""

    def __init__(self, **values):
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(self._sentence(error)) from None

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        """The first complaint as a sentence; pydantic's own report is a page."""
        first = error.errors()[0]
        name = ".".join(str(part) for part in ([cls.group] if cls.group else []) + list(first["loc"]))
        if first["type"] == "extra_forbidden":
            return f"'{name}' is not a setting of {cls.__name__}; it has {', '.join(cls.model_fields)}."
        if first["type"] == "missing":
            return f"the setting '{name}' is not given."
        if first["type"] == "value_error":  # a check of the class itself
            complaint = str(first["ctx"]["error"])
            return complaint if not first["loc"] else f"setting '{name}' cannot be {first['input']!r}: {complaint}."
        return f"setting '{name}' cannot be {first['input']!r}: {first['msg']}."


Kind = TypeVar("Kind", bound=Group)


def stated(kind: type[Group], *names: str) -> type[Group]:
    """A group of some settings of another, with their types, ranges and descriptions but without defaults.

    A profile states these; the estimator's own class stays the one place that says what they may be.

    Examples
    --------
    >>> class Training(Group):
    ...     epochs: int = 100
    ...     batch_size: int = 512
    >>> class Members(stated(Training, "epochs")):
    ...     count: int
    >>> members = Members(epochs=3, count=2)
    >>> part(members, Training)
    Training(epochs=3, batch_size=512)
    """
    fields = {}
    for name in names:
        info = copy(kind.model_fields[name])
        info.default = PydanticUndefined
        fields[name] = (info.annotation, info)
    return create_model(f"Stated{kind.__name__}", __base__=Group, **fields)


def part(settings: Group, kind: type[Kind], **others) -> Kind:
    """The settings of one estimator among those of a group that states them, with `others` that no profile states."""
    names = kind.model_fields.keys() & type(settings).model_fields.keys() - others.keys()
    return kind(**{name: getattr(settings, name) for name in names}, **others)
