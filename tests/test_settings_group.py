"""A group of settings names what is wrong with a value, alone and inside another group."""

from typing import ClassVar

import pytest
from pydantic import Field

from ftirlib.errors import SettingsError
from ftirlib.settings import Group


class Training(Group):
    epochs: int = Field(1, ge=1)


class Members(Training):
    group: ClassVar[str] = "members"
    count: int = 1


class Run(Group):
    members: Members


def test_a_value_out_of_range_is_named():
    with pytest.raises(SettingsError, match="setting 'epochs' cannot be 0"):
        Training(epochs=0)


def test_a_value_of_a_nested_group_is_named_with_its_group():
    with pytest.raises(SettingsError, match=r"setting 'members\.epochs' cannot be 0"):
        Run(members={"epochs": 0})


def test_unknown_and_missing_names_are_named():
    with pytest.raises(SettingsError, match="'epoch' is not a setting of Training; it has epochs"):
        Training(epoch=2)
    with pytest.raises(SettingsError, match="the setting 'members' is not given"):
        Run()


def test_values_are_not_changed_once_given():
    with pytest.raises(ValueError, match="frozen"):
        Training().epochs = 4
