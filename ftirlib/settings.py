"""The base of every settings class: values are checked when they are given, and never changed afterwards."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

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
