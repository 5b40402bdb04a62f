"""Lines of error against work: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from ftirlib.errors import DataError
from ftirlib.report.figures import draw_trade_off


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_lines_bands_and_names(ax):
    curves = {"a": ([10, 100, 1000], [0.5, 0.2, 0.1]), "b": ([10, 100], [0.4, 0.3], [0.3, 0.2], [0.5, 0.4])}
    draw_trade_off(ax, curves, x_name="Samples", y_name="Error", percent=True, mark=0.25)
    assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_xlabel() == "Samples"
    drawn = {line.get_label(): line.get_xydata() for line in ax.lines if not line.get_label().startswith("_")}
    assert np.array_equal(drawn["a"], np.transpose(curves["a"])) and set(drawn) == {"a", "b"}
    assert len(ax.collections) == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["10", "100", "1,000"]
    assert ax.lines[-1].get_ydata()[0] == 0.25


def test_a_second_panel_needs_no_legend(ax):
    draw_trade_off(ax, {"a": (np.arange(1, 20), np.ones(19))}, x_name="x", y_name="y", y_scale="linear", legend=False)
    assert ax.get_legend() is None and ax.get_yscale() == "linear"


@pytest.mark.parametrize("curves", [{}, {"a": ([1, 2], [1])}, {"a": ([1, 2], [1, 2], [1], [2, 3])}])
def test_curves_that_do_not_fit(ax, curves):
    with pytest.raises(DataError):
        draw_trade_off(ax, curves, x_name="x", y_name="y")
