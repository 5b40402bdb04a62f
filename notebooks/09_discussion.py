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
# # Discussion
#
# What holds, what differs from the paper, and what cannot be known from these data?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
from IPython.display import display
from shown import claims as page
from shown.cells import glue_all, shown

from ftirlib.method import stages
from ftirlib.method.run import open_run

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)

glue_all("disc", page.numbers(run))

# %% [markdown]
# **Finding.** In this run the ensemble's balanced accuracy, {glue:text}`disc-ensemble`, is {glue:text}`disc-gap` the
# best baseline's ({glue:text}`disc-top`); the paper's order of models is a property of its data as much as of the
# models.

# %% [markdown]
# ## What agrees with the paper, and what does not
#
# Each claim of the paper is put as differences that should lie above zero, each with a bootstrap interval over groups.
# It *agrees* when every interval lies above zero, *disagrees* when some interval lies below, and *cannot* be told
# otherwise: here {glue:text}`disc-verdicts`. Intervals are per difference, not for all at once, and a claim of several
# parts is the harder to agree with. The paper's score, plain accuracy under another name, is
# {glue:text}`disc-accuracy` for the ensemble, with {glue:text}`disc-majority` for always answering the most common
# class.

# %% tags=["hide-input"]
table = shown(page.claim_table(page.claims(run)))
display(table.set_properties(subset=["difference [interval]"], **{"font-size": "85%"}))

# %% [markdown] tags=["without-truth"]
# Claims about pathways, mislabelled pixels and necrosis need a known truth and are left out.

# %% [markdown]
# ## What is simulated, and what is real

# %% [markdown] tags=["needs-simulated"]
# - The default cohort is simulated from published band tables, gland geometry, and the optics and noise of an
#   infrared microscope; [](01_data.ipynb) shows it. Nothing was adjusted so that a model wins.

# %% [markdown]
# - Real spectra are run through the same notebooks from a data set of one's own: [](../book/your_data.md).
#   [](../book/reproduce.md) has a run on real brain tissue, with what splitting patients would have claimed.
#
# ## What cannot be reproduced
#
# - The published images (90, of 1.19 million spectra) are private, so no published number can be checked, only the method.
# - The stained section beside Figure 4b is replaced by the simulated tissue's true map.
# - The paper's context numbers (31, 87, 90, 97) are of its own clustering; contexts are chosen here by stated rules.
#
# ## Choices the paper leaves open
#
# - *Parameters of the network.* 74 866 are published; the forward pass of the authors' code uses fewer
#   ([](02_methodology.ipynb) counts both). We train the network that runs.
# - *Explained class.* The authors' code explains class index 1 for every spectrum, the package's default; we explain
#   the predicted class.
# - *Background of LIME.* Validation spectra here, the explained set itself there.
# - *Validation score.* Members are chosen by balanced accuracy; the paper's threshold is on accuracy.
# - *Similarity of the linear model.* Both spectra are multiplied by the signed, scaled weights before the ordinary
#   cosine, as in the framework the paper builds on {cite}`zaki2024`.
# - *Tokens of the transformers.* The paper gives each wavenumber a token; this run's patch is {glue:text}`disc-patch`
#   points.
# - *Size.* {glue:text}`disc-members` networks a fold and a number of contexts set to *{glue:text}`disc-contexts`* in this run; the
#   `paper` profile has the published sizes.
#
# ## Limits
#
# - Four folds share training patients, so their standard deviation is too small; intervals over groups stand beside it.
# - Explanations by the authors' settings (binned, a few thousand perturbations) hardly repeat under other random
#   numbers; [](05_explanations.ipynb) measures it for this run's settings, [](10_trust.ipynb) for all modes, and
#   clusters inherit it.
# - The autoencoders see few patients: what they learn beyond those they are trained on is little, as their held-out
#   curves show ([](06_contexts.ipynb)). Where the truth is known, [](08_truth.ipynb) sets simpler
#   means beside them.
# - The simulation knows only the variation it was given. Real tissue has more.

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
table = stages.scores(run)
print(f"a score for every model: {bool(table[table.score == 'balanced_accuracy']['mean'].notna().all())}")
