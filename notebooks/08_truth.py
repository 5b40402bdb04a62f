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
from shown import pathways
from shown import truth as page
from shown.cells import glue_all, shown

from ftirlib.method import stages
from ftirlib.method.run import open_run
from ftirlib.report import figures

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

# %% [markdown] tags=["without-truth"]
# ```{note}
# The truth behind these spectra is not known: no simulation made them. This page has nothing to score, and is whole
# only in the book of simulated data.
# ```

# %% tags=["hide-input", "needs-truth"]
name, agreement = page.best_vae(run), pathways.agreement_table(run)
glue_all("truth", page.numbers(run))

# %% [markdown] tags=["needs-truth"]
# **Finding.** Contexts of {glue:text}`truth-name` are {glue:text}`truth-purity` pure of one planted pathway (K-means
# of the plain spectra: {glue:text}`truth-plain`; one single cluster: {glue:text}`truth-least`), rank mislabelled pixels
# with an AUROC of {glue:text}`truth-suspects`, and LIME's weights find the planted bands with an AUROC of
# {glue:text}`truth-bands`.

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
# {glue:text}`truth-plain-rand` for K-means of the spectra. Much of it can be agreement with classes; *within a class* is
# the same index among the spectra of one true class, where several pathways lead to it: {glue:text}`truth-within` for
# the contexts, {glue:text}`truth-plain-within` for K-means of the spectra. Means over the folds' test sets, with
# bootstrap intervals over groups; that of a purity lies high, as contexts of fewer patients look purer.
#
# Over all folds, on the same draws of groups, the contexts' lead in the adjusted Rand index over K-means of the
# spectra is {glue:text}`truth-over-plain`, and over K-means of principal components of spectra and weights
# {glue:text}`truth-pca`.

# %% tags=["hide-input", "needs-truth"]
display(shown(pathways.agreement_cells(agreement)))

# %% [markdown] tags=["needs-truth"]
# ### Does supervision help?
#
# The paper finds latent spaces with some supervision easier to read. Here it is a number: agreement with the
# pathways with the most supervision less that with the least, variant by variant, over all folds. In the adjusted Rand
# index, {glue:text}`truth-supervision`. What it does to the linear models' scores is in [](07_linearisation.ipynb).

# %% tags=["hide-input", "needs-truth"]
display(shown(pathways.supervision_table(run)))

# %% [markdown] tags=["needs-truth"]
# {numref}`fig-truth-purity` changes the number of contexts: any clustering gets purer with more clusters, and what
# counts is whether one curve lies above another, beyond what other patients would change.

# %% tags=["hide-input", "needs-truth"] mystnb={"figure": {"name": "fig-truth-purity", "caption": "Left, purity of one planted pathway against the number of contexts, mean over the folds' test sets; dashed, one single cluster. Right, the autoencoder's purity less that of each clustering without one, with bootstrap intervals over groups. {glue:text}`truth-patches`."}, "image": {"alt": "Two panels against the number of contexts: purity of four kinds of contexts, and the lead of the autoencoder over three of them with bands"}}
curves = pathways.purity_curves(run, name)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
single = float(agreement["purity"]["value"].iloc[-1])
looks = {"x_name": "Contexts", "y_scale": "linear"}
figures.draw_trade_off(axes[0], curves.purities, y_name="Purity", mark=single, **looks)
figures.draw_trade_off(axes[1], curves.leads, y_name="Lead in purity", legend=False, **looks)
run.publish(figure, "fig-truth-purity")

# %% [markdown] tags=["needs-truth"]
# ## Is the autoencoder worth its price?
#
# A control keeps everything but one thing. Four train the autoencoder {glue:text}`truth-reference` again, from the same
# seed, with *permuted labels*, with *shuffled weights* (each spectrum has another's), with *spectra alone* or *weights
# alone*. The others have no autoencoder: K-means of spectra or weights, or of as many principal components of both as
# the latent space has dimensions, once with the weights shuffled; and *sizes alone*, the contexts dealt out at random.
# All are found on the validation set of each fold and scored on its test set. The lead is that of
# {glue:text}`truth-reference` in the adjusted Rand index, mean over the folds, on the same draws of groups.
#
# - Over PCA of both: {glue:text}`truth-worth`.
# - Over the spectra alone, without explanations: {glue:text}`truth-without-weights`.
# - Over explanations that belong to other spectra: {glue:text}`truth-shuffled`.
# - Over chance with the same sizes: {glue:text}`truth-chance`.
#
# Of {glue:text}`truth-controls` controls, {glue:text}`truth-summary`. A star in the table marks a lead whose interval
# leaves out 0; the intervals are per difference.

# %% tags=["hide-input", "needs-truth"] mystnb={"figure": {"name": "fig-truth-controls", "caption": "Adjusted Rand index of contexts and planted pathways (left), and the lead of the reference (right), with bootstrap intervals over groups; mean over the folds' test sets. {glue:text}`truth-patches`."}, "image": {"alt": "Estimates with intervals for every autoencoder and every control, and the differences to the reference"}}
controls = pathways.control_table(run)
rand = controls[controls.measure == "adjusted_rand"]
figure, axes = plt.subplots(1, 2, figsize=(9, 0.34 * len(rand) + 1.6), sharey=True, layout="constrained")
figures.draw_controls(axes[0], rand, value="value", label="Adjusted Rand index", chance=0.0)
figures.draw_controls(axes[1], rand, value="difference", label=f"Lead of {stages.control_reference(run)}", chance=0.0)
run.publish(figure, "fig-truth-controls")

# %% tags=["hide-input", "needs-truth"]
display(shown(pathways.control_cells(controls)))

# %% [markdown] tags=["needs-truth"]
# ## Are mislabelled pixels found?
#
# A context is suspect when predictions oppose labels in it; that share, taken on the validation set, is the suspicion
# of every test pixel in the context. It can be compared with something simpler: one minus the ensemble's own vote for
# the label ({glue:text}`truth-votes`). The contexts' AUROC less the vote's, on the same draws of groups, is
# {glue:text}`truth-lead`. Precision and recall are of what lies above a half, where most predictions (or votes) oppose
# the label; a context is truly mislabelled when most of its test pixels are.

# %% tags=["hide-input", "needs-truth"] mystnb={"figure": {"name": "fig-truth-mislabelled", "caption": "Ranking of mislabelled test pixels by the suspicion of their context and by the ensemble's own vote, all folds. {glue:text}`truth-patches`."}, "image": {"alt": "Receiver operating characteristic of two suspicion scores"}}
figure, ax = plt.subplots(figsize=(4.8, 4.8), layout="constrained")
figures.draw_roc(ax, page.mislabel_curves(run, name))
run.publish(figure, "fig-truth-mislabelled")

# %% tags=["hide-input", "needs-truth"]
display(shown(page.mislabel_cells(page.mislabel_tables(run))))

# %% [markdown] tags=["needs-truth"]
# ## Is dead tissue set apart?
#
# The paper's context 31 gathered necrotic spectra labelled normal. Dead tissue is planted in some images without
# cancer; per fold, the context that holds most of it, what share of it that is, and how much of that context is dead.
#
# The paper expects that such a context could be classified if necrosis were labelled. If it were, on the validation
# set, the share of dead pixels of each context there would rank the test pixels of images without cancer with an AUROC
# of {glue:text}`truth-necrosis`.

# %% tags=["hide-input", "needs-truth"]
display(shown(page.necrosis_table(run, name), precision=2, na_rep="none"))

# %% [markdown] tags=["needs-truth"]
# ## Do weights fall on the planted bands?
#
# For test spectra that the ensemble classifies as what they truly are, the AUROC over wavenumbers asks whether large
# weights, of either sign, lie within the bands that the simulation changed. The control moves each set of weights
# along the axis by a random distance.

# %% tags=["hide-input", "needs-truth"]
display(shown(page.band_cells(page.band_table(run))))

# %% tags=["hide-input", "needs-truth", "nbval-check-output", "remove-cell"]
purity = agreement["purity"]["value"]
print(f"purity is at least that of one cluster: {bool((purity >= purity.iloc[-1] - 1e-9).all())}")
