"""The report on a data set as lines for a terminal and as one page that needs nothing else.

The page holds its pictures (SVG) and its style, and reads on a telephone: tables scroll, pictures shrink.
"""

from __future__ import annotations

import io
import re
from html import escape

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ftirlib.report.check.store_check import StoreReport
from ftirlib.report.check.store_walk import SNR_EDGES
from ftirlib.report.figures.spectra import draw_mean_spectra
from ftirlib.report.figures.store_check import draw_batch_test, draw_snr, draw_tissue_share
from ftirlib.report.figures.style import STYLE
from ftirlib.spectra.prepare.quality import MINIMUM_SNR

CSS = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:46rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
svg{max-width:100%;height:auto}figure{margin:1rem 0}figcaption{color:#444;font-size:.9rem}
.wide{overflow-x:auto}table{border-collapse:collapse}
th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left}
li{margin:.35rem 0}b.problem{color:#b3261e}b.warning{color:#8a5a00}b.note{color:#345}
"""
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
    for level in ("note", "warning", "problem"):
        lines += [f"{level}: {finding.text}" for finding in report.findings if finding.level == level]
    return "\n".join(lines)


def report_page(report: StoreReport) -> str:
    """The report as one HTML page that fetches nothing; the same report gives the same bytes."""
    parts = [f"<h1>{escape(report.title)}</h1>", "<h2>What needs attention</h2><ul>"]
    for level in ("problem", "warning", "note"):
        parts += [
            f'<li><b class="{level}">{level}:</b> {escape(finding.text)}</li>'
            for finding in report.findings
            if finding.level == level
        ]
    parts.append("</ul><h2>In numbers</h2>" + _html_table(None, _facts(report)))
    for title, header, rows in _tables(report):
        parts.append(f"<h2>{escape(title)}</h2>" + _html_table(header, rows))
    parts.append("<h2>In pictures</h2>")
    parts += [f"<figure>{svg}<figcaption>{escape(text)}</figcaption></figure>" for svg, text in _pictures(report)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{CSS}</style></head>\n<body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _html_table(header, rows) -> str:
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    head = "" if header is None else line(header, "th")
    return f'<div class="wide"><table>{head}{"".join(line(row, "td") for row in rows)}</table></div>'


def _pictures(report: StoreReport):
    """SVG and caption of every picture that the data allow."""
    held = np.isfinite(report.class_means).all(axis=1)
    if held.any():
        names = [name for name, h in zip(report.class_names or ["all spectra"], held) if h]
        if not (
            np.array([row["spectra"] for row in report.class_table if row["class"] in report.class_names]) > 0
        ).any():
            names = ["all spectra"]
        means, sds = report.class_means[held], report.class_sds[held]
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


def _svg(name: str, draw) -> str:
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
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
