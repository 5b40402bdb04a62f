"""Figures of the book: functions that take axes and arrays, draw, return the axes, and compute nothing.

One module a subject; `use_style` sets the look and `publish` saves the files.
"""

from ftirlib.report.figures.architecture import draw_architecture
from ftirlib.report.figures.autoencoders import TERMS, draw_controls, draw_cost, draw_term, share_legend
from ftirlib.report.figures.bars import draw_confusion, draw_folds, draw_score_bars
from ftirlib.report.figures.contexts import FEW, draw_context_counts, draw_embedding
from ftirlib.report.figures.curves import (
    draw_agreement,
    draw_distribution,
    draw_history,
    draw_perturbation_curves,
    draw_reliability,
    draw_roc,
    draw_trade_off,
)
from ftirlib.report.figures.maps import class_legend, draw_class_map, draw_context_map, draw_image, draw_tissue
from ftirlib.report.figures.spectra import draw_attribution, draw_context_spectra, draw_mean_spectra
from ftirlib.report.figures.style import STYLE, class_colours, class_marks, literal, publish, use_style

__all__ = [
    "FEW",
    "STYLE",
    "TERMS",
    "class_colours",
    "class_legend",
    "class_marks",
    "draw_agreement",
    "draw_architecture",
    "draw_attribution",
    "draw_class_map",
    "draw_confusion",
    "draw_context_counts",
    "draw_context_map",
    "draw_context_spectra",
    "draw_controls",
    "draw_cost",
    "draw_distribution",
    "draw_embedding",
    "draw_folds",
    "draw_history",
    "draw_image",
    "draw_mean_spectra",
    "draw_perturbation_curves",
    "draw_reliability",
    "draw_roc",
    "draw_score_bars",
    "draw_term",
    "draw_tissue",
    "draw_trade_off",
    "literal",
    "publish",
    "share_legend",
    "use_style",
]
