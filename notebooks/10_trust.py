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
# # How far can these explanations be trusted?
#
# Error, noise and cost of LIME on spectra, measured against what it converges to.

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from IPython.display import display
from shown import measured as page
from shown.cells import glue_all, shown

from ftirlib.method import open_run
from ftirlib.report import figures

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

speed, found = page.measured("lime_speed"), page.measured("lime_trust")
glue_all("trust", page.numbers())

# %% [markdown]
# **Finding.** At the authors' {glue:text}`trust-samples` samples the `lime` package is {glue:text}`trust-package-error`
# away from what it converges to around a spectrum, after {glue:text}`trust-package-seconds`. Averaged gradients come
# within {glue:text}`trust-limit-error` in {glue:text}`trust-limit-seconds`, and state their error. In the authors' own
# mode, *decile*, an explanation correlates with itself under other random numbers by {glue:text}`trust-decile`.
#
# The numbers of this page were measured on {glue:text}`trust-day` ({glue:text}`trust-machine`; `benchmarks/lime_speed.py`
# and `benchmarks/lime_trust.py`), on simulated colon spectra of patients the network was not trained on. They do not
# depend on this book's profile or data; how stable the explanations of *this* book are, [](05_explanations.ipynb) says.

# %% [markdown]
# ## The same numbers, sooner
#
# Given the same predictions, the four sampled modes equal the package to 1e-9 of the norm, with all features or with
# those its selection picks (`tests/explain/lime/test_lime_equality.py`); the difference in the table is the single precision of the
# network. The floor is what cannot be left out (see below) at the rate at which this machine multiplies large matrices.

# %% tags=["hide-input"]
display(shown(page.ratio_table(speed).rename(columns=lambda name: name.replace("`", ""))))

# %% [markdown]
# What makes the difference is what spectra share. *instance*: one bank of noise, so one solve matrix, and the affine
# part of the network answers the noise once; left are the forward passes from the first non-linearity on,
# {glue:text}`trust-flop` million operations each. *mean*: the perturbed spectra and their predictions are the same for
# all; the weights differ, and a few steps of conjugate gradients, preconditioned with the shared solve, reach rounding.
# *quartile*, *decile*: predictions are shared, the 0/1 design is not; the floor is half a Gram matrix in double
# precision ({glue:text}`trust-double` GFLOP/s here, {glue:text}`trust-single` in single). The last row is one label to
# 10 % of the limit, where the package's time is extended from its measured error by the root law that
# {numref}`fig-trust-error` shows.

# %% [markdown]
# ## Error against work
#
# With Gaussian noise and a Gaussian kernel, LIME around a spectrum converges to the gradient averaged over that noise,
# times the noise's spread at each wavenumber {cite}`agarwal2021,garreau2020`. {numref}`fig-trust-error` shows the way
# there. The reference is an average of many gradients with other noise; the package's own estimator, averaged to
# {glue:text}`trust-reference-samples` samples and good to {glue:text}`trust-reference`, agrees: averaged gradients
# that stop at a stated error of 10 % are {glue:text}`trust-limit-error` away from it, after
# {glue:text}`trust-gradients` gradients a spectrum ({glue:text}`trust-limit-rate` spectra a second).

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trust-error", "caption": "Distance from the limit against the number of samples or gradients (left) and the seconds each spectrum took (right); the package on three of the spectra, ours on all. Simulated spectra."}, "image": {"alt": "Two log-log panels: relative error falls with the root of samples and of time; averaged gradients lie far below the package"}}
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
figures.draw_trade_off(
    axes[0],
    page.error_curves(found, "samples"),
    x_name="Samples or gradients",
    y_name="Distance from the limit",
    percent=True,
    mark=0.1,
)
figures.draw_trade_off(
    axes[1],
    page.error_curves(found, "seconds"),
    x_name="Seconds a spectrum",
    y_name="",
    percent=True,
    mark=0.1,
    legend=False,
)
run.publish(figure, "fig-trust-error")

# %% [markdown]
# ## The same spectrum twice
#
# {numref}`fig-trust-repeat` explains each of {glue:text}`trust-spectra` spectra with two independent sets of random
# numbers. At {glue:text}`trust-samples` samples the correlation is {glue:text}`trust-decile` in mode *decile*,
# {glue:text}`trust-quartile` in *quartile*, {glue:text}`trust-instance` in *instance*.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trust-repeat", "caption": "Correlation of an explanation with itself under other random numbers, median of spectra and the middle 80 %. Simulated spectra."}, "image": {"alt": "Correlation against samples for five modes"}}
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
figures.draw_trade_off(
    ax,
    page.repeat_curves(found),
    x_name="Samples or gradients",
    y_name="Correlation of two noise banks",
    y_scale="linear",
    mark=0.5,
)
run.publish(figure, "fig-trust-repeat")

# %% [markdown]
# A high correlation is not yet an explanation of *this* spectrum. In mode *mean* the perturbed spectra are the same for
# all and the kernel is almost flat, so that explanations of different spectra for the same class correlate by
# {glue:text}`trust-alike-mean`: nearly one global explanation, told again for each spectrum. How much of that is the
# network's own, the limit shows: {glue:text}`trust-alike-limit`. The table sets beside it the kernel's weights, the area
# under the ROC curve over wavenumbers for the bands that the simulation changed (0.5 by chance), and by how much
# deleting wavenumbers in the order of their contribution lowers the class's probability more than a random order does.

# %% tags=["hide-input"]
display(shown(page.mode_table(found)))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trust-deletion", "caption": "Mean probability of the predicted class while wavenumbers are replaced by the background's mean, those with the largest contribution first; in grey, in random order. Simulated spectra."}, "image": {"alt": "Deletion curves of five modes against the share of wavenumbers deleted"}}
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
faithful = found["faithfulness"]
figures.draw_perturbation_curves(
    ax,
    faithful[0]["share"],
    {row["mode"]: (row["deletion"],) for row in faithful},
    controls={"random order": (faithful[0]["control"],)},
)
run.publish(figure, "fig-trust-deletion")

# %% [markdown]
# ## The planted bands
#
# Which wavenumbers a pathway changes, the simulation knows. Weights and bands are both smooth, so they meet by luck
# more often than single wavenumbers would: the last column is the share of shifts along the axis that do as well.

# %% tags=["hide-input"]
display(shown(page.band_table(found)))

# %% [markdown]
# ## Do contexts survive other random numbers?
#
# {glue:text}`trust-many` spectra, explained twice with independent noise; an autoencoder (CP, unsupervised) and
# K-means each time. The contexts of the two banks agree by an adjusted Rand index of
# {glue:text}`trust-banks-decile` in mode *decile* and {glue:text}`trust-banks-limit` in mode *limit*. Two fits to the
# *same* weights, seeds apart, agree by {glue:text}`trust-fits-decile` and {glue:text}`trust-fits-limit`: no more can
# be asked of another bank.

# %% tags=["hide-input"]
display(shown(page.context_table(found)))

# %% [markdown]
# ## Better noise
#
# {numref}`fig-trust-noise` asks whether other noise brings averaged gradients to their limit sooner. Directions at
# right angles and quasi-random points change little in so many dimensions. The same noise around the nearest of 64
# background spectra whose limit is known takes part of the error away, for a price paid once; the library does not do
# it by itself.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-trust-noise", "caption": "Distance from the limit against gradients, by the kind of noise. Simulated spectra."}, "image": {"alt": "Log-log lines of error against gradients for four kinds of noise"}}
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
figures.draw_trade_off(
    ax, page.noise_curves(found), x_name="Gradients", y_name="Distance from the limit", percent=True, mark=0.1
)
run.publish(figure, "fig-trust-noise")

# %% [markdown]
# ## What to take from it
#
# - Ask for the error. `mode="limit"` states a standard error for every coefficient and stops at a tolerance; the
#   sampled modes state a stability with `n_banks=2`.
# - Keep *decile* to compare with published work, not to read single spectra.
# - Do not read *mean* as an explanation of one spectrum.
# - Shared noise makes errors common to many spectra. CRIME takes a floor of stability and refuses weights below it
#   (`contexts.stability_floor`).
# - White noise is like no spectrum. `noise="covariance"` moves spectra as the background varies, `noise="bands"` moves
#   contiguous wavenumbers together; both answer another question than the published one.
