"""Where networks compute: the setting reaches every task that has a network, and a device that is not there is said."""

import pytest
import torch
from small_runs import TINY

from ftirlib import method
from ftirlib.classify import checks
from ftirlib.engine.driver import Driver
from ftirlib.errors import SettingsError
from ftirlib.method import fusion, open_run


def test_a_device_that_is_not_there_is_one_sentence():
    assert checks.choose_device("cpu") == torch.device("cpu")
    with pytest.raises(SettingsError, match="the device 'abacus' cannot be used"):
        checks.choose_device("abacus")


@pytest.mark.filterwarnings("ignore")  # of what so little training learns
def test_the_setting_reaches_every_task_that_has_a_network(tmp_path, monkeypatch):
    asked = []
    here = "ftirlib.classify.fusion.features.choose_device"  # the others import it when they need it
    for place in ("ftirlib.classify.checks.choose_device", here):
        monkeypatch.setattr(place, lambda name: asked.append(name) or torch.device("cpu"))
    make_all = Driver.make_all
    monkeypatch.setattr(Driver, "make_all", lambda run, title, tasks, **_: make_all(run, title, tasks, here=True))
    with open_run("smoke", out=str(tmp_path / "run"), changes=TINY | {"device": "cuda"}) as run:
        for stage in (method.members, method.explanations, method.vaes, method.controls, fusion.features):
            asked.clear()
            stage(run)
            assert set(asked) == {"cuda"}, stage
            assert run.store.manifest(run.made[-1])["made_from"]["arguments"]["device"] == "cuda"
