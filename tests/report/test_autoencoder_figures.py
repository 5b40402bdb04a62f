"""The autoencoders' figures draw the numbers they are given."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from ftirlib.errors import DataError
from ftirlib.report.figures.autoencoders import TERMS, draw_controls, draw_cost, draw_term, share_legend


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def history(supervised):
    return [
        {
            "epoch": k,
            "reconstruction": 9.0 / k,
            "kl": 1.0 * k,
            "classification": supervised / k,
            "validation": abs(k - 3),
        }
        for k in range(1, 6)
    ]


@pytest.mark.parametrize("term", TERMS)
def test_terms_and_the_epoch_kept(ax, term):
    draw_term(ax, {"CP-0": history(0.0), "CP-0.2": history(0.5)}, term)
    curves = [line for line in ax.lines if len(line.get_xdata()) == 5]
    assert len(curves) == (1 if term == "classification" else 2)  # never trained on, not drawn
    kept = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in kept] == [3] * len(curves)
    assert kept[0].get_ydata()[0] == curves[0].get_ydata()[2]
    with pytest.raises(DataError, match="holds 'beauty'"):
        draw_term(ax, {"CP": history(0.0)}, "beauty")


def test_cost(ax):
    draw_cost(ax, [10, 100, 1000], {"step": [1, 2, 4], "attention": [0.1, 0.4, 9]}, unit="Seconds", limit=8)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.lines[1].get_ydata().tolist() == [0.1, 0.4, 9]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["10", "100", "1000"]
    with pytest.raises(DataError, match=r"'step' has shape \(2,\) for 3"):
        draw_cost(ax, [10, 100, 1000], {"step": [1, 2]}, unit="Seconds")


def test_controls(ax):
    names = ["contexts", "K-means", "sizes alone"]
    numbers = np.arange(3.0)
    table = pd.DataFrame({"contexts": names, "value": numbers, "low": numbers - 0.1, "high": numbers + 0.2})
    draw_controls(ax, table, value="value", label="Purity", chance=0.0)
    assert [t.get_text() for t in ax.get_yticklabels()] == names
    assert ax.lines[0].get_xdata().tolist() == [0, 1, 2]
    top = ax.get_yticks()[0]
    assert top == max(ax.get_yticks())
    ends = [tuple(segment[:, 0]) for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [(-0.1, 0.2), (0.9, 1.2), (1.9, 2.2)])
    with pytest.raises(DataError, match="one measure"):
        draw_controls(ax, pd.concat([table, table]), value="value", label="Purity")
    with pytest.raises(DataError, match="cannot be drawn"):
        draw_controls(ax, table, value="size", label="Size")


def test_one_legend_names_each_thing_once():
    figure, axes = plt.subplots(1, 2, layout="constrained")
    for ax in axes:
        draw_term(ax, {"CP-0": history(0.0), "CP-0.2": history(0.5)}, "kl")
    axes[1].legend()
    share_legend(axes)
    assert all(ax.get_legend() is None for ax in axes)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["CP-0", "CP-0.2"]
    plt.close(figure)


def test_a_legend_of_nothing_is_refused(ax):
    with pytest.raises(DataError, match="draw into the axes first"):
        share_legend([ax])
