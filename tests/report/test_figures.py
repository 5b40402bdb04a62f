"""Figures draw what they are given, from high to low wavenumbers, change none of it, and save the same bytes twice."""

import colorsys
import copy
from itertools import pairwise
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from ftirlib.errors import DataError
from ftirlib.report import figures
from ftirlib.report.tally import reliability

CLASSES = ["normal", "hyperplastic", "adenomatous", "cancerous"]
WAVENUMBER = np.linspace(1000.0, 1800.0, 41)
ROWS = [
    {"step": "head 1", "layer": "C1D(1, 8, 8, 4), BN(8)", "output": "8 x 199", "parameters": 88},
    {"step": "head 2", "layer": "C1D(1, 8, 25, 12), BN(8)", "output": "8 x 65", "parameters": 224},
    {"step": "skip", "layer": "BN(1)", "output": "1 x 801", "parameters": 2},
    {"step": "join", "layer": "end to end", "output": "1 x 2913", "parameters": 0},
    {"step": "output", "layer": "FC(2913, 4)", "output": "4", "parameters": 11656},
    {"step": "in use", "layer": "", "output": "", "parameters": 11970},
]


@pytest.fixture(autouse=True)
def styled():
    with matplotlib.rc_context(figures.STYLE):
        yield
    plt.close("all")


def score_table():
    rows = [("XGB", "f1", 0.6), ("XGB", "accuracy", 0.7), ("EMSCNN", "f1", 0.65), ("EMSCNN", "accuracy", np.nan)]
    return pd.DataFrame(
        [
            {"model": m, "score": s, "mean": v, "sd": 0.05, "low": v - 0.1, "high": v + 0.1, "majority": 0.4}
            for m, s, v in rows
        ]
    )


def samples():
    """Every figure as (name, draw(ax), arrays it was given), with data whose drawing is known."""
    rng = np.random.default_rng(0)
    spectra, codes = rng.random((4, 41)), rng.integers(-1, 4, 60)
    points, many = rng.random((60, 2)), rng.integers(0, 30, 60)
    picture, mark, tissue = rng.random((8, 9)), rng.random((8, 9)) > 0.8, rng.integers(-1, 4, (8, 9))
    counts, labelled = rng.integers(0, 50, (2, 40))
    folds = pd.DataFrame(rng.integers(1, 9, (4, 4)), index=[f"set {k}" for k in range(4)], columns=CLASSES)
    q = rng.dirichlet(np.ones(4), 60)
    curve = reliability(rng.integers(4, size=60), q)
    confusion = rng.integers(0, 9, (4, 4))
    history = [{"epoch": k, "training_loss": 1 / k, "validation_loss": None} for k in range(1, 5)]
    weights = rng.standard_normal((2, 41))
    planted = WAVENUMBER > 1700
    score_rows = score_table()
    f = figures
    return {
        "architecture": (lambda ax: f.draw_architecture(ax, ROWS), []),
        "score_bars": (lambda ax: f.draw_score_bars(ax, score_rows, scores=["f1", "accuracy"]), [score_rows]),
        "confusion": (lambda ax: f.draw_confusion(ax, confusion, CLASSES), [confusion]),
        "folds": (lambda ax: f.draw_folds(ax, folds), [folds]),
        "embedding": (lambda ax: f.draw_embedding(ax, points, codes, CLASSES), [points, codes]),
        "contexts": (lambda ax: f.draw_embedding(ax, points, many, range(30)), [points, many]),
        "counts": (
            lambda ax: f.draw_context_counts(ax, counts, labelled, highlight=[3], what="cancerous"),
            [counts, labelled],
        ),
        "mean_spectra": (lambda ax: f.draw_mean_spectra(ax, WAVENUMBER, spectra, spectra / 9, CLASSES), [spectra]),
        "attribution": (
            lambda ax: f.draw_attribution(
                ax, WAVENUMBER, weights[0], spectra[0], standard_error=np.abs(weights[1]), planted=planted
            ),
            [weights, planted, spectra],
        ),
        "image": (lambda ax: f.draw_image(ax, picture, pixel_size_um=5.0, mark=mark, colour_name="A"), [picture, mark]),
        "class_map": (
            lambda ax: f.draw_class_map(ax, tissue, CLASSES, pixel_size_um=5.0).set_title("image 3").axes,
            [tissue],
        ),
        "history": (lambda ax: f.draw_history(ax, history, curves={"training_loss": "t"}, best_epoch=3), []),
        "reliability": (lambda ax: f.draw_reliability(ax, {"a": curve, "b": curve}), []),
        "distribution": (lambda ax: f.draw_distribution(ax, points[:, 0], name="share", mark=0.5), [points]),
        "roc": (lambda ax: f.draw_roc(ax, {"pixels": ([0, 0.5, 1], [0, 0.8, 1], 0.7)}), []),
        "agreement": (lambda ax: f.draw_agreement(ax, weights[0], weights[1], names=("a", "b"), note="n"), [weights]),
    }


def text_of(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("name", samples())
def test_draws_on_the_axes_given_returns_it_and_leaves_the_data_alone(name):
    draw, given = samples()[name]
    before = copy.deepcopy(given)
    figure, (ax, other) = plt.subplots(1, 2)
    assert draw(ax) is ax
    figure.canvas.draw()
    assert ax.get_children() and not other.lines and not other.collections and not other.patches
    for values, kept in zip(given, before):
        pd.testing.assert_frame_equal(pd.DataFrame(values), pd.DataFrame(kept))


@pytest.mark.parametrize("size", [(7, 5.5), (5.4, 4.6)])
@pytest.mark.parametrize("name", samples())
def test_nothing_is_cut_off(name, size):
    figure, ax = plt.subplots(figsize=size)
    samples()[name][0](ax)
    figure.canvas.draw()
    whole, page = figure.get_tightbbox(), figure.bbox_inches
    assert whole.x0 >= -0.02 and whole.y0 >= -0.02
    assert whole.x1 <= page.x1 + 0.02 and whole.y1 <= page.y1 + 0.02


@pytest.mark.parametrize(
    "name", ["score_bars", "embedding", "class_map", "attribution"]
)  # text, pixels, hatches, fills
def test_saved_twice_the_bytes_are_the_same(name, tmp_path):
    saved = []
    for folder in ("one", "two"):
        figure, ax = plt.subplots()
        samples()[name][0](ax)
        saved.append(figures.publish(figure, tmp_path / folder / name))
    for one, two in zip(*saved):
        assert one.suffix in (".svg", ".pdf") and one.read_bytes() == two.read_bytes()


def test_publish_keeps_dots_in_names(tmp_path):
    svg, pdf = figures.publish(plt.figure(), tmp_path / "figure_2.a")
    assert (svg.name, pdf.name) == ("figure_2.a.svg", "figure_2.a.pdf") and svg.exists() and pdf.exists()


@pytest.mark.parametrize("order", [1, -1])
def test_wavenumbers_run_from_high_to_low_whatever_their_order(order):
    _, ax = plt.subplots()
    figures.draw_mean_spectra(ax, WAVENUMBER[::order], np.arange(41.0)[::order], names=["one"])
    assert ax.get_xlim() == (1800, 1000)
    assert ax.get_xlabel() == "Wavenumber / cm$^{-1}$"
    x, y = ax.lines[0].get_data()
    assert y[np.argmax(x)] == 40


def test_context_spectra_share_names_bands_and_axis():
    figure, axes = plt.subplots(2, 1, sharex=True)
    rng = np.random.default_rng(0)
    band = SimpleNamespace(centre=1655.0, assignment="amide I, helix")
    bands = [band, (1080.0, "phosphate"), (2900.0, "beyond the axis")]
    back = figures.draw_context_spectra(
        axes, WAVENUMBER, rng.random((2, 41)), rng.random((2, 41)), ["87", "97"], bands=bands
    )
    assert list(back) == list(axes)
    assert all(ax.get_xlim() == (1800, 1000) for ax in axes)
    text = text_of(figure)
    assert "amide I 1655" in text and "phosphate 1080" in text and "beyond" not in text
    assert [t.get_text() for t in axes[0].get_legend().get_texts()] == ["87", "97"]


def test_attribution_fills_for_and_against_and_shades_what_was_planted():
    _, ax = plt.subplots()
    weights = np.where(WAVENUMBER > 1400, 1.0, -2.0)
    planted = WAVENUMBER > 1700
    figures.draw_attribution(ax, WAVENUMBER, weights, planted=planted, label="weight of cancerous")
    shade, positive, negative = (collection.get_datalim(ax.transData) for collection in ax.collections)
    assert (shade.x0, shade.x1) == (WAVENUMBER[planted].min(), 1800)
    assert (positive.y0, positive.y1) == (0, 1) and (negative.y0, negative.y1) == (-2, 0)
    assert ax.get_ylabel() == "Weight of cancerous"


def test_score_bars_have_the_table_s_heights_and_say_what_is_undefined():
    figure, ax = plt.subplots()
    figures.draw_score_bars(ax, score_table(), scores=["accuracy", "f1"], models=["EMSCNN", "XGB"])
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.7, 0.65, 0.6])
    text = text_of(figure)
    assert "undefined" in text and "Accuracy\n(SWS)" in text and "majority class" in text and "EMSCNN" in text


def test_architecture_shows_every_step_and_its_parameters():
    figure, ax = plt.subplots(figsize=(7, 6))
    figures.draw_architecture(ax, pd.DataFrame(ROWS))
    text = text_of(figure)
    for row in ROWS:
        assert row["step"] in text and row["output"] in text
    assert "11\N{NARROW NO-BREAK SPACE}656 parameters" in text and "C1D(1, 8, 8, 4)" in text
    assert len(ax.patches) == 5  # the sum is no step


def test_architecture_of_the_live_network():
    mscnn = pytest.importorskip("ftirlib.classify.mscnn")
    table = mscnn.layer_table(mscnn.MSCNN(mscnn.MSCNNSettings(), np.arange(1000.0, 1801.0)))
    figure, ax = plt.subplots(figsize=(7, 9))
    figures.draw_architecture(ax, table)
    assert "63\N{NARROW NO-BREAK SPACE}202" in text_of(figure)


def test_context_counts_are_sorted_and_name_the_highlighted():
    _, ax = plt.subplots()
    figures.draw_context_counts(ax, [5, 1, 0, 7], [1, 9, 0, 4], highlight=[3], names=["10", "11", "12", "13"])
    assert [bar.get_height() for bar in ax.patches[:3]] == [9, 4, 1]
    assert list(ax.lines[0].get_ydata()) == [1, 7, 5]
    assert [t.get_text() for t in ax.texts] == ["13"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["11", "13", "10"]


def test_embedding_of_many_contexts_names_the_largest_or_those_asked_for():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(20), np.arange(1, 21))
    points = rng.random((len(codes), 2))
    _, (ax, chosen) = plt.subplots(1, 2)
    figures.draw_embedding(ax, points, codes, [f"c{k}" for k in range(20)])
    figures.draw_embedding(chosen, points, codes, [f"c{k}" for k in range(20)], annotate=[0, 7])
    assert {t.get_text() for t in ax.texts} == {f"c{k}" for k in range(8, 20)}
    assert [t.get_text() for t in chosen.texts] == ["c0", "c7"]
    drawn = sum(len(collection.get_offsets()) for collection in ax.collections)
    assert drawn == len(points)


def test_names_of_contexts_in_one_place_stand_beside_it():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(12), 5)
    points = np.where(codes[:, None] < 11, rng.normal(0, 0.01, (60, 2)), [1, 1])
    points[-1] = 0  # the last context lies in two places: its name stands on one of its points, not between them
    figure, ax = plt.subplots(figsize=(4, 3.4), layout="constrained")
    figures.draw_embedding(ax, points, codes, [f"{k}" for k in range(12)])
    figure.canvas.draw()
    boxes = [matplotlib.text.Text.get_window_extent(text) for text in ax.texts]  # without its line
    assert len(boxes) == 12
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(ax.bbox.contains(*box.min) and ax.bbox.contains(*box.max) for box in boxes)
    assert all(tuple(text.xy) in set(map(tuple, points[codes == int(text.get_text())])) for text in ax.texts)
    assert ax.texts[-1].xy == (1, 1)


def test_class_map_takes_background_as_nan_or_minus_one():
    codes = np.array([[0, 1], [2, -1]])
    images = []
    for values in (codes, np.where(codes < 0, np.nan, codes)):
        _, ax = plt.subplots()
        figures.draw_class_map(ax, values, ["a", "b", "c"])
        images.append(np.asarray(ax.images[0].get_array()))
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b", "c", "background"]
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize(("n_cols", "expected"), [(64, 100), (130, 200), (320, 500)])
def test_scale_bar_is_as_long_as_it_says(n_cols, expected):
    _, ax = plt.subplots()
    figures.draw_image(ax, np.zeros((50, n_cols)), pixel_size_um=5.0)
    line = next(text for text in ax.texts if not text.get_text())
    length = float(next(text.get_text() for text in ax.texts if "µm" in text.get_text()).split()[0])
    assert abs(line.xyann[0] - line.xy[0]) * n_cols * 5 == pytest.approx(length) == expected


def test_titles_scale_bars_and_legends_of_maps_do_not_touch():
    figure, axes = plt.subplots(1, 2, figsize=(7, 4))
    for ax in axes:
        figures.draw_class_map(ax, np.zeros((40, 50)), CLASSES, pixel_size_um=5.0).set_title("image 3")
    figure.canvas.draw()
    for ax in axes:
        bar = next(text for text in ax.texts if "µm" in text.get_text())
        parts = [ax.title, ax.images[0], bar, ax.get_legend()]  # from top to bottom
        boxes = [part.get_window_extent() for part in parts]
        assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(boxes))


def test_circles_leave_the_picture_its_size():
    figure, ax = plt.subplots()
    mark = np.zeros((20, 30), bool)
    mark[[0, 19, 19], [0, 0, 29]] = True
    figures.draw_image(ax, np.zeros((20, 30)), mark=mark)
    figure.canvas.draw()
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 29.5), (19.5, -0.5))


def test_contexts_have_one_colour_on_the_tissue_and_on_the_latent_map():
    numbers = np.repeat([[0, 1, 2, 3, 4, 5, 6, 7, 8, -1]], 10, axis=0)
    numbers[0, 8] = 9
    _, (left, right) = plt.subplots(1, 2)
    figures.draw_context_map(left, numbers, 10)
    figures.draw_embedding(right, np.ones((10, 2)), np.arange(10), range(10), annotate=[])
    image = left.images[0]
    drawn = image.cmap(image.norm(np.arange(10)))
    dots = np.concatenate([c.get_facecolors() for c in right.collections if len(c.get_offsets())])
    assert {tuple(c) for c in drawn.round(6)} == {tuple(c) for c in dots.round(6)}
    written = {text.get_text(): text.xy for text in left.texts}
    assert set(written) == set("012345678")  # 9 holds too few
    assert all(x == int(name) for name, (x, _) in written.items())


def test_tissue_is_drawn_panel_by_panel():
    rng = np.random.default_rng(0)
    codes, share = rng.integers(-1, 4, (6, 7)), rng.random((6, 7))
    _, axes = plt.subplots(1, 4)
    options = {"names": CLASSES, "n_contexts": 5, "predicted": codes, "confidence": share, "context": codes}
    figures.draw_tissue(axes, **options, truth=codes[::-1], title="an image")
    for ax, values in zip(axes, (codes, share, codes, codes[::-1])):
        np.testing.assert_array_equal(ax.images[0].get_array(), values)
    assert axes[1].images[0].get_clim() == (0, 1)
    assert axes[0].get_ylabel() == "an image"
    with pytest.raises(DataError, match="3 pictures of shapes .* do not fit 4 axes"):
        figures.draw_tissue(axes, **options)
    with pytest.raises(DataError, match="are not all positions in the 3 contexts"):
        figures.draw_tissue(axes[:3], **options | {"n_contexts": 3})


def test_circles_hold_their_pixels():
    mark = np.zeros((30, 30), bool)
    mark[2:5, 3:9] = mark[20, 20] = True
    _, ax = plt.subplots()
    figures.draw_image(ax, np.zeros((30, 30)), mark=mark)
    circles = ax.patches
    assert len(circles) == 2
    for row, column in np.argwhere(mark):
        distances = [np.hypot(c.center[0] - column, c.center[1] - row) - c.radius for c in circles]
        assert min(distances) < 0


@pytest.mark.parametrize("n", range(1, 9))
def test_classes_differ_in_colour_marker_line_or_hatch(n):
    marks = figures.class_marks(n)
    assert figures.class_colours(n) == [mark.colour for mark in marks]
    assert len({mark.colour for mark in marks}) == len({mark.marker for mark in marks}) == n
    assert len({mark.hatch for mark in marks}) == n


def test_no_two_of_forty_models_look_alike():
    marks = figures.class_marks(40)
    assert len({(mark.colour, mark.hatch) for mark in marks}) == len({(m.colour, m.linestyle) for m in marks}) == 40


def test_two_to_four_classes_run_from_cold_to_warm():
    for n in (2, 3, 4):
        hues = [colorsys.rgb_to_hsv(*matplotlib.colors.to_rgb(c))[0] for c in figures.class_colours(n)]
        assert 0.5 < hues[0] < 0.7 and hues[-1] < 0.1


def test_bad_input_is_refused():
    _, (ax, other) = plt.subplots(1, 2)
    f = figures
    cases = {
        "exactly one": lambda: f.draw_score_bars(ax, score_table(), scores=["mcc"]),
        "no column": lambda: f.draw_score_bars(ax, score_table().drop(columns="sd"), scores=["f1"]),
        "0 scores": lambda: f.draw_score_bars(ax, score_table(), scores=[]),
        "one row and column": lambda: f.draw_confusion(ax, np.zeros((2, 3)), CLASSES),
        "3 names": lambda: f.draw_confusion(ax, np.zeros((4, 4)), CLASSES[:3]),
        "without spectra": lambda: f.draw_folds(ax, pd.DataFrame([[0, 0], [1, 2]])),
        "two coordinates": lambda: f.draw_embedding(ax, np.zeros((3, 3)), [0, 0, 0], ["a"]),
        "do not fit": lambda: f.draw_embedding(ax, np.zeros((3, 2)), [0, 0, 1], ["a"]),
        "highlighted": lambda: f.draw_context_counts(ax, [1], [1], highlight=[4]),
        "for 41 wavenumbers": lambda: f.draw_mean_spectra(ax, WAVENUMBER, np.zeros((2, 40))),
        "one spread": lambda: f.draw_mean_spectra(ax, WAVENUMBER, np.zeros((2, 41)), np.zeros((1, 41))),
        "needs a list": lambda: f.draw_mean_spectra(ax, 1000.0, np.zeros((2, 41))),
        "one above the other": lambda: f.draw_context_spectra(
            [ax], WAVENUMBER, np.zeros((1, 41)), np.zeros((1, 41)), [1]
        ),
        "give both": lambda: f.draw_context_spectra(
            [ax, other], WAVENUMBER, np.zeros((2, 41)), np.zeros((1, 41)), [1, 2]
        ),
        "one bool per": lambda: f.draw_attribution(ax, WAVENUMBER, np.zeros(41), planted=np.zeros(41)),
        "a bool for each": lambda: f.draw_image(ax, np.zeros((4, 4)), mark=np.zeros((4, 5), bool)),
        "the picture has": lambda: f.draw_image(ax, np.zeros((4, 4, 2))),
        "not all positions": lambda: f.draw_class_map(ax, [[0.5, 1]], ["a", "b"]),
        "positions in the 2": lambda: f.draw_class_map(ax, [[0, 2]], ["a", "b"]),
        "history has no": lambda: f.draw_history(ax, [{"loss": 1.0}], curves={"score": "score"}),
        "no distribution": lambda: f.draw_distribution(ax, [1.0, np.nan], name="share"),
        "like with like": lambda: f.draw_agreement(ax, [1, 2], [1], names=("a", "b")),
        "lacks": lambda: f.draw_architecture(ax, [{"step": "head 1"}]),
        "no row with an output": lambda: f.draw_architecture(ax, ROWS[-1:]),
    }
    for says, draw in cases.items():
        with pytest.raises(DataError, match=says):
            draw()


def test_use_style_sets_the_look_and_only_it():
    with matplotlib.rc_context():
        figures.use_style()
        assert all(matplotlib.rcParams[name] == value for name, value in figures.STYLE.items())


@pytest.mark.parametrize("name", ["a $x$ b$", "$\\frac$", "$5 and $6"])
def test_dollars_of_names_begin_no_mathematics(name):
    """Mathematics would drop the dollars, or fail on what is no formula."""
    names, codes = [name, "other"], np.arange(20) % 2
    figure, axes = plt.subplots(3, 3, figsize=(12, 12))
    ax = axes.ravel()
    ax[0].set_title(figures.literal(name))
    figures.draw_class_map(ax[1], codes.reshape(4, 5), names)
    figures.draw_confusion(ax[2], np.eye(2, dtype=int), names)
    figures.draw_folds(ax[3], pd.DataFrame([[1, 2]], columns=names))
    ax[3].legend()
    figures.draw_mean_spectra(ax[4], WAVENUMBER, np.ones((2, 41)), names=names)
    figures.draw_embedding(ax[5], np.random.default_rng(0).random((20, 2)), codes, names, annotate=[0])
    figures.draw_context_counts(ax[6], np.ones(2), np.ones(2), names=names, what=name)
    figures.draw_context_spectra(ax[7:], WAVENUMBER, np.ones((2, 41)), np.ones((2, 41)), names)
    figure.canvas.draw()
    written = [text.get_text() for text in figure.findobj(matplotlib.text.Text) if "\\$" in text.get_text()]
    assert len(written) >= 10
    assert {text.removeprefix("Spectra: ").replace("\\$", "$") for text in written} == {name}
    assert not any(matplotlib.cbook.is_math_text(text) is True for text in written)
