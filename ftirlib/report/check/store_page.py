"""The report on a data set: lines for a terminal, and one page that holds its pictures (SVG) and its style.

The permutation test is drawn as in Ojala & Garriga 2010 (JMLR 11, 1833): the shuffled scores and the true one.
"""

from __future__ import annotations

import io
import re

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ftirlib.html_page import page
from ftirlib.report.check.store_check import Finding, StoreReport
from ftirlib.report.check.store_sums import SNR_EDGES
from ftirlib.report.figures.spectra import draw_mean_spectra
from ftirlib.report.figures.style import BLUE, GREY, PALE, STYLE, VERMILLION, legend_above
from ftirlib.spectra.prepare.quality import MINIMUM_SNR

CHECK = """<h2>What needs attention</h2>
<ul>
{% for finding in findings %}
<li><b class="{{ finding.level }}">{{ finding.level }}:</b> {{ finding.text }}</li>
{% endfor %}
</ul>
<h2>In numbers</h2>
{{ table(None, facts) }}
{% for title, head, rows in tables %}
<h2>{{ title }}</h2>
{{ table(head, rows) }}
{% endfor %}
<h2>In pictures</h2>
{% for svg, caption in pictures %}
<figure>{{ svg }}<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}"""
LEVELS = ("problem", "warning", "note")  # the worst first
INCHES = (6.0, 3.4)


def _facts(report: StoreReport) -> list[tuple[str, str]]:
    axis = report.wavenumber
    steps = np.diff(axis)
    even = "" if np.ptp(steps) <= 1e-3 * steps.mean() else f" ({steps.min():.4g} to {steps.max():.4g})"
    facts = [
        ("spectra", f"{report.n_spectra} in {report.n_images} images of {report.n_groups} groups"),
        ("axis", f"{axis.size} wavenumbers, {axis[0]:g} to {axis[-1]:g} cm-1 by {np.median(steps):.4g}{even}"),
        ("values", f"{report.n_not_finite} spectra not finite, {report.n_zero} zero throughout"),
    ]
    if quality := report.quality:
        least, middle, most = np.quantile(100 * report.tissue_share[np.isfinite(report.tissue_share)], [0, 0.5, 1])
        facts += [
            ("saturated", f"{quality['n_saturated']} spectra"),
            (
                "signal to noise",
                f"median about {quality['snr_median']:.0f}; {quality['n_noisy']} below {MINIMUM_SNR:g}",
            ),
            ("tissue", f"{middle:.0f} % of the median image ({least:.0f} to {most:.0f})"),
        ]
    facts += [(name.replace("_", " "), f"{times:.1f} times the noise") for name, times in report.gases.items()]
    exact, near = report.duplicates.exact, report.duplicates.near
    facts.append(("copies", f"{len(exact)} exact, {len(near)} near"))
    return facts


def _tables(report: StoreReport) -> list[tuple[str, list[str], list[list]]]:
    classes = ["class", "spectra", "images", "groups"]
    tables = [("Classes", classes, [[row[name] for name in classes] for row in report.class_table])]
    if len(report.batch_names) > 1:
        rows = [[name, *counts] for name, counts in zip(report.class_names, report.batch_table.tolist())]
        tables.append(("Images of each class in each batch", ["class", *report.batch_names], rows))
    return tables


def report_text(report: StoreReport) -> str:
    """The report as lines of text; what needs attention comes last, where a terminal leaves the eye."""
    facts = _facts(report)
    width = max(len(name) for name, _ in facts)
    lines = [report.title, *(f"{name:{width}}  {text}" for name, text in facts)]
    for title, header, rows in _tables(report):
        cells = [[str(cell) for cell in row] for row in (header, *rows)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines += ["", f"{title}:"]
        for row in cells:
            numbers = "".join(f"  {cell:>{w}}" for cell, w in zip(row[1:], widths[1:]))
            lines.append(f"  {row[0]:{widths[0]}}{numbers}")
    lines.append("")
    lines += [f"{finding.level}: {finding.text}" for finding in _by_level(report, LEVELS[::-1])]
    return "\n".join(lines)


def report_page(report: StoreReport) -> str:
    """The report as one HTML page that fetches nothing; the same report gives the same bytes."""
    return page(
        report.title,
        CHECK,
        findings=_by_level(report, LEVELS),
        facts=_facts(report),
        tables=_tables(report),
        pictures=_pictures(report),
    )


def _by_level(report: StoreReport, levels) -> list[Finding]:
    return [finding for level in levels for finding in report.findings if finding.level == level]


def _pictures(report: StoreReport):
    """SVG and caption of every picture that the data allow."""
    known = np.isfinite(report.class_means).all(axis=1)
    if known.any():
        has_labels = any(row["spectra"] for row in report.class_table if row["class"] in report.class_names)
        names = [name for name, k in zip(report.class_names, known) if k] if has_labels else ["all spectra"]
        means, sds = report.class_means[known], report.class_sds[known]
        yield (
            _svg("means", lambda ax: draw_mean_spectra(ax, report.wavenumber, means, sds, names)),
            "Mean spectrum and one standard deviation, of spectra with tissue where that can be told.",
        )
    if report.snr_counts.sum():
        yield (
            _svg("snr", lambda ax: draw_snr(ax, SNR_EDGES, report.snr_counts, minimum=MINIMUM_SNR)),
            "Height of amide I over the noise, of spectra with an amide I band.",
        )
    if np.isfinite(report.tissue_share).sum() > 1:
        yield _svg("tissue", lambda ax: draw_tissue_share(ax, report.tissue_share)), "Spectra with an amide I band."
    if (test := report.batch_test) is not None:
        yield (
            _svg("batch", lambda ax: draw_batch_test(ax, test.accuracy, test.shuffled, test.shuffled_in_class)),
            "Telling the batch of an image from its mean spectrum, groups kept apart.",
        )


def _svg(name: str, draw) -> Markup:
    """A picture as an element of a page."""
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=INCHES, layout="constrained")
        draw(figure.subplots())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    # Names inside a drawing are the page's names too, and every drawing begins to count anew.
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    return Markup(re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg))


def draw_snr(ax: Axes, edges, counts, *, minimum: float) -> Axes:
    """Draw how many spectra have which signal-to-noise ratio, on a scale of decades.

    Parameters
    ----------
    ax : Axes
    edges : (n_bins + 1,) array
        The first and last may be infinite: their bins are drawn as wide as their neighbours.
    counts : (n_bins,) int
    minimum : float
        Marked by a line.

    Returns
    -------
    Axes
    """
    edges, counts = np.array(edges, np.float64), np.asarray(counts)
    edges[0] = edges[0] if np.isfinite(edges[0]) else edges[1] ** 2 / edges[2]
    edges[-1] = edges[-1] if np.isfinite(edges[-1]) else edges[-2] ** 2 / edges[-3]
    ax.stairs(counts, edges, fill=True, color=BLUE)
    line = ax.axvline(minimum, color=VERMILLION, ls="--", label=f"least usable, {minimum:g}")
    ax.set_xscale("log")
    filled = np.flatnonzero(counts)
    if len(filled):
        ax.set_xlim(min(edges[filled[0]], minimum / 2), max(edges[filled[-1] + 1], minimum * 2))
    ax.set_xlabel("Signal-to-noise ratio of amide I")
    ax.set_ylabel("Spectra")
    legend_above(ax, [line], n_columns=1)
    return ax


def draw_tissue_share(ax: Axes, share) -> Axes:
    """Draw the share of tissue of each image, ascending; `share` is (n_images,), NaN left out."""
    share = np.sort(np.asarray(share, np.float64)[np.isfinite(share)])
    ax.plot(np.arange(1, len(share) + 1), 100 * share, ".", color=BLUE)
    ax.set_ylim(-3, 103)
    ax.set_xlabel("Image, by its share")
    ax.set_ylabel("Tissue / %")
    return ax


def draw_batch_test(ax: Axes, accuracy: float, shuffled, shuffled_in_class) -> Axes:
    """Draw the accuracy at telling the batch, beside that of shuffled batches.

    Parameters
    ----------
    ax : Axes
    accuracy : float
    shuffled, shuffled_in_class : (n_permutations,) array

    Returns
    -------
    Axes
    """
    edges = np.linspace(0, 1, 41)
    handles = [
        ax.hist(shuffled, edges, color=PALE, ec=GREY, label="shuffled")[2],
        ax.hist(shuffled_in_class, edges, histtype="step", color=BLUE, lw=1.6, label="shuffled within classes")[2][0],
        ax.axvline(accuracy, color=VERMILLION, ls="--", label="as measured"),
    ]
    ax.set_xlim(0, 1)
    ax.set_xlabel("Balanced accuracy at telling the batch")
    ax.set_ylabel("Shuffles")
    legend_above(ax, handles, n_columns=3)
    return ax
