"""Settings: every profile is complete, and what is wrong is refused by its name."""

import pytest
import yaml

from ftirlib.command.cli import parse_changes
from ftirlib.errors import SettingsError
from ftirlib.method.settings import PROFILES, Settings, read_settings, setting_names

PROFILE_NAMES = sorted(path.stem for path in PROFILES.glob("*.yaml"))


def test_the_three_profiles_are_there():
    assert {"smoke", "quick", "paper"} <= set(PROFILE_NAMES)


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_profile_states_every_setting_and_nothing_else(name):
    stated = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    groups = {
        k: set(v.annotation.model_fields)
        for k, v in Settings.model_fields.items()
        if k in stated and k not in ("workers", "device")
    }
    assert {"workers", "device"} < set(stated)
    assert {k: set(v) for k, v in stated.items() if k in groups} == groups
    assert read_settings(name).profile == name


def test_the_paper_profile_has_the_papers_sizes():
    settings = read_settings("paper")
    assert settings.phantom.images == 90
    assert settings.phantom.images * settings.phantom.side**2 == pytest.approx(1.19e6, rel=0.01)


@pytest.mark.parametrize("name", ["paper", "quick", "smoke"])
def test_every_profile_has_the_papers_autoencoders_and_a_patch_that_divides_its_axis(name):
    vaes = read_settings(name).vaes
    assert vaes.variants == ["CP", "CT", "TT"] and vaes.supervision == [0.0, 0.2]
    assert 801 % vaes.patch == 0


def test_changes_reach_their_setting_and_keep_the_rest():
    changed = read_settings("smoke", changes={"members.epochs": 7, "ensemble.threshold": "fold_median"})
    plain = read_settings("smoke")
    assert changed.members.epochs == 7 and changed.ensemble.threshold == "fold_median"
    assert changed.members.model_copy(update={"epochs": plain.members.epochs}) == plain.members


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members.epoch": 3}, "did you mean 'members.epochs'"),
        ({"nonsense.epochs": 3}, "'nonsense.epochs' is not a setting"),
        ({"members.epochs": "many"}, "members.epochs"),
        ({"members.epochs": 0}, "greater than or equal to 1"),
        ({"vaes.supervision": [1.5]}, "0..1"),
        ({"vaes.supervision": [0.2, 0.2]}, "named once"),
        ({"vaes.variants": ["CP", "PP"]}, "vaes.variants"),
        ({"vaes.patch": 0}, "vaes.patch"),
        ({"vaes.seeds": 0}, "vaes.seeds"),
        ({"vaes.alpha": -1}, "vaes.alpha"),
        ({"contexts.latent": "log_variance"}, "contexts.latent"),
        ({"explanations.mode": "magic"}, "explanations.mode"),
        ({"members": 3}, "members"),
    ],
)
def test_a_wrong_name_or_value_is_refused_by_name(changes, words):
    with pytest.raises(SettingsError, match=words):
        read_settings("smoke", changes=changes)


def test_unknown_profiles_and_broken_files_are_named(tmp_path):
    with pytest.raises(SettingsError, match="there is no profile 'huge'"):
        read_settings("huge")
    broken = tmp_path / "broken.yaml"
    broken.write_text("members: [")
    with pytest.raises(SettingsError, match="not readable YAML"):
        read_settings(str(broken))
    broken.write_text("- a list")
    with pytest.raises(SettingsError, match="must hold a mapping"):
        read_settings(str(broken))
    broken.write_text("workers: 1")
    with pytest.raises(SettingsError, match="does not state 'phantom'"):
        read_settings(str(broken))


def test_command_line_changes_are_yaml_values():
    assert parse_changes(["members.epochs=4", "vaes.supervision=[0, 0.5]", "ensemble.threshold=null"]) == {
        "members.epochs": 4,
        "vaes.supervision": [0, 0.5],
        "ensemble.threshold": None,
    }
    for bad in ("members.epochs", "a=[", "a={"):
        with pytest.raises(SettingsError):
            parse_changes([bad])


def test_setting_names_are_those_that_changes_accept():
    assert "members.epochs" in setting_names() and "workers" in setting_names()
