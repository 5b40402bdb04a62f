"""Card of a linear model on one printed page: its contexts, its agreement, how to apply it by hand, its limits.

Mitchell et al. 2019, Model cards for model reporting (10.1145/3287560.3287596).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from ftirlib.errors import DataError
from ftirlib.explain.crime.contexts import ContextTable
from ftirlib.explain.linear.linear import LinearClassifier
from ftirlib.explain.linear.naming import name_peaks
from ftirlib.html_page import page

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
CARD = """<p>{{ facts }} cm<sup>-1</sup>, weighting “{{ weighting }}”. {{ made_from }}</p>
<div class="two"><div><h2>Classes</h2>
{{ table(*classes) }}
</div><div><h2>Agreement</h2>
{% if agreement %}
{{ table(["of test spectra", "", "interval"], agreement) }}
{% else %}
<p>Not measured.</p>
{% endif %}
</div></div>
<h2>Contexts</h2>
{{ table(*contexts) }}
{% if n_contexts > most %}
<p>The {{ most }} largest of {{ n_contexts }} contexts; every one is in the JSON.</p>
{% endif %}
<h2>How to apply it by hand</h2>
<ol>
<li>Map the spectrum linearly so that its smallest value is -1 and its largest 1; likewise each context's mean
spectrum.</li>
<li>Multiply both, wavenumber by wavenumber, by the context's importance: {{ importance }}.</li>
<li>The similarity is the cosine of the two: the sum of their products over the root of the product of their sums of
squares.</li>
<li>The answer is the class of the context with the largest similarity. {{ check }}.</li>
</ol>
<pre>{{ recipe }}</pre>
<h2>Limits of use</h2>
<ul>
{% for limit in limits %}
<li>{{ limit }}</li>
{% endfor %}
</ul>"""


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
    known, axis = table is not None, model.wavenumber
    facts = (
        f"{len(model.labels)} contexts, {len(set(model.labels.tolist()))} of {len(model.class_names)} classes, "
        f"{axis.size} wavenumbers from {axis.min():g} to {axis.max():g}"
    )
    agreed = [[name, f"{e:.2f}", f"{low:.2f} to {high:.2f}"] for name, (e, low, high) in (agreement or {}).items()]
    return page(
        title,
        CARD,
        facts=facts,
        weighting=model.weighting,
        made_from=made_from,
        classes=_classes(model, size, known=known),
        agreement=agreed,
        contexts=_contexts(model, order[:most], size, purity, known=known),
        n_contexts=len(order),
        most=most,
        importance=LOOK[model.weighting],
        check=_check(model),
        recipe=recipe(model),
        limits=[*own_limits(model, table), *limits],
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


def _classes(model, size, *, known: bool) -> tuple[list, list]:
    """Head and rows of the table of classes; the number of spectra is left out where it is not known."""
    rows = [
        [name, (model.labels == k).sum(), size[model.labels == k].sum()] for k, name in enumerate(model.class_names)
    ]
    n = 3 if known else 2
    return ["class", "contexts", "spectra"][:n], [row[:n] for row in rows]


def _contexts(model, order, size, purity, *, known: bool) -> tuple[list, list]:
    """Head and rows of the table of contexts, with their curves."""
    rows = []
    for k in order:
        heaviest = "; ".join(map(str, name_peaks(model.wavenumber, model.mean_weights[k])))
        curves = _line(model.mean_spectra[k], "#0072b2"), _line(model.mean_weights[k], "#d55e00")
        counted = [size[k], f"{purity[k]:.2f}"] if known else []
        rows.append([model.context[k], model.class_names[model.labels[k]], *counted, heaviest, *curves])
    head = ["no.", "class", *(["spectra", "purity"] if known else []), "heaviest weights, cm-1", "spectrum", "weights"]
    return head, rows


def _line(values: np.ndarray, colour: str, width: int = 90, height: int = 15) -> Markup:
    """A curve drawn high to low wavenumber, as spectra are, scaled to its own range; zero as a pale line."""
    values = values[np.linspace(0, len(values) - 1, min(len(values), 2 * width)).round().astype(int)]
    low, high = float(min(values.min(), 0)), float(max(values.max(), 0))
    span = high - low or 1.0
    x = np.linspace(width, 0, len(values))
    y = (high - values) / span * (height - 2) + 1
    zero = high / span * (height - 2) + 1
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
    return Markup(
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="curve">'
        f'<path d="M0 {zero:.1f}H{width}" stroke="#ccc"/>'
        f'<polyline points="{points}" fill="none" stroke="{colour}"/></svg>'
    )


def _check(model: LinearClassifier) -> str:
    """Similarities that a reader who follows the steps can compare with."""
    similarity = model.similarity(model.mean_spectra[:1])[0]
    others = np.flatnonzero(model.labels != model.labels[0])
    check = f"Check: the mean spectrum of context {model.context[0]} has similarity {similarity[0]:.3f} to itself"
    if not len(others):
        return check
    rival = others[similarity[others].argmax()]
    other = f"context {model.context[rival]}, {model.class_names[model.labels[rival]]}"
    return f"{check}, and at most {similarity[rival]:.3f} to one of another class ({other})"
