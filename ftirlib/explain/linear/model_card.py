"""A linear model on one printed page: what it knows, how far it agrees, how to apply it by hand, where it ends.

Mitchell et al. 2019, Model cards for model reporting (10.1145/3287560.3287596).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np

from ftirlib.errors import DataError
from ftirlib.explain.crime.contexts import ContextTable
from ftirlib.explain.linear.linear import LinearClassifier
from ftirlib.explain.linear.naming import name_peaks

FEW = 10  # spectra below which a context's mean is called uncertain
RECIPE = """import json, numpy as np
model = json.load(open("linear.json", encoding="utf-8"))
unit = lambda v: 2 * (v - v.min()) / (v.max() - v.min()) - 1
def classify(x):  # absorbance on the model's wavenumbers
    scores = []
    for context in model["contexts"]:
        m, w = (np.array(context[key]) for key in ("mean_spectrum", "mean_weights"))
        a = {IMPORTANCE} if np.ptp(w) else np.ones_like(w)
        left, right = a * unit(m), a * unit(np.asarray(x, float))
        norm = np.sqrt(left @ left * (right @ right))
        scores.append(left @ right / norm if norm else 0.0)
    return model["contexts"][int(np.argmax(scores))]["label"]"""
IMPORTANCE = {"signed": "unit(w)", "absolute": "abs(w) / abs(w).max()", "none": "np.ones_like(w)"}
LOOK = {
    "signed": "its mean weights, likewise mapped to [-1, 1] (the sign cancels: what counts is the distance from the "
    "middle of their range)",
    "absolute": "the size of its mean weights, divided by the largest",
    "none": "1 everywhere",
}
STYLE = """@page { size: A4; margin: 10mm 12mm }
body { font: 9pt/1.3 sans-serif; max-width: 186mm; margin: 4mm auto; padding: 0 3mm; color: #111 }
h1 { font-size: 15pt; margin: 0 0 1mm } h2 { font-size: 10.5pt; margin: 3mm 0 1mm; border-bottom: 0.3mm solid #999 }
p, ol, ul { margin: 1mm 0 } ol, ul { padding-left: 5mm } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: 0.3mm 2mm 0.3mm 0; vertical-align: middle } th { font-weight: 600 }
td.n, th.n { text-align: right } tr { border-bottom: 0.1mm solid #ddd; break-inside: avoid }
pre { font: 7pt/1.25 monospace; background: #f4f4f4; padding: 1.5mm; margin: 1mm 0; white-space: pre-wrap }
svg { display: block } .two { display: grid; grid-template-columns: 1fr 1fr; gap: 5mm }
@media print { body { font-size: 8pt; line-height: 1.2; margin: 0; padding: 0 } h1 { font-size: 13pt }
h2 { font-size: 9pt; margin: 2mm 0 0.5mm } pre { font-size: 6.3pt; line-height: 1.15; padding: 1mm } }"""


def model_card(
    model: LinearClassifier,
    *,
    title: str,
    table: ContextTable | None = None,
    agreement: Mapping[str, tuple[float, float, float]] | None = None,
    made_from: str = "",
    limits: Sequence[str] = (),
    most: int = 10,
) -> str:
    """The page as HTML that needs no other file and prints on one sheet of A4.

    Parameters
    ----------
    model : LinearClassifier
    title : str
    table : ContextTable, optional
        Of the spectra the contexts were found on: adds sizes and purities, and the limits that follow from them.
    agreement : mapping of str to (estimate, low, high), optional
        Such as ``"with the ensemble, balanced accuracy": (0.81, 0.74, 0.86)``; shares of 1.
    made_from : str
        Which spectra, autoencoder and run the model comes from.
    limits : sequence of str
        Limits of use beyond those that the model itself shows.
    most : int
        Contexts listed, the largest first (without `table`: the first). The page says how many are left to the JSON.

    Returns
    -------
    str

    Raises
    ------
    DataError
        A table that has no row for a context of the model, or labels it otherwise.
    """
    size, purity = _matched(model, table)
    order = np.arange(len(size)) if table is None else np.argsort(-size, kind="stable")
    axis = model.wavenumber
    names, words = model.class_names, html.escape
    head = (
        f"{len(model.labels)} contexts, {len(set(model.labels.tolist()))} of {len(names)} classes, {axis.size} "
        f"wavenumbers from {axis.min():g} to {axis.max():g} cm<sup>-1</sup>, weighting “{model.weighting}”."
    )
    parts = [
        f"<h1>{words(title)}</h1>",
        f"<p>{head} {words(made_from)}</p>",
        '<div class="two"><div><h2>Classes</h2>',
        _classes(model, size, known=table is not None),
        "</div><div><h2>Agreement</h2>",
        _agreement(agreement),
        "</div></div>",
        "<h2>Contexts</h2>",
        _contexts(model, order[:most], size, purity, known=table is not None),
        _left_out(len(order), most),
        "<h2>How to apply it by hand</h2>",
        _steps(model),
        f"<pre>{words(recipe(model))}</pre>",
        "<h2>Limits of use</h2><ul>",
        *(f"<li>{words(limit)}</li>" for limit in [*own_limits(model, table), *limits]),
        "</ul>",
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{words(title)}</title>\n'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(part for part in parts if part) + "\n</body></html>\n"
    )


def recipe(model: LinearClassifier) -> str:
    """A dozen lines of Python that apply the model's JSON with NumPy alone: the function `classify`."""
    return RECIPE.replace("{IMPORTANCE}", IMPORTANCE[model.weighting])


def own_limits(model: LinearClassifier, table: ContextTable | None = None) -> list[str]:
    """Limits of use that the model itself shows, one sentence each."""
    axis, out = model.wavenumber, []
    if missing := sorted(set(range(len(model.class_names))) - set(model.labels.tolist())):
        out.append(f"It can never answer {' or '.join(model.class_names[k] for k in missing)}: no context has it.")
    if table is not None:
        size, purity = _matched(model, table)
        if few := int((size < FEW).sum()):
            out.append(f"{few} of {len(size)} contexts hold fewer than {FEW} spectra; their means are uncertain.")
        if mixed := int((purity <= 0.5).sum()):
            out.append(f"In {mixed} of {len(size)} contexts no class has more than half of the spectra.")
    out += [
        f"For spectra on exactly its axis ({axis.min():g} to {axis.max():g} cm-1), prepared as those it was made from.",
        "It always answers: a spectrum of anything else also gets the class of its nearest context. A low largest "
        "similarity, or a small lead over the next class, is a warning.",
        "Similarities are no probabilities. Its labels are a network's predictions, learned from one label per image.",
        "Made for research; not a medical device.",
    ]
    return out


def _matched(model: LinearClassifier, table: ContextTable | None) -> tuple[np.ndarray, np.ndarray]:
    """Size and purity of each of the model's contexts; zeros without a table."""
    if table is None:
        return np.zeros(len(model.labels), int), np.ones(len(model.labels))
    if model.context.max() >= len(table.size) or not np.array_equal(table.label[model.context], model.labels):
        raise DataError(
            f"the table of {len(table.size)} contexts does not describe the model's {len(model.labels)}; give that of "
            "the contexts the model was made from."
        )
    return table.size[model.context], table.purity[model.context]


def _classes(model, size, *, known: bool) -> str:
    rows = []
    for k, name in enumerate(model.class_names):
        mine = model.labels == k
        rows.append([html.escape(name), mine.sum(), size[mine].sum()] if known else [html.escape(name), mine.sum()])
    return _table(["class", "contexts", "spectra"][: 3 if known else 2], rows)


def _agreement(agreement) -> str:
    if not agreement:
        return "<p>Not measured.</p>"
    rows = [[html.escape(what), f"{e:.2f}", f"{low:.2f} to {high:.2f}"] for what, (e, low, high) in agreement.items()]
    return _table(["of test spectra", "", "interval"], rows)


def _contexts(model, order, size, purity, *, known: bool) -> str:
    rows = []
    for k in order:
        peaks = name_peaks(model.wavenumber, model.mean_weights[k])
        row = [model.context[k], html.escape(model.class_names[model.labels[k]])]
        row += [size[k], f"{purity[k]:.2f}"] if known else []
        heaviest = html.escape("; ".join(map(str, peaks)))
        rows.append([*row, heaviest, _line(model.mean_spectra[k], "#0072b2"), _line(model.mean_weights[k], "#d55e00")])
    head = ["no.", "class", *(["spectra", "purity"] if known else []), "heaviest weights, cm-1", "spectrum", "weights"]
    return _table(head, rows)


def _line(values: np.ndarray, colour: str, width: int = 90, height: int = 15) -> str:
    """A curve drawn high to low wavenumber, as spectra are, scaled to its own range; zero as a pale line."""
    values = values[np.linspace(0, len(values) - 1, min(len(values), 2 * width)).round().astype(int)]
    low, high = float(min(values.min(), 0)), float(max(values.max(), 0))
    span = high - low or 1.0
    x = np.linspace(width, 0, len(values))
    y = (high - values) / span * (height - 2) + 1
    zero = high / span * (height - 2) + 1
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="curve">'
        f'<path d="M0 {zero:.1f}H{width}" stroke="#ccc"/>'
        f'<polyline points="{points}" fill="none" stroke="{colour}"/></svg>'
    )


def _left_out(n: int, most: int) -> str:
    return f"<p>The {most} largest of {n} contexts; every one is in the JSON.</p>" if n > most else ""


def _steps(model: LinearClassifier) -> str:
    similarity = model.similarity(model.mean_spectra[:1])[0]
    others = np.flatnonzero(model.labels != model.labels[0])
    check = f"Check: the mean spectrum of context {model.context[0]} has similarity {similarity[0]:.3f} to itself"
    if len(others):
        rival = others[similarity[others].argmax()]
        other = f"context {model.context[rival]}, {model.class_names[model.labels[rival]]}"
        check += f", and at most {similarity[rival]:.3f} to one of another class ({other})"
    return (
        "<ol><li>Map the spectrum linearly so that its smallest value is -1 and its largest 1; likewise each context's "
        f"mean spectrum.</li><li>Multiply both, wavenumber by wavenumber, by the context's importance: "
        f"{LOOK[model.weighting]}.</li><li>The similarity is the cosine of the two: the sum of their products over the "
        "root of the product of their sums of squares.</li><li>The answer is the class of the context with the largest "
        f"similarity. {html.escape(check)}.</li></ol>"
    )


def _table(head: list, rows: list[list]) -> str:
    """Rows of ready HTML; columns of numbers are set to the right, their heads too."""

    def is_number(value) -> bool:
        return isinstance(value, (int, np.integer)) or str(value).replace(".", "", 1).isdigit()

    right = [is_number(value) for value in rows[0]] if rows else [False] * len(head)

    def line(tag, row):
        cells = "".join(f'<{tag} class="n">{v}</{tag}>' if r else f"<{tag}>{v}</{tag}>" for v, r in zip(row, right))
        return f"<tr>{cells}</tr>"

    return "<table>" + "\n".join([line("th", head), *(line("td", row) for row in rows)]) + "</table>"
