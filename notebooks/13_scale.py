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
# # Scale: more spectra, more machines
#
# The same command on a laptop and on a cluster; what it costs, and what is lost when something dies.

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from IPython.display import display
from shown import scale as page
from shown.cells import glue_all, shown

from ftirlib.method import open_run
from ftirlib.report import figures
from ftirlib.report.memory import cohort_memory

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

scale, cohort = page.measured("scale"), page.measured("cohort_memory")
glue_all("scale", page.numbers())

# %% [markdown]
# **Finding.** {glue:text}`scale-pixels` simulated pixels, the size of the published cohort, were simulated, prepared,
# learnt and explained with at most {glue:text}`scale-memory-members` in a worker that trains a network,
# {glue:text}`scale-memory-explanations` in one that explains, {glue:text}`scale-memory-baselines` in one that fits a
# baseline, and {glue:text}`scale-driver` in the driver.
# Two workers of a Dask cluster train networks {glue:text}`scale-members` times and explain
# {glue:text}`scale-explanations` times as fast as one; one, two and three workers leave {glue:text}`scale-same`.
#
# The numbers of this page were measured by `benchmarks/scale.py` on simulated spectra: those against the number of
# spectra on {glue:text}`scale-size-when`, those against workers on {glue:text}`scale-workers-when`, whole runs on
# {glue:text}`scale-whole-when`. They do not depend on this book's profile or data. Each worker has one thread.

# %% [markdown]
# ## More spectra
#
# {numref}`fig-scale-size` shows the work and the memory of each stage against the number of spectra that it deals with.
# Explanations grow with the exponent {glue:text}`scale-growth` (1: in proportion). Here every fold has one network,
# trained for one epoch, and explanations take 8 gradients with each of two noise banks
# ({glue:text}`scale-explained` of them at the largest size). The `paper` profile trains {glue:text}`scale-paper-networks`
# networks a fold for {glue:text}`scale-paper-epochs` epochs, at this rate {glue:text}`scale-paper-hours` a network on one thread
# (extrapolated), and explains in mode *{glue:text}`scale-paper-mode`*, whose cost at this size has not been measured.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-scale-size", "caption": "Seconds of one thread, summed over tasks (left), and the most memory that one task needed (right), against the spectra of each stage. Simulated spectra."}, "image": {"alt": "Two panels over a logarithmic number of spectra: work, on a logarithmic scale, grows in proportion to them; memory grows far less"}}
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
figures.draw_trade_off(
    axes[0], page.curves(scale, "task_seconds"), x_name="Spectra", y_name="Seconds of one thread", legend=False
)
curves = page.curves(scale, "memory_mb")
memory_look = {"y_name": "Memory of a task, MB", "y_scale": "linear", "mark": 2000, "legend": False}
figures.draw_trade_off(axes[1], curves, x_name="Spectra", **memory_look)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
run.publish(figure, "fig-scale-size")

# %% tags=["hide-input"]
display(shown(page.size_table(scale)))

# %% [markdown]
# ## More workers
#
# Tasks are plain functions with plain arguments, each with its own seed and one thread, so that on processors of one
# kind it makes no difference to their bytes where, and beside what, they run. Against two local processes the cluster's
# two workers needed {glue:text}`scale-overhead` of time in these two stages, and {glue:text}`scale-whole` for every
# stage of the quick profile. Three workers on a machine of fewer cores share them.
#
# Two workers had a task for {glue:text}`scale-busy-members` of the time while networks were trained, and for
# {glue:text}`scale-busy-explanations` while spectra were explained. What is missing to twice as fast is that the same
# task takes longer beside another than alone: {glue:text}`scale-slower-members` and
# {glue:text}`scale-slower-explanations`. {numref}`fig-scale-workers` has beside it how often as many processes that have
# nothing to do with each other multiply small matrices, which needs the processors alone, and copy large ones, for which
# they share the machine's memory ({glue:text}`scale-cores-when`). Times of the two stages are medians of
# {glue:text}`scale-turns` run(s), those of the quick profile of {glue:text}`scale-whole-turns`.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-scale-workers", "caption": "Times faster than one worker of a Dask cluster on the same machine, two stages of simulated spectra; and bare matrix products and copies in as many processes."}, "image": {"alt": "Speed-up against one, two and three workers, beside that of bare matrix products and copies"}}
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
figures.draw_trade_off(
    ax,
    page.speed_up_curves(scale),
    x_name="Single-thread workers",
    y_name="Times faster than one",
    y_scale="linear",
)
run.publish(figure, "fig-scale-workers")

# %% tags=["hide-input"]
display(shown(page.worker_table(scale)))

# %% [markdown]
# ## When something dies
#
# Results are artefacts with manifests, written whole or not at all; the manifest, not the scheduler, says what is
# there. A killed worker's task is done by another. A killed driver or scheduler costs what was under way: the same
# command goes on from there. Explanations lie in shards, so that a torn one is made again alone; `ftirlib verify`
# finds it. The tests kill drivers, workers and schedulers at random points and compare every checksum with a run that
# nothing happened to (`tests/engine/test_faults.py`; `make long` does so fifty times).

# %% [markdown]
# ## What a worker holds of the cohort
#
# A run is made for at most ten million spectra, with less than 2 GB in a worker and less than 1 GB in the driver. A task
# reads spectra and labels block by block, or from a scratch file, and keeps a few numbers of each spectrum: its row, its
# label, its place in the random order of an epoch, the answers. Boosted trees also keep gradients and margins of each
# training spectrum. The spectra that are explained are chosen, and their number is a setting. (The fusion classifier of
# the second paper is for hundreds of spectra and holds their features.) The table gives the peak memory of each kind of
# task that walks the whole cohort, measured on {glue:text}`scale-cohort-day` by `benchmarks/cohort_memory.py` on simulated
# cohorts of few wavenumbers and a small network, the bytes that each further spectrum adds, and the line through the
# measurements extended to ten million spectra. {glue:text}`scale-cohort-limit`. With the published network and spectra a
# task needs the memory in the first table, and for a larger cohort as many bytes a spectrum more as this table says.
#
# These measurements are older than the present code, which keeps rows, labels and the order of an epoch in memory: its
# bytes a spectrum are more than the table says, and have not been measured yet. The same tasks of the present code took
# 0.48 to 0.65 GB for one million spectra.

# %% tags=["hide-input"]
display(shown(cohort_memory(cohort)))

# %% [markdown]
# ## Ten million spectra
#
# The middle column is measured at the largest size above, the last is extended from it in proportion: an estimate for
# planning, not a measurement. Gradients, epochs and networks multiply their rows.

# %% tags=["hide-input"]
display(shown(page.cost_table(scale)))

# %% [markdown]
# How to start a cluster, and where data and results have to lie, is told on the page [](../book/cluster.md).
