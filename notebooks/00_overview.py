# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     cell_metadata_filter: tags,mystnb,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Reasons for every spectrum
#
# Can infrared images with one label each teach a classifier whose reasons can be read and checked?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from shown import models as page
from shown.cells import glue_all

from ftirlib.method import stages
from ftirlib.method.run import open_run
from ftirlib.report import figures

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

table = stages.scores(run)
glue_all("intro", page.overview_numbers(run))

# %% [markdown]
# **Abstract.** An infrared image of tissue has thousands of spectra and one label. This book takes such images through
# the whole method of Hartigan, Azevedo and Liò {cite}`hartigan2025`: a vote of multi-scale networks whose kernels are as wide as
# infrared bands, LIME explanations of its spectra, contexts found in the latent space of a semi-supervised autoencoder of spectra
# and explanations, and linear models built from the contexts that a person can audit. On the {glue:text}`intro-data`
# ({glue:text}`intro-spectra` spectra of {glue:text}`intro-groups` groups; {glue:text}`intro-classes`) the ensemble
# reaches a balanced accuracy of {glue:text}`intro-ensemble` over folds (bootstrap over groups:
# {glue:text}`intro-interval`; always answering the most common class: {glue:text}`intro-majority`), the best simple
# model {glue:text}`intro-baseline`. The linear model gives the ensemble's answer for {glue:text}`intro-agrees` of the
# test spectra, with a balanced accuracy of {glue:text}`intro-linear` against the labels. The explanations correlate
# with themselves under other random perturbations by {glue:text}`intro-stability` (median).

# %% [markdown] tags=["needs-simulated"]
# ```{admonition} Simulated data
# :class: warning
# The spectra of this copy of the book are **simulated**. The cohort of the paper is private; the simulation has the
# advantage that its truth is known, and the method is scored against it in [](08_truth.ipynb). No number here is a claim about patients.
# ```

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-overview", "caption": "Every model of this run against the labels of the test sets: mean over four folds, whiskers one standard deviation, brackets the bootstrap interval over groups, dashed lines the majority class. CP, CT and TT are linear models of contexts (convolutional or transformer encoder, perceptron or transformer decoder); the number is the share of supervision."}, "image": {"alt": "Grouped bars of accuracy and balanced accuracy for every model"}}
figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
figures.draw_score_bars(ax, table[table.target == "labels"], scores=["accuracy", "balanced_accuracy"])
run.publish(figure, "fig-overview")

# %% [markdown]
# ## How to read this book
#
# Each chapter opens with its finding. Numbers in the text come from the run that made these pages; none is typed.
# [](02_methodology.ipynb) says how spectra are split and scored, [](04_ensemble.ipynb) classifies them,
# [](05_explanations.ipynb) explains them, [](06_contexts.ipynb) and [](07_linearisation.ipynb) turn explanations into
# contexts and readable models, [](08_truth.ipynb) scores all of it where the truth is known, and
# [](09_discussion.ipynb) says what differs from the paper. [](../book/your_data.md) runs the same notebooks on your
# spectra. Every figure can be downloaded as SVG and PDF.

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(f"models scored: {sorted(set(table.model))}")
