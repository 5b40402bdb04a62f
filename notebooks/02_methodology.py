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
# # Methodology
#
# How are spectra split, scored and classified, so that the numbers mean what they say?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from IPython.display import display
from shown import data as page
from shown.cells import glue_all, shown

from ftirlib.method.run import open_run
from ftirlib.report import figures

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

layers, published = page.layers(run), page.published_layers()
glue_all("method", page.methodology_numbers(run))

# %% [markdown]
# **Finding.** {glue:text}`method-shared` of {glue:text}`method-groups` groups are on two sides of any fold, and the network that is
# trained on the published grid has {glue:text}`method-used` parameters, not the {glue:text}`method-published` that
# were published.

# %% [markdown]
# ## Folds
#
# Four disjoint sets of groups, as alike in their classes as whole groups allow, are permuted into four folds: two sets
# train, one validates, one tests, so that every spectrum is tested once by models that never saw its group
# {cite}`hartigan2025`. Networks choose their best epoch, and the ensemble its members, on the validation set;
# autoencoders are trained on it. All results are of test sets.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-method-folds", "caption": "Spectra of each class in the four sets; the bars would be equal if whole groups could be divided at will."}, "image": {"alt": "Stacked bars of class shares in each of the four sets"}}
table = page.fold_table(run)
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
figures.draw_folds(ax, table)
run.publish(figure, "fig-method-folds")

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(table.to_string())

# %% [markdown]
# ## Scores
#
# The paper's *sample weighted sensitivity* weights each class's sensitivity by its number of spectra; by algebra it is
# plain accuracy, and a model that always answers the largest class does as well as that class is common. So the
# majority's score stands beside every score here, and balanced accuracy, the unweighted mean of the sensitivities,
# is the score to compare models by. Means and standard deviations are over folds, as in the paper; brackets are
# bootstrap intervals over groups, because four folds that share their training patients say too little about the
# spread. [](../book/methods.md) has the formulas.

# %% [markdown]
# ## The network
#
# First-layer kernels are as wide as infrared bands: 8, 25 and 50 cm⁻¹. {numref}`fig-method-mscnn` is drawn from the
# network that this run trains ({glue:text}`method-here` parameters on its grid and classes). On the published grid of
# 801 wavenumbers and four classes {glue:text}`method-used` parameters are in use. The published
# {glue:text}`method-published` are reached when two blocks are counted that the authors' class declares and its
# forward pass never calls ({glue:text}`method-idle` parameters, in the last rows below).

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-method-mscnn", "caption": "The multi-scale network (Figure 1 of the paper), drawn from the live model."}, "image": {"alt": "Diagram of the network: three parallel convolutions and a skip connection, four core convolutions, two dense layers, logistic output"}}
figure, ax = plt.subplots(figsize=(7, 8.8), layout="constrained")
figures.draw_architecture(ax, layers)
run.publish(figure, "fig-method-mscnn")

# %% tags=["hide-input"]
display(shown(published, formatter={"parameters": "{:,}"}))

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(published[["step", "parameters"]].to_string(index=False))
