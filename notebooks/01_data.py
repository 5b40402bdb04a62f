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
# # The data
#
# What spectra does the book learn from, and what is known about them?

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

from ftirlib.method import stages
from ftirlib.method.run import open_run
from ftirlib.report import figures

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

counts, kept = page.class_counts(run), stages.prepared(run)
glue_all("data", page.numbers(run))

# %% [markdown]
# **Finding.** The {glue:text}`data-name` gives {glue:text}`data-kept` usable spectra of {glue:text}`data-groups`
# groups out of {glue:text}`data-spectra`; each has {glue:text}`data-points` wavenumbers from {glue:text}`data-low` to
# {glue:text}`data-high` cm⁻¹.

# %% [markdown] tags=["needs-simulated"]
# ```{admonition} Simulated data
# :class: warning
# Every spectrum on these pages is **simulated**: physics and published band tables, not a patient. The published
# cohort is private. A simulation is used because its truth is known pixel by pixel, so every claim of the method can
# be scored; it says nothing about how well the method works on real tissue.
# ```

# %% [markdown]
# ## What there is
#
# A *group* is a patient where the patient is known, else an image; groups are never split between training and test.
# Labels are weak: one per image, given to all of its pixels.

# %% tags=["hide-input"]
display(shown(counts, thousands=","))

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(counts.to_string(index=False))

# %% [markdown]
# Provenance: {glue:text}`data-provenance`. Licence: {glue:text}`data-licence`.

# %% [markdown] tags=["needs-images"]
# ## Images
#
# Shown is the first image of each class, in the order of severity.

# %% tags=["hide-input", "needs-images"] mystnb={"figure": {"name": "fig-data-absorbance", "caption": "Raw absorbance at 1650 cm⁻¹ (amide I) of the first image of each class. Dark areas are lumen, holes and glass."}, "image": {"alt": "False-colour pictures of absorbance at 1650 wavenumbers for one image of each class"}}
pictures = page.absorbance_pictures(run)
figure, axes = plt.subplots(1, len(pictures), figsize=(7.5, 2.9), layout="constrained", squeeze=False)
drawn = [
    figures.draw_image(ax, p.pixels, pixel_size_um=p.pixel_size_um).set_title(p.title)
    for ax, p in zip(axes[0], pictures)
]
run.publish(figure, "fig-data-absorbance")

# %% [markdown] tags=["needs-truth"]
# The same images as the simulation made them: each pixel's true class. Pixels that are not what their image's label
# says are the noise in weak labels; here they are {glue:text}`data-mislabelled` of the usable spectra.

# %% tags=["hide-input", "needs-truth"] mystnb={"figure": {"name": "fig-data-truth", "caption": "True class of every pixel of the same images, known because they are simulated."}, "image": {"alt": "Maps of the true tissue class of each pixel for one image of each class"}}
truths = page.truth_pictures(run)
names = kept.attrs["class_names"]
figure, axes = plt.subplots(1, len(truths), figsize=(7.5, 2.9), layout="constrained", squeeze=False)
drawn = [
    figures.draw_class_map(ax, p.pixels, names, pixel_size_um=p.pixel_size_um, legend=False).set_title(p.title)
    for ax, p in zip(axes[0], truths)
]
figure.legend(**figures.class_legend(names), loc="outside lower center", ncols=5)
run.publish(figure, "fig-data-truth")

# %% [markdown] tags=["without-images"]
# ```{note}
# This data set has no images: its spectra have no pixel positions, so pages show spectra and tables only.
# ```

# %% [markdown]
# ## From raw to prepared
#
# The recipe learns nothing from the data, so that it cannot carry anything from test to training spectra: pixels are
# kept by fixed limits on their amide I band and signal-to-noise ratio, and extended multiplicative signal correction
# fits each spectrum to a fixed tissue spectrum, a polynomial, and paraffin {cite}`kohler2008`.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-recipe", "caption": "One spectrum before and after the recipe."}, "image": {"alt": "A raw absorbance spectrum above and the same spectrum after preparation below"}}
raw_axis, raw, axis, prepared = page.preparation_steps(run)
figure, (above, below) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
figures.draw_mean_spectra(above, raw_axis, raw[None], names=["raw"]).set_xlabel("")
figures.draw_mean_spectra(below, axis, prepared[None], names=["prepared"])
run.publish(figure, "fig-data-recipe")

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-data-means", "caption": "Mean prepared spectrum of each label, with one standard deviation over spectra."}, "image": {"alt": "Mean absorbance spectra of each class with shaded standard deviation"}}
means = page.class_spectra(kept)
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
figures.draw_mean_spectra(ax, means.wavenumber, means.means, means.sds, means.names)
run.publish(figure, "fig-data-means")
