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
# # The ensemble
#
# Does a vote of multi-scale networks classify better than simple models?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from IPython.display import display
from shown import models as page
from shown.cells import glue_all, shown, wide_scores
from shown.results import member_history

from ftirlib.method import stages
from ftirlib.method.run import open_run
from ftirlib.report import figures
from ftirlib.report.scores import SCORE_TITLES

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

table = stages.scores(run)
direct = table[table.model.isin([*run.settings.baselines.models, "mscnn", "emscnn"])]
glue_all("ens", page.ensemble_numbers(run))

# %% [markdown]
# **Finding.** The ensemble reaches a balanced accuracy of {glue:text}`ens-score` (bootstrap over groups:
# {glue:text}`ens-interval`); one network alone {glue:text}`ens-single`; the best baseline
# {glue:text}`ens-baseline`.

# %% [markdown]
# ## Training
#
# {glue:text}`ens-members` networks a fold differ in their seed: start, order of spectra, dropout. Training stops at
# the epoch with the best balanced accuracy on the validation set.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ens-training", "caption": "Training of the first network of the first fold."}, "image": {"alt": "Curves of training and validation loss, and of validation balanced accuracy, over epochs"}}
history = member_history(run)
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
figures.draw_history(axes[0], history, curves={"training_loss": "training loss", "validation_loss": "validation loss"})
figures.draw_history(axes[1], history, curves={"balanced_accuracy": "validation balanced accuracy"})
run.publish(figure, "fig-ens-training")

# %% [markdown]
# ## Selection and vote
#
# A network votes when its validation score exceeds {glue:text}`ens-threshold`; of {glue:text}`ens-members` in each fold,
# {glue:text}`ens-voting` do. Where none does, the best one stays alone. The vote is {glue:text}`ens-kind`.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ens-scores", "caption": "Figure 2a of the paper for this run: test-set scores of all direct models against the labels, all classes. Whiskers: one standard deviation over folds. Brackets: bootstrap over groups of the scores pooled over folds. Dashed: majority class."}, "image": {"alt": "Grouped bars of accuracy, balanced accuracy and Matthews correlation of seven models"}}
figure, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
figures.draw_score_bars(ax, direct, scores=["accuracy", "balanced_accuracy", "mcc"])
run.publish(figure, "fig-ens-scores")

# %% tags=["hide-input", "needs-positive"] mystnb={"figure": {"name": "fig-ens-binary", "caption": "The same in the binary view of the paper: positive classes against the others."}, "image": {"alt": "Grouped bars of binary accuracy, sensitivity and F1 of seven models"}}
figure, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
figures.draw_score_bars(ax, direct, scores=["binary_accuracy", "sensitivity", "f1"])
run.publish(figure, "fig-ens-binary")

# %% [markdown] tags=["without-positive"]
# ```{note}
# This data set names no positive class, so there is no binary view; name one with `--positive` when importing.
# ```

# %% tags=["hide-input"]
scores = ["accuracy", "balanced_accuracy", "mcc", "f1", "auroc", "ece"]
display(shown(wide_scores(direct, scores, SCORE_TITLES), index=True))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ens-confusion", "caption": "Confusion matrix of the ensemble over the test sets of all folds; shares are of each label."}, "image": {"alt": "Confusion matrix of labels against ensemble predictions"}}
figure, ax = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
figures.draw_confusion(ax, page.confusion(run, "emscnn"), stages.prepared(run).attrs["class_names"])
run.publish(figure, "fig-ens-confusion")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-ens-reliability", "caption": "How often the ensemble and one network are right, against the probability they state. Vote shares come in steps."}, "image": {"alt": "Reliability diagram of the ensemble and of a single network"}}
curves = {"ensemble": page.reliability_of(run, "emscnn"), "one network": page.reliability_of(run, "mscnn")}
figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
figures.draw_reliability(ax, curves)
run.publish(figure, "fig-ens-reliability")

# %% [markdown] tags=["needs-images"]
# ## Predictions as pictures
#
# The first image of each class, each pixel classified by the ensemble of the fold that has the image in its test set.

# %% tags=["hide-input", "needs-images"] mystnb={"figure": {"name": "fig-ens-maps", "caption": "Predicted class of each pixel of the first image of each class (test sets). White: not tissue."}, "image": {"alt": "Maps of predicted class for one image of each class"}}
pictures = page.prediction_pictures(run)
names = stages.prepared(run).attrs["class_names"]
figure, axes = plt.subplots(1, len(pictures), figsize=(7.5, 2.9), layout="constrained", squeeze=False)
drawn = [
    figures.draw_class_map(ax, p.pixels, names, pixel_size_um=p.pixel_size_um, legend=False).set_title(p.title)
    for ax, p in zip(axes[0], pictures)
]
figure.legend(**figures.class_legend(names), loc="outside lower center", ncols=5)
run.publish(figure, "fig-ens-maps")
