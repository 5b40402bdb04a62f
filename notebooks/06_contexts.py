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
import numpy as np
from myst_nb import glue

from ftirlib.report import figures
from ftirlib.run import context_views, stages
from ftirlib.run.runner import open_run

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

name = context_views.best_vae(run)
view = context_views.context_view(run, name)
data_names = stages.prepared(run).attrs["class_names"]
glue("ctx-name", name, display=False)
glue("ctx-count", f"{view.n_contexts}", display=False)
glue("ctx-used", f"{(view.table.size > 0).sum()}", display=False)
glue("ctx-spectra", f"{len(view.rows):,}", display=False)
glue(
    "ctx-purity",
    f"{np.average(view.table.purity[view.table.size > 0], weights=view.table.size[view.table.size > 0]):.0%}",
    display=False,
)
glue("ctx-supervision", ", ".join(stages.vae_names(run)), display=False)

# %% [markdown]
# **Finding.** {glue:text}`ctx-count` contexts, found without the test set, sort its {glue:text}`ctx-spectra` explained
# spectra so that {glue:text}`ctx-purity` of them share their context's most common prediction (autoencoder
# {glue:text}`ctx-name`, first fold).

# %% [markdown]
# ## Autoencoders
#
# A semi-supervised variational autoencoder (M2 {cite}`kingma2014`) learns four dimensions from each spectrum and its
# LIME weights together. Trained are {glue:text}`ctx-supervision`: encoder and decoder, then the share of spectra whose
# class the objective sees (C convolutional, P perceptron). Training uses the validation set of each fold, the pictures show the test
# set.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-training", "caption": "Training of the autoencoder of the first fold: terms of the bound per spectrum, in nats."}, "image": {"alt": "Curves of reconstruction, latent and total loss of the autoencoder over epochs"}}
history = context_views.vae_history(run, name)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
figures.draw_history(axes[0], history, curves={"total": "training", "validation": "held out"})
figures.draw_history(axes[1], history, curves={"kl": "latent term", "classification": "classification"})
run.publish(figure, "fig-ctx-training")

# %% [markdown]
# ## The latent space

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-umap", "caption": "Figure 3a-b of the paper for this run: UMAP of the latent means of the test spectra, by context (left) and by label (right)."}, "image": {"alt": "Two scatter plots of the same points, coloured by context and by label"}}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 4.4), layout="constrained")
figures.draw_embedding(axes[0], view.points, view.assigned, [str(k) for k in range(view.n_contexts)])
figures.draw_embedding(axes[1], view.points, view.labelled, data_names)
run.publish(figure, "fig-ctx-umap")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ctx-unsupervised", "caption": "Figure 4a of the paper for this run: the same for the autoencoder with the least supervision, by label."}, "image": {"alt": "Scatter plot of the latent space of the least supervised autoencoder, coloured by label"}}
least = stages.vae_names(run)[0]
plain = context_views.context_view(run, least)
figure, ax = plt.subplots(figsize=(5.6, 5), layout="constrained")
figures.draw_embedding(ax, plain.points, plain.labelled, data_names)
run.publish(figure, "fig-ctx-unsupervised")

# %% [markdown] tags=["needs-positive"]
# ## Contexts against labels
#
# In the binary view a context *opposes* its labels when most of its spectra are labelled, and few predicted, positive.

# %% tags=["hide-input", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-counts", "caption": "Figure 3c of the paper for this run: spectra of each context that are labelled, and that are predicted, positive (test set, first fold)."}, "image": {"alt": "Bars of labelled and predicted positive spectra per context"}}
chosen = context_views.chosen_contexts(run, view)
predicted, labelled = context_views.positive_counts(run, view)
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
figures.draw_context_counts(
    ax, predicted, labelled, highlight=chosen.numbers, what=", ".join(stages.prepared(run).attrs["positive_classes"])
)
run.publish(figure, "fig-ctx-counts")

# %% tags=["hide-input", "needs-positive"]
opposing = (
    "opposes its labels by majority" if chosen.opposes else "is the nearest to it: none opposes its labels by majority"
)
glue("ctx-opposing", f"context {chosen.opposing}", display=False)
glue("ctx-opposes", opposing, display=False)

# %% [markdown] tags=["needs-positive"]
# Figure 3d takes three contexts by rule: of those that are mostly positive by label and by prediction, the two farthest
# apart on the map; and the one that most opposes its labels. Here {glue:text}`ctx-opposing`
# {glue:text}`ctx-opposes`.

# %% tags=["hide-input", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-spectra", "caption": "Figure 3d of the paper for this run: mean spectra (above) and mean LIME weights (below) of the contexts chosen by rule."}, "image": {"alt": "Mean spectra and mean LIME weights of three contexts over wavenumber"}}
figure, axes = plt.subplots(2, 1, figsize=(7.5, 6), sharex=True, layout="constrained")
axis = stages.prepared(run).wavenumber.values
figures.draw_context_spectra(
    axes,
    axis,
    view.table.mean_spectra[chosen.numbers],
    view.table.mean_weights[chosen.numbers],
    context_views.chosen_names(run, view, chosen),
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

# %% tags=["hide-input", "needs-images", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-image", "caption": "Figure 4b of the paper for this run: absorbance at 1650 cm⁻¹, and the explained pixels of the opposing context."}, "image": {"alt": "False-colour image with dots on the pixels of one context"}}
picture, marked = context_views.opposing_pixels(run, view, chosen)
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

# %% tags=["hide-input", "needs-truth", "needs-positive"] mystnb={"figure": {"name": "fig-ctx-reference", "caption": "Figure 4c of the paper for this run: in place of the stained section, the true class of each pixel of the same simulated image."}, "image": {"alt": "Map of the true class of each pixel"}}
truth = context_views.image_truth(run, picture.title)
figure, ax = plt.subplots(figsize=(5.4, 4.8), layout="constrained")
figures.draw_class_map(ax, truth.pixels, data_names, pixel_size_um=truth.pixel_size_um).set_title(truth.title)
run.publish(figure, "fig-ctx-reference")

# %% [markdown] tags=["without-images"]
# ```{note}
# This data set has no images, so there is no picture of where a context lies.
# ```

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(f"contexts with test spectra: {int((view.table.size > 0).sum()) > 1}")


# %% [markdown]
# ## Kept, and again with other data
#
# Results of this page are artefacts of the run, kept in its folder and made again only when something they depend
# on changes. `make book DATA=mine.zarr` tells the same story of other spectra; [](../book/your_data.md) shows how.

# %% tags=["remove-cell"]
run.close()
