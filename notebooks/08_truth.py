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
# # Scored against the truth
#
# Do contexts, suspicions and weights find what was planted?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from IPython.display import display
from myst_nb import glue

from ftirlib.report import figures
from ftirlib.run import context_views, stages, tables, truth_views, views
from ftirlib.run.runner import open_run

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

# %% [markdown] tags=["without-truth"]
# ```{note}
# The truth behind these spectra is not known: no simulation made them. This page has nothing to score, and is whole
# only in the book of simulated data.
# ```

# %% tags=["hide-input", "needs-truth"]
name = context_views.best_vae(run)
agreement = truth_views.agreement_table(run)
mislabel = truth_views.mislabel_table(run, name)
bands = truth_views.band_table(run)
on_bands, moved = truth_views.overall_band_auroc(run)
against_truth = truth_views.true_accuracy(run, "emscnn")
against_labels = tables.value_of(stages.scores(run), "emscnn", "accuracy")
rows = agreement.set_index("clusters")
suspects = mislabel.set_index("suspicion")
glue("truth-name", name, display=False)
glue("truth-purity", f"{rows.purity[f'contexts of {name}']:.0%}", display=False)
glue("truth-plain", f"{rows.purity['K-means of the spectra']:.0%}", display=False)
glue("truth-least", f"{rows.purity['one single cluster']:.0%}", display=False)
glue("truth-rand", f"{rows.adjusted_rand[f'contexts of {name}']:.2f}", display=False)
glue("truth-plain-rand", f"{rows.adjusted_rand['K-means of the spectra']:.2f}", display=False)
glue(
    "truth-suspects",
    f"{suspects.auroc['contexts']:.2f} [{suspects.low['contexts']:.2f}, {suspects.high['contexts']:.2f}]",
    display=False,
)
glue(
    "truth-votes",
    f"{suspects.auroc['ensemble']:.2f} [{suspects.low['ensemble']:.2f}, {suspects.high['ensemble']:.2f}]",
    display=False,
)
glue("truth-mislabelled", f"{suspects.mislabelled['contexts']:.0%}", display=False)
glue("truth-bands", f"{on_bands:.2f}", display=False)
glue("truth-moved", f"{moved:.2f}", display=False)
glue("truth-accuracy", views.interval_text(against_truth), display=False)
glue("truth-labels", f"{against_labels['mean']:.2f}", display=False)

# %% [markdown] tags=["needs-truth"]
# **Finding.** Contexts of {glue:text}`truth-name` are {glue:text}`truth-purity` pure of one planted pathway (K-means
# of the plain spectra: {glue:text}`truth-plain`; one single cluster: {glue:text}`truth-least`), rank mislabelled pixels
# with an AUROC of {glue:text}`truth-suspects`, and LIME's weights find the planted bands with an AUROC of
# {glue:text}`truth-bands` (moved along the axis: {glue:text}`truth-moved`).

# %% [markdown] tags=["needs-truth"]
# Everything on this page is about **simulated** spectra, the only ones whose truth is known per pixel: the class, the
# pathway by which the tissue became what it is, and whether the image's label is wrong for it.
#
# ## Is the ensemble better than its labels?
#
# Trained on labels of which {glue:text}`truth-mislabelled` are wrong, the ensemble agrees with the labels for a share
# of {glue:text}`truth-labels` of the test spectra, and with the truth for {glue:text}`truth-accuracy`.

# %% [markdown] tags=["needs-truth"]
# ## Are contexts pathways?
#
# *Purity* is the share of test spectra that belong to their cluster's most common pathway; it rises with the number of
# clusters for any clustering, so the same number of clusters of the plain spectra, and of the weights alone, stands
# beside it. The adjusted Rand index is 0 for chance and 1 for equality: {glue:text}`truth-rand` for the contexts,
# {glue:text}`truth-plain-rand` for K-means of the spectra. Mean ± standard deviation over folds.

# %% tags=["hide-input", "needs-truth"]
shown = agreement.assign(
    purity=tables.plus_minus(agreement, "purity"), adjusted_rand=tables.plus_minus(agreement, "adjusted_rand")
)
display(shown[["clusters", "purity", "adjusted_rand"]].style.hide(axis="index"))

# %% [markdown] tags=["needs-truth"]
# ## Are mislabelled pixels found?
#
# A context is suspect when predictions oppose labels in it; that share, taken on the validation set, is the suspicion
# of every test pixel in the context. It can be compared with something simpler: one minus the ensemble's own vote for
# the label ({glue:text}`truth-votes`). Precision and recall are of as many pixels as are truly mislabelled.

# %% tags=["hide-input", "needs-truth"] mystnb={"figure": {"name": "fig-truth-mislabelled", "caption": "Ranking of mislabelled test pixels by the suspicion of their context and by the ensemble's own vote, all folds."}, "image": {"alt": "Receiver operating characteristic of two suspicion scores"}}
figure, ax = plt.subplots(figsize=(4.8, 4.8), layout="constrained")
figures.draw_roc(ax, truth_views.mislabel_curves(run, name))
run.publish(figure, "fig-truth-mislabelled")

# %% tags=["hide-input", "needs-truth"]
display(mislabel.style.hide(axis="index").format(precision=2))

# %% [markdown] tags=["needs-truth"]
# ## Is dead tissue set apart?
#
# The paper's context 31 gathered necrotic spectra labelled normal. Dead tissue is planted in some images without
# cancer; per fold, the context that holds most of it, what share of it that is, and how much of that context is dead.

# %% tags=["hide-input", "needs-truth"]
display(truth_views.necrosis_table(run, name).style.hide(axis="index").format(precision=2, na_rep="none"))

# %% [markdown] tags=["needs-truth"]
# ## Do weights fall on the planted bands?
#
# For test spectra that the ensemble classifies as what they truly are, the AUROC over wavenumbers asks whether large
# weights, of either sign, lie within the bands that the simulation changed. The control moves each set of weights
# along the axis by a random distance.

# %% tags=["hide-input", "needs-truth"]
display(bands.style.hide(axis="index").format(precision=2, na_rep="too few groups"))

# %% tags=["hide-input", "needs-truth", "nbval-check-output", "remove-cell"]
print(f"purity is at least that of one cluster: {bool((agreement.purity >= agreement.purity.iloc[-1] - 1e-9).all())}")

# %% [markdown]
# ## Kept, and again with other data
#
# Results of this page are artefacts of the run, kept in its folder and made again only when something they depend
# on changes. `make book DATA=mine.zarr` tells the same story of other spectra; [](../book/your_data.md) shows how.

# %% tags=["remove-cell"]
run.close()
