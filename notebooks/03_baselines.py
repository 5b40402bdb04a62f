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
# # Baselines
#
# How well do simple models do, and what must a network beat?

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

from ftirlib.method import stages
from ftirlib.method.run import open_run
from ftirlib.report import figures
from ftirlib.report.scores import SCORE_TITLES

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

table = stages.scores(run)
direct = table[table.model.isin(run.settings.baselines.models)]
glue_all("base", page.baseline_numbers(run))

# %% [markdown]
# **Finding.** The best of five baselines, {glue:text}`base-best`, reaches a balanced accuracy of
# {glue:text}`base-score` (bootstrap over groups: {glue:text}`base-interval`); always answering the most common class
# gives {glue:text}`base-majority`.

# %% [markdown]
# The five models of the paper's Figure 2a, with default hyper-parameters: nearest class mean by mean square error
# (mean-mse) and by cosine similarity (mean-cosine); principal components followed by linear discriminant analysis
# (pca-lda) or by gradient boosting (pca-xgb); gradient boosting of the spectra themselves (xgb)
# {cite}`chen2016`. Components are fitted on the training set of each fold.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-base-scores", "caption": "Test-set scores of the baselines against the labels: mean over four folds, whiskers one standard deviation, brackets the bootstrap interval over groups, dashed lines the majority class."}, "image": {"alt": "Grouped bars of accuracy, balanced accuracy and Matthews correlation for the five baselines"}}
figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
figures.draw_score_bars(ax, direct, scores=["accuracy", "balanced_accuracy", "mcc"])
run.publish(figure, "fig-base-scores")

# %% tags=["hide-input"]
scores = ["accuracy", "balanced_accuracy", "mcc", "f1", "auroc", "ece"]
display(shown(wide_scores(direct, scores, SCORE_TITLES), index=True))

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(direct[direct.score == "accuracy"][["model", "majority"]].round(2).to_string(index=False))

# %% [markdown]
# A score that a leak would lift is the first thing to distrust. Groups are never split here; what happens to the same
# model when they are is shown for real brain tissue in [](../book/reproduce.md).
