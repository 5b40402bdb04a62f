"""The card states what the model is, stands alone on a page, and its recipe gives the model's own answers."""

import re
import shutil
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from ftirlib.errors import DataError
from ftirlib.explain.crime.contexts import describe_contexts
from ftirlib.explain.linear.linear import LinearClassifier
from ftirlib.explain.linear.model_card import model_card, own_limits, recipe

NAMES = ["normal", "hyper<plastic>", "cancerous"]
AXIS = np.linspace(1000, 1800, 81)


def made(rng, n_contexts=4, weighting="signed"):
    """A model of contexts of 3, 10, 20, ... spectra in two of three classes, and its table."""
    sizes = [3, *range(10, 10 * n_contexts, 10)]
    assigned = np.repeat(np.arange(n_contexts), sizes)
    predicted = np.where(assigned % 2, 2, 0)
    spectra = rng.normal(size=(n_contexts, AXIS.size)).cumsum(axis=1)[assigned] + 0.1 * rng.normal(
        size=(len(assigned), AXIS.size)
    )
    weights = rng.normal(size=spectra.shape)
    table = describe_contexts(
        assigned, n_contexts, spectra, weights, predicted=predicted, labelled=predicted, n_classes=3
    )
    model = LinearClassifier.from_contexts(
        table.mean_spectra, table.mean_weights, table.label, NAMES, AXIS, weighting=weighting
    )
    return model, table, spectra


def test_card_says_what_the_model_is(rng):
    model, table, _ = made(rng)
    card = model_card(model, title="A model", table=table, agreement={"with the ensemble": (0.8, 0.7, 0.9)})
    assert "4 contexts, 2 of 3 classes, 81 wavenumbers from 1000 to 1800" in card
    assert "0.80" in card
    assert "0.70 to 0.90" in card
    assert "It can never answer hyper&lt;plastic&gt;" in card
    assert "1 of 4 contexts hold fewer than 10 spectra" in card
    rows = re.findall(r'<td class="n">(\d+)</td><td>(?:normal|cancerous)</td><td class="n">(\d+)</td>', card)
    assert rows == [("3", "30"), ("2", "20"), ("1", "10"), ("0", "3")]  # the largest first
    similarity = model.similarity(model.mean_spectra[:1])[0]
    assert f"at most {similarity[model.labels != model.labels[0]].max():.3f} to one of another class" in card


def test_card_stands_alone_and_is_well_formed(rng):
    model, table, _ = made(rng)
    card = model_card(model, title="<script>alert(1)</script>", table=table, made_from="a & b", limits=["x < y"])
    assert "<script" not in card
    assert not re.search(r"(src|href|url\()", card)
    open_tags = []

    class Check(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "path", "polyline"):
                open_tags.append(tag)

        def handle_endtag(self, tag):
            if tag not in ("path", "polyline"):
                assert open_tags.pop() == tag

    Check().feed(card)
    assert open_tags == []
    assert "size: A4" in card


def test_few_contexts_are_listed_and_the_rest_counted(rng):
    model, table, _ = made(rng, n_contexts=14)
    card = model_card(model, title="A model", table=table)
    assert card.count("<svg") == 2 * 10
    assert "The 10 largest of 14 contexts" in card
    assert "largest of" not in model_card(model, title="A model", table=table, most=14)


@pytest.mark.parametrize("weighting", ["signed", "absolute", "none"])
def test_the_printed_recipe_gives_the_same_answers(rng, tmp_path, weighting):
    model, table, spectra = made(rng, weighting=weighting)
    model.save(tmp_path / "linear.json")
    card = model_card(model, title="A model", table=table)
    code = unescape(re.search("<pre>(.*)</pre>", card, re.S)[1])
    assert code == recipe(model)
    np.save(tmp_path / "spectra.npy", spectra)
    code += '\nprint(*[classify(x) for x in np.load("spectra.npy")], sep="\\n")'
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert found == [NAMES[k] for k in model.predict(spectra)]


def test_without_a_table_sizes_are_not_claimed(rng):
    model, _, _ = made(rng)
    card = model_card(model, title="A model")
    assert "purity" not in card
    assert "Not measured" in card
    assert not any("hold fewer" in limit for limit in own_limits(model))


def test_a_table_of_other_contexts_is_refused(rng):
    model, _, _ = made(rng)
    _, other, _ = made(rng, n_contexts=3)
    with pytest.raises(DataError, match="table of 3 contexts does not describe the model's 4"):
        model_card(model, title="A model", table=other)


@pytest.mark.parametrize("n_contexts", [4, 100])
def test_card_prints_on_one_sheet(n_contexts, rng, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium to print with")
    model, table, _ = made(rng, n_contexts)
    names = ("accuracy against the labels", "balanced accuracy against the labels", "accuracy against the ensemble")
    page = model_card(
        model,
        title="Linear model of CT-0.2, fold 1",
        table=table,
        agreement={name: (0.81, 0.74, 0.86) for name in (*names, "balanced accuracy against the ensemble")},
        made_from="Made from 300 explained spectra of the validation set, profile quick, seed 0.",
        limits=["Made from simulated spectra, which are no tissue."],
    )
    (tmp_path / "card.html").write_text(page, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={tmp_path}/b"]
    target = tmp_path / "card.pdf"
    subprocess.run(
        [browser, *options, f"--print-to-pdf={target}", (tmp_path / "card.html").as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert re.findall(rb"/Count (\d+)", target.read_bytes()) == [b"1"]
