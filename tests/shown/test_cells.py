"""Numbers and names as every page shows them: one minus sign, undefined said so, names of data escaped."""

import doctest

import pandas as pd
from shown import cells, fusion


def test_examples_of_the_pages_hold():
    for module in (cells, fusion):
        found = doctest.testmod(module)
        assert found.attempted and not found.failed


def test_undefined_numbers_are_said_so():
    nan = float("nan")
    assert cells.interval(nan, nan, nan) == "undefined"
    assert cells.interval(0.5, nan, nan) == "0.50 too few groups"
    assert cells.interval(nan, -0.2, 0.3, sd=nan) == "undefined [−0.20, 0.30]"
    assert cells.score_cell({"mean": -0.1, "sd": 0.02, "low": -0.2, "high": 0.3}) == "−0.10 ± 0.02\n[−0.20, 0.30]"


def test_names_of_data_are_escaped_and_lines_are_kept():
    frame = pd.DataFrame({"<b>class": ["<script>", "a\nb"], "spectra": [1234, 5]}, index=["<i>", "plain"])
    page = cells.shown(frame, index=True, thousands=",").to_html()
    assert "<script>" not in page and "<b>" not in page and "<i>" not in page
    assert "&lt;script&gt;" in page and "1,234" in page and "white-space: pre" in page
    assert "<caption>One &lt; two.</caption>" in cells.shown(frame, caption="One < two.").to_html()


def test_numbers_are_glued_under_the_prefix_of_the_page(monkeypatch):
    glued = {}
    monkeypatch.setattr(cells, "glue", lambda name, text, display: glued.update({name: text}))
    cells.glue_all("ctx", {"count": 10, "name": "CP-0.2"})
    assert glued == {"ctx-count": "10", "ctx-name": "CP-0.2"}
