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
# # Linear models
#
# Can a model that a person can read stand in for the ensemble?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from IPython.display import HTML, display
from shown import linear as page
from shown.cells import glue_all, shown, wide_scores

from ftirlib.method.run import open_run
from ftirlib.report import figures
from ftirlib.report.scores import SCORE_TITLES

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

name = page.best_vae(run)
glue_all("lin", page.numbers(run))

# %% [markdown]
# **Finding.** A linear model of {glue:text}`lin-contexts` mean spectra and weights ({glue:text}`lin-name`) gives the
# ensemble's answer for {glue:text}`lin-model` of the test spectra, and has a balanced accuracy of
# {glue:text}`lin-labels` against the labels (bootstrap over groups: {glue:text}`lin-interval`); the ensemble has
# {glue:text}`lin-ensemble`. Of all autoencoders this one is shown because its linear model does best on the validation
# sets.

# %% [markdown]
# ## The model
#
# Each context is a mean spectrum, mean LIME weights, and the class most of its spectra are predicted to be. A new
# spectrum gets the class of the context with the largest weighted cosine similarity; mean spectrum, weights and
# spectrum are each mapped linearly to −1…1 first. Nothing else is learned: the whole model is one JSON of
# {glue:text}`lin-size` kB, applied by NumPy alone.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-lin-scores", "caption": "Figure 2b of the paper for this run: linear models against the labels (L) and against the ensemble (M). The number after the name is the share of supervision. Whiskers: one standard deviation over folds. Brackets: bootstrap over groups of the scores pooled over folds. Dashed: majority class. {glue:text}`lin-patches`."}, "image": {"alt": "Grouped bars of accuracy, balanced accuracy and Matthews correlation of the linear models against labels and ensemble"}}
figure, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
figures.draw_score_bars(ax, page.linear_scores(run, replicates=False), scores=["accuracy", "balanced_accuracy", "mcc"])
run.publish(figure, "fig-lin-scores")

# %% tags=["hide-input"]
scores = ["accuracy", "balanced_accuracy", "mcc", "f1"]
display(shown(wide_scores(page.linear_scores(run), scores, SCORE_TITLES), index=True))

# %% [markdown]
# ## Which is better?
#
# Scores of models on the same spectra rise and fall together, so each model is compared with {glue:text}`lin-name` on
# the same draws of groups: its score less that of {glue:text}`lin-name`, with the bootstrap interval. A star marks an
# interval that leaves out 0; the intervals are per difference, not for all at once.

# %% tags=["hide-input"]
pairs = page.difference_table(page.paired_models(run, name))
display(shown(pairs.rename(columns=SCORE_TITLES), index=True))

# %% [markdown]
# ## Does supervision help?
#
# The balanced accuracy with the most supervision less that with the least, variant by variant: {glue:text}`lin-supervision`.
# Autoencoders of each kind that differ by seed alone: {glue:text}`lin-seeds` per fold.

# %% tags=["hide-input"]
display(shown(page.supervision_cells(page.supervision_table(run))))

# %% [markdown]
# ## Reading the model
#
# The largest contexts of the first fold, as an auditor would read them: how many validation spectra, which class, how
# pure, and the bands with the heaviest mean weights.

# %% tags=["hide-input"]
display(shown(page.audit_table(run), formatter={"purity": "{:.2f}"}))

# %% [markdown]
# Where these bands are published, for the same contexts: a peak is named when the centre of a band in the table lies
# within a quarter of a band's usual width, which suggests an assignment and proves none.

# %% tags=["hide-input"]
formats = {"wavenumber": "{:.0f}", "weight": "{:+.2g}", "offset": "{:+.0f}"}
peaks = shown(page.peak_table(run), formatter=formats, na_rep="none")
display(peaks.set_properties(subset=["source"], **{"overflow-wrap": "anywhere", "min-width": "12em"}))

# %% [markdown]
# ## One page to hand over
#
# The model of the first fold as a card that prints on one sheet: what it knows, how far it agrees, how to apply it by
# hand, and where it ends. Every fold and autoencoder has such a page beside its JSON, under `cards/` in the run's folder.

# %% tags=["hide-input"]
display(HTML(page.card_frame(run, name)))

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(f"the JSON gives the stored predictions again: {page.linear_reproduces(run, name)}")
