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
# # Contexts
#
# Do spectra and their explanations together fall into groups that stand for different reasons?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from shown import contexts as page
from shown.cells import glue_all
from shown.results import histories

from ftirlib.method import stages
from ftirlib.method.run import open_run
from ftirlib.report import figures

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

name = page.best_vae(run)
view, names = page.context_view(run, name), page.class_names(run)
glue_all("ctx", page.numbers(run))

# %% [markdown]
# **Finding.** {glue:text}`ctx-count` contexts, found without the test set, sort its {glue:text}`ctx-spectra` explained
# spectra so that {glue:text}`ctx-purity` of them share their context's most common prediction (autoencoder
# {glue:text}`ctx-name`, {glue:text}`ctx-patch`; first fold). It is the one whose linear model does best on the
# validation sets; the test sets had no say.

# %% [markdown]
# ## Autoencoders
#
# A semi-supervised variational autoencoder (M2 {cite}`kingma2014`) learns four dimensions from each spectrum and its
# LIME weights together. Trained are {glue:text}`ctx-supervision`: encoder and decoder, then the share of spectra whose
# class the objective sees (C convolutional, T transformer, P perceptron). A transformer's token is a patch of points:
# one in the paper, here {glue:text}`ctx-patches`. Training uses the validation set of each fold, the pictures show the
# test set.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-training", "caption": "Training of the autoencoders of the first fold: terms of the loss per spectrum, and minus the bound of a patient held out, at the noise that suits it (lower is better); a marker at the epoch that is kept. {glue:text}`ctx-patches`."}, "image": {"alt": "Curves of reconstruction, latent term, classification and held-out bound of every autoencoder over epochs"}}
training = histories(run)
terms = [term for term in (*figures.TERMS, "validation") if any(h[-1].get(term) for h in training.values())]
figure, axes = plt.subplots(2, 2, figsize=(8, 6.6), layout="constrained")
for ax, term in zip(axes.flat, terms):
    figures.draw_term(ax, training, term)
for ax in axes.flat[len(terms) :]:
    ax.remove()
figures.share_legend(axes.flat[: len(terms)], n_columns=6)
run.publish(figure, "fig-ctx-training")

# %% [markdown]
# {numref}`fig-ctx-cost` is why the profiles differ in their patch: what one training step of the transformer pair (TT)
# costs against the length of its sequence, {glue:text}`ctx-cost-batch` spectra a step on one thread. At one token a
# wavenumber ({glue:text}`ctx-cost-tokens` tokens for a spectrum and its weights) it takes
# {glue:text}`ctx-cost-seconds` and {glue:text}`ctx-cost-memory` of memory; attention written out, with its matrix of
# tokens by tokens, is what the fused kernel spares. Measured once (`benchmarks/attention.py`), not by this run.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-cost", "caption": "Seconds of a training step of TT, and of its decoder's attention alone, against the number of tokens."}, "image": {"alt": "Log-log lines of seconds against tokens for a step, fused attention and attention written out"}}
tokens, seconds, _ = page.training_cost()
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
figures.draw_cost(ax, tokens, seconds, unit="Seconds")
run.publish(figure, "fig-ctx-cost")

# %% [markdown]
# ## The latent space

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-umap", "caption": "Figure 3a-b of the paper for this run: UMAP of the latent means of the test spectra, by context (left) and by label (right). {glue:text}`ctx-name`, {glue:text}`ctx-patch`."}, "image": {"alt": "Two scatter plots of the same points, coloured by context and by label"}}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 4.4), layout="constrained")
figures.draw_embedding(axes[0], view.points, view.assigned, [str(k) for k in range(view.n_contexts)])
figures.draw_embedding(axes[1], view.points, view.labelled, names)
run.publish(figure, "fig-ctx-umap")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-unsupervised", "caption": "Figure 4a of the paper for this run: the same variant with the least supervision, by label ({glue:text}`ctx-patch`)."}, "image": {"alt": "Scatter plot of the latent space of the least supervised autoencoder, coloured by label"}}
plain = page.least_supervised(run, name)
figure, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
figures.draw_embedding(ax, plain.points, plain.labelled, names)
ax.set_title(page.title(run, plain.name), pad=48)
run.publish(figure, "fig-ctx-unsupervised")

# %% [markdown] tags=["needs-positive"]
# ## Contexts against labels
#
# In the binary view a context *opposes* its labels when most of its spectra are labelled, and few predicted, positive.

# %% tags=["hide-input", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-counts", "caption": "Figure 3c of the paper for this run: spectra of each context that are labelled, and that are predicted, positive (test set, first fold; {glue:text}`ctx-name`, {glue:text}`ctx-patch`)."}, "image": {"alt": "Bars of labelled and predicted positive spectra per context"}}
chosen = page.chosen_contexts(run, view)
predicted, labelled = page.positive_counts(run, view)
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
figures.draw_context_counts(
    ax, predicted, labelled, highlight=chosen.numbers, what=", ".join(stages.prepared(run).attrs["positive_classes"])
)
run.publish(figure, "fig-ctx-counts")

# %% [markdown] tags=["needs-positive"]
# Figure 3d takes three contexts by rule: of those that are mostly positive by label and by prediction, the two farthest
# apart on the map; and the one that most opposes its labels. Here {glue:text}`ctx-opposing`
# {glue:text}`ctx-opposes`.

# %% tags=["hide-input", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-spectra", "caption": "Figure 3d of the paper for this run: mean spectra (above) and mean LIME weights (below) of the contexts chosen by rule ({glue:text}`ctx-name`, {glue:text}`ctx-patch`)."}, "image": {"alt": "Mean spectra and mean LIME weights of three contexts over wavenumber"}}
figure, axes = plt.subplots(2, 1, figsize=(7.5, 6), sharex=True, layout="constrained")
axis = stages.prepared(run).wavenumber.values
figures.draw_context_spectra(
    axes,
    axis,
    view.table.mean_spectra[chosen.numbers],
    view.table.mean_weights[chosen.numbers],
    page.chosen_names(run, view, chosen),
)
run.publish(figure, "fig-ctx-spectra")

# %% [markdown] tags=["without-positive"]
# ```{note}
# This data set names no positive class; the figures of the binary view are left out.
# ```

# %% [markdown] tags=["needs-images", "needs-positive"]
# ## Where the opposing context lies
#
# {numref}`fig-ctx-image` is the positive-labelled image with most explained pixels of that context.

# %% tags=["hide-input", "needs-images", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-image", "caption": "Figure 4b of the paper for this run: absorbance at 1650 cm⁻¹, and the explained pixels of the opposing context, neighbours in one circle ({glue:text}`ctx-name`, {glue:text}`ctx-patch`)."}, "image": {"alt": "False-colour image with dots on the pixels of one context"}}
image, picture, marked = page.opposing_pixels(run, view, chosen)
figure, ax = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
figures.draw_image(
    ax,
    picture.pixels,
    pixel_size_um=picture.pixel_size_um,
    mark=marked,
    mark_name=f"context {chosen.opposing}",
    colour_name="Absorbance at 1650 cm$^{-1}$",
)
ax.set_title(picture.title)
run.publish(figure, "fig-ctx-image")

# %% tags=["hide-input", "needs-truth", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-reference", "caption": "Figure 4c of the paper for this run: in place of the stained section, the true class of each pixel of the same simulated image ({glue:text}`ctx-name`, {glue:text}`ctx-patch`)."}, "image": {"alt": "Map of the true class of each pixel"}}
truth = page.truth_picture(run, image)
figure, ax = plt.subplots(figsize=(5.4, 4.8), layout="constrained")
figures.draw_class_map(ax, truth.pixels, names, pixel_size_um=truth.pixel_size_um).set_title(truth.title)
run.publish(figure, "fig-ctx-reference")

# %% [markdown] tags=["needs-images"]
# ## Image by image
#
# {numref}`fig-ctx-maps` shows whole images: the first of each label in the first fold's test set. The context is the
# one to which the linear model of {glue:text}`ctx-name` finds each pixel most similar ([](07_linearisation.ipynb)), in
# the colours of {numref}`fig-ctx-umap`: it is known for every pixel, that of the autoencoder only where a pixel has
# been explained.

# %% tags=["hide-input", "needs-images"] mystnb={"figure": {"name": "fig-ctx-maps", "caption": "Images of the test set, one a row, with their label: predicted class, share of the ensemble's votes for it, most similar context ({glue:text}`ctx-name`, {glue:text}`ctx-patch`) with the numbers of those that hold a twentieth of the image, and, where it is known, the true class."}, "image": {"alt": "Rows of maps of tissue: predicted class, share of votes, context and true class of each pixel"}}
maps = page.tissue_maps(run, name)
panels = maps[0].panels
figure, axes = plt.subplots(
    len(maps), len(panels), figsize=(2 * len(panels), 2.1 * len(maps) + 0.8), squeeze=False, layout="constrained"
)
for row, tissue in zip(axes, maps):
    figures.draw_tissue(row, **tissue.pictures, names=names, n_contexts=view.n_contexts)
for ax, panel in zip(axes[0], panels):
    ax.set_title(panel)
figure.colorbar(axes[0, 1].images[0], ax=axes[:, 1], location="bottom", shrink=0.9)
figure.legend(**figures.class_legend(names), loc="outside lower center", ncols=5)
run.publish(figure, "fig-ctx-maps")

# %% [markdown] tags=["without-images"]
# ```{note}
# This data set has no images, so there is no picture of where a context lies.
# ```

# %% [markdown]
# ## The same for every autoencoder
#
# Rows are variants, columns shares of supervision; the rules and the fold are those of the figures above.
# Latent {glue:text}`ctx-latent` are clustered; the maps are of latent means.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-grid-contexts", "caption": "Figure 3a for every autoencoder: UMAP of the latent means of the test spectra, by context. {glue:text}`ctx-patches`."}, "image": {"alt": "Grid of scatter plots of latent spaces, coloured by context"}}
every = page.all_views(run)
shape = len(run.settings.vaes.variants), len(run.settings.vaes.supervision)
figure, axes = plt.subplots(*shape, figsize=(8, 3.1 * shape[0]), squeeze=False, layout="constrained")
for ax, (one, seen) in zip(axes.flat, every.items()):
    figures.draw_embedding(ax, seen.points, seen.assigned, [str(k) for k in range(seen.n_contexts)])
    ax.set_title(page.title(run, one))
if max(seen.n_contexts for seen in every.values()) <= figures.FEW:  # more are written beside their points
    figures.share_legend(axes, n_columns=8)
run.publish(figure, "fig-ctx-grid-contexts")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-grid-labels", "caption": "Figures 3b and 4a for every autoencoder: the same maps by label. {glue:text}`ctx-patches`."}, "image": {"alt": "Grid of scatter plots of latent spaces, coloured by label"}}
figure, axes = plt.subplots(*shape, figsize=(8, 3.1 * shape[0]), squeeze=False, layout="constrained")
for ax, (one, seen) in zip(axes.flat, every.items()):
    figures.draw_embedding(ax, seen.points, seen.labelled, names).set_title(page.title(run, one))
figures.share_legend(axes)
run.publish(figure, "fig-ctx-grid-labels")

# %% tags=["hide-input", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-grid-counts", "caption": "Figure 3c for every autoencoder: spectra of each context that are labelled, and that are predicted, positive. {glue:text}`ctx-patches`."}, "image": {"alt": "Grid of bar charts of labelled and predicted positive spectra per context"}}
choices = {one: page.chosen_contexts(run, seen) for one, seen in every.items()}
figure, axes = plt.subplots(*shape, figsize=(8, 2.7 * shape[0]), squeeze=False, layout="constrained")
for ax, (one, seen) in zip(axes.flat, every.items()):
    figures.draw_context_counts(ax, *page.positive_counts(run, seen), highlight=choices[one].numbers)
    ax.set_title(page.title(run, one))
figures.share_legend(axes)
run.publish(figure, "fig-ctx-grid-counts")

# %% tags=["hide-input", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-grid-spectra", "caption": "Figure 3d for every autoencoder: mean spectra (left) and mean LIME weights (right) of two positive contexts and of the one that most opposes its labels, chosen by the same rule. {glue:text}`ctx-patches`."}, "image": {"alt": "Rows of mean spectra and mean weights of three contexts, one row for each autoencoder"}}
figure, axes = plt.subplots(len(every), 2, figsize=(8, 2.3 * len(every)), squeeze=False, layout="constrained")
for pair, (one, seen) in zip(axes, every.items()):
    chosen_here = choices[one]
    short = page.chosen_names(run, seen, chosen_here, why=False)
    means = seen.table.mean_spectra[chosen_here.numbers], seen.table.mean_weights[chosen_here.numbers]
    figures.draw_context_spectra(pair, axis, *means, short)
    pair[0].set_title(page.title(run, one), loc="left")
run.publish(figure, "fig-ctx-grid-spectra")

# %% tags=["hide-input", "needs-images", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-grid-images", "caption": "Figure 4b for every autoencoder: the explained pixels of the context that most opposes its labels, in the positive-labelled image with most of them, neighbours in one circle. {glue:text}`ctx-patches`."}, "image": {"alt": "Grid of absorbance images with dots on the pixels of one context"}}
pictures = {one: page.opposing_pixels(run, seen, choices[one]) for one, seen in every.items()}
figure, axes = plt.subplots(*shape, figsize=(8, 4 * shape[0]), squeeze=False, layout="constrained")
for ax, (one, (_, picture, marked)) in zip(axes.flat, pictures.items()):
    named = f"context {choices[one].opposing}"
    figures.draw_image(ax, picture.pixels, pixel_size_um=picture.pixel_size_um, mark=marked, mark_name=named)
    ax.set_title(f"{page.title(run, one)}\n{picture.title}")
run.publish(figure, "fig-ctx-grid-images")

# %% tags=["hide-input", "needs-truth", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-grid-reference", "caption": "Figure 4c for every autoencoder: the true class of each pixel of those images. {glue:text}`ctx-patches`."}, "image": {"alt": "Grid of maps of the true class"}}
figure, axes = plt.subplots(*shape, figsize=(8, 3.9 * shape[0]), squeeze=False, layout="constrained")
for ax, (one, (image, picture, _)) in zip(axes.flat, pictures.items()):
    truth = page.truth_picture(run, image)
    figures.draw_class_map(ax, truth.pixels, names, pixel_size_um=truth.pixel_size_um)
    ax.set_title(f"{page.title(run, one)}\n{picture.title}")
figures.share_legend(axes, n_columns=5)
run.publish(figure, "fig-ctx-grid-reference")

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(f"contexts with test spectra: {int((view.table.size > 0).sum()) > 1}")
