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
# # Your data
#
# What does it take to bring real files here, and what can they tell?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"members.epochs": 40}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
from shown import your_data as page
from shown.cells import glue_all, say, shown

from ftirlib.method.run import open_run
from ftirlib.report import figures
from ftirlib.report.check.store_page import draw_snr
from ftirlib.report.check.store_sums import SNR_EDGES
from ftirlib.sources.catalogue import list_sets
from ftirlib.spectra.prepare.quality import MINIMUM_SNR

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

components, section = page.fetch("tissue-components"), page.fetch("tissue-map")
scored = page.score_splits(components, random_state=run.settings.seed) if components else None
glue_all("yours", {"finding": page.headline(components, section, scored)})

# %% [markdown]
# **Finding.** {glue:text}`yours-finding`

# %% [markdown]
# Unlike the other chapters this one is about **real** spectra, and about the same ones whatever data the rest of the
# book is made from: two public sets that are fetched by name. [](../book/your_data.md) has the commands.

# %% tags=["hide-input"]
display(shown(pd.DataFrame(list_sets())[["name", "download", "content", "licence"]]))

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(", ".join(one["name"] for one in list_sets()))

# %% [markdown]
# ## What would be read
#
# A dry run reads headers only and says what the files hold and what was detected, before anything is written:
# `ftirlib import tissue-components components.zarr --dry-run`.

# %% tags=["hide-input"]
print(*[one.plan or one.why_not for one in (components, section)], sep="\n\n")

# %% [markdown]
# ## What the check says
#
# `ftirlib check` walks through a data set once. Both sets are usable, and neither is what the method needs: the first
# has classes but names no patients, so that nothing keeps two spectra of one piece of tissue on one side of a split;
# the second has pixels but no labels.

# %% tags=["hide-input"]
if components or section:
    display(shown(page.fact_table([components, section]), index=True))

# %% tags=["hide-input"]
if components:
    display(shown(page.finding_table(components)))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-yours-means", "caption": "Mean spectrum of each component of tissue, with one standard deviation over spectra."}, "image": {"alt": "Mean absorbance spectra of lipids, glycogen, collagen and DNA"}}
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
if components:
    report = components.report
    figures.draw_mean_spectra(ax, report.wavenumber, report.class_means, report.class_sds, report.class_names)
else:
    say(ax, components.why_not)
run.publish(figure, "fig-yours-means")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-yours-snr", "caption": "Signal-to-noise ratio of the pixels of the tissue section that have an amide I band."}, "image": {"alt": "Histogram of signal-to-noise ratios on a logarithmic axis"}}
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
if section:
    draw_snr(ax, SNR_EDGES, section.report.snr_counts, minimum=MINIMUM_SNR)
else:
    say(ax, section.why_not)
run.publish(figure, "fig-yours-snr")

# %% [markdown]
# ## A baseline, and what it is worth
#
# Principal components and linear discriminant analysis, each spectrum predicted by a model that was fitted without
# it. Splitting at random is what a table without groups invites. It puts copies of one spectrum, and spectra of one
# piece of tissue, on both sides. Keeping copies together, and then keeping neighbours in the file together, are two
# guesses at the groups that nobody stated; how far the three scores lie apart shows how much rests on them. None of
# them replaces patients.

# %% tags=["hide-input"]
if scored:
    display(shown(scored.table, precision=3))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-yours-confusion", "caption": "Predicted components of spectra whose neighbours in the file were kept out of the fit."}, "image": {"alt": "Confusion matrix of four components of tissue"}}
figure, ax = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
if components:
    figures.draw_confusion(ax, scored.confusion, scored.names)
else:
    say(ax, components.why_not)
run.publish(figure, "fig-yours-confusion")

# %% [markdown]
# ## A section of tissue
#
# The map holds per cent transmittance in an instrument's own format; it was taken to absorbance and cut to
# 1000-1800 cm⁻¹ on import. Without labels nothing can be learned from it here, but a finished run can classify it:
# `ftirlib predict results/quick section.zarr predictions`.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-yours-map", "caption": "Tissue section: absorbance at amide I, and the pixels that the quality test keeps (light)."}, "image": {"alt": "Two pictures of a tissue section"}}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.8), layout="constrained")
for ax, picture in zip(axes, page.map_pictures(section)):
    if picture:
        figures.draw_image(ax, picture.pixels, pixel_size_um=picture.pixel_size_um).set_title(picture.title)
    else:
        say(ax, section.why_not)
run.publish(figure, "fig-yours-map")
