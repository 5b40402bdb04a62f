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
# # Explanations
#
# Which wavenumbers speak for a prediction, and how far can that be trusted?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from shown import explanations as page
from shown.cells import glue_all

from ftirlib.method.run import open_run
from ftirlib.report import figures

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

found, stable, same = page.explained(run), page.stability(run), page.package_comparison(run)
glue_all("lime", page.numbers(run))

# %% [markdown]
# **Finding.** Our explanations equal the `lime` package's to {glue:text}`lime-error` of their norm, where the network's
# own rounding begins. Between two independent sets of random perturbations the same explanation correlates with itself
# by {glue:text}`lime-stability` (median; mode *{glue:text}`lime-mode`*).

# %% [markdown]
# ## What is explained
#
# LIME {cite}`ribeiro2016` perturbs a spectrum, asks the ensemble ({glue:text}`lime-kind` vote) about each
# perturbation, and fits a weighted linear model to the answers: its coefficients are the weights of the wavenumbers.
# Here with {glue:text}`lime-samples` perturbations in mode *{glue:text}`lime-mode`*, for the predicted class of each
# spectrum. In the binned modes the perturbed spectra do not depend on the spectrum explained, so one set of forward
# passes serves them all; in mode *instance* the noise and its solve matrix are shared. The bins, or the noise's scale,
# come from validation spectra, for the test set too: no test spectrum shapes the explainer, where the authors used the
# explained set itself.

# %% [markdown]
# {numref}`fig-lime-package` compares with the package, given the same model, in mode *{glue:text}`lime-compared`*;
# {numref}`fig-lime-one` is the explanation of the same spectrum that the rest of the book uses.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-lime-package", "caption": "One explanation by the package (horizontal) and by ours (vertical), a point per wavenumber."}, "image": {"alt": "Scatter of package weights against our weights on the line of equality"}}
figure, ax = plt.subplots(figsize=(4.8, 4.8), layout="constrained")
figures.draw_agreement(
    ax, same.ours, same.package, names=("ours", "lime package"), note=f"relative error {same.relative_error:.0e}"
)
run.publish(figure, "fig-lime-package")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-lime-one", "caption": "LIME weights of one test spectrum (grey) in this run's mode. Above zero: for the predicted class."}, "image": {"alt": "LIME weights of one spectrum over wavenumber, with the spectrum behind"}}
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
figures.draw_attribution(ax, same.wavenumber, found.weights[:1][0], same.spectrum, label="LIME weight")
run.publish(figure, "fig-lime-one")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-lime-classes", "caption": "Mean weights of the test spectra of each predicted class, first fold, with one standard deviation."}, "image": {"alt": "Mean LIME weights over wavenumber for each predicted class"}}
means = page.weights_by_prediction(run)
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
figures.draw_mean_spectra(ax, means.wavenumber, means.means, means.sds, means.names).set_ylabel("Mean LIME weight")
run.publish(figure, "fig-lime-classes")

# %% [markdown]
# ## How far to trust them
#
# Every spectrum is explained twice, with independent perturbations. {numref}`fig-lime-stability` shows the correlation
# of the two: of the explanations, {glue:text}`lime-low` ({glue:text}`lime-count` have weights that vary at all) lie below
# 0.5, where noise is the larger part of the weights. Shared perturbations make that noise common to many spectra, so
# clusters of such weights can be artefacts of it. The autoencoders and contexts take a floor below which they refuse
# weights (`contexts.stability_floor`); this run's is {glue:text}`lime-floor`.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-lime-stability", "caption": "Correlation of each test explanation with itself under other perturbations, all folds."}, "image": {"alt": "Histogram of the correlation between two explanations of the same spectrum"}}
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
figures.draw_distribution(ax, stable[np.isfinite(stable)], name="Correlation between two noise banks", mark=0.5)
run.publish(figure, "fig-lime-stability")

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(f"equal to the package to 1e-4 of the norm: {same.relative_error < 1e-4}")
