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
# # Spectra as images: the fusion classifier
#
# Do features of pictures of spectra classify better than the spectra, and what can a protocol claim for them?

# %% tags=["parameters", "remove-cell"]
profile = "smoke"  # smoke, quick, paper, or the path of a YAML file
data = ""  # path of a data set; empty: the simulated cohort
out = ""  # folder of the results; empty: results/<profile>
seed = 0  # of everything random
changes = {}  # settings by dotted name, such as {"fusion.image_size": 64}

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from shown import fusion as page
from shown.cells import glue_all, shown
from shown.data import class_spectra

from ftirlib.method import fusion_stages
from ftirlib.method.run import open_run
from ftirlib.report import figures

run = open_run(profile, data=data or None, out=out or None, seed=seed, changes=changes)
figures.use_style()

note, real_note = page.origin_note(run), page.real_note()
spectra = fusion_stages.spectra(run)
names = spectra.attrs["class_names"]
glue_all("fusion", page.numbers(run))

# %% [markdown]
# **Finding.** On {glue:text}`fusion-data`, the fusion classifier reaches an accuracy of {glue:text}`fusion-accuracy`; one
# MSCNN {glue:text}`fusion-mscnn`, and the best baseline, {glue:text}`fusion-best`. Scored with copies made before a
# random split, the same classifier would claim {glue:text}`fusion-claimed`. {glue:text}`fusion-note`

# %% [markdown]
# ## What is published, and what was chosen
#
# {cite}`abdo2024` draw infrared spectra as images, take features of them by ResNet101 {cite}`he2016`, EfficientNet-B0
# {cite}`tan2019` and wavelet scattering {cite}`mallat2012`, join these with standard statistics of the spectrum,
# over-sample rare classes and train a small convolutional network with Adam on six classes of ligands and metal
# complexes. Their compounds, the number of spectra, the size of the images, the scale of the wavelets, the list of
# statistics, the layers of the network and the split are not in the abstract, which is all that is public. Chosen here:
#
# - **Images.** A dark {glue:text}`fusion-image` of {glue:text}`fusion-size` pixels squared, each spectrum stretched from
#   its lowest to its highest absorbance. {glue:text}`fusion-note`
# - **Scattering and statistics** of the spectrum itself, not of its image: they lose nothing to pixels.
# - **Over-sampling** ({glue:text}`fusion-oversampling`) inside the training side of each fold, after features and
#   scaling: a copy can never be tested.
# - **Network.** Two strided convolutions over the row of scaled features and a linear read-out,
#   {glue:text}`fusion-epochs` epochs; nothing was tuned, and the validation set is left untouched.
# - **Folds.** The four of the first paper: whole groups, each tested once, {glue:text}`fusion-shared` groups on two sides.
# - **Preparation.** {glue:text}`fusion-recipe`, for every model alike.

# %% [markdown]
# ## The data
#
# {glue:text}`fusion-about`

# %% tags=["hide-input"]
display(shown(page.class_table(run), caption=f"Data: {page.data_name(run)}."))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fusion-spectra", "caption": "Mean spectra of the classes as every model of this page sees them, with one standard deviation."}, "image": {"alt": "Mean prepared spectrum of each class against wavenumber"}}
means = class_spectra(spectra)
figure, axes = plt.subplots(3, 1, figsize=(7.5, 7), layout="constrained", sharex=True)
for ax, part in zip(axes, np.array_split(np.arange(len(names)), min(len(names), len(axes)))):
    some = means.means[part], means.sds[part], [names[k] for k in part]
    figures.draw_mean_spectra(ax, means.wavenumber, *some).label_outer()
run.publish(figure, "fig-fusion-spectra")

# %% [markdown]
# For simulated complexes, bands move on coordination as in the table; positions marked as assumed were set after the
# direction in which such bands go, and so were all widths and heights.

# %% tags=["hide-input", "hide-output"]
display(shown(page.band_table(), caption="Bands of the simulation.", precision=0, na_rep="none"))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fusion-images", "caption": "The first spectrum of each class as the image networks see it."}, "image": {"alt": "One drawn spectrum of each class as a small grey image"}}
pictures = page.example_images(run)
figure, axes = plt.subplots(2, -(-len(pictures) // 2), figsize=(7.5, 5), layout="constrained", squeeze=False)
for ax in axes.flat:
    ax.set_axis_off()
for ax, (title, picture) in zip(axes.flat, pictures):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, fontsize=10)
run.publish(figure, "fig-fusion-images")

# %% [markdown]
# ## The fused features
#
# Features are extracted once, without labels, so that they carry nothing across a split. The map below is t-SNE
# {cite}`vandermaaten2008` of their principal components. It is a picture, not evidence: neighbours on it may be replicates
# of one group.

# %% tags=["hide-input"]
display(shown(page.width_table(run), caption=note))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fusion-map", "caption": "t-SNE of the fused features of all spectra, coloured by class; the title says what weights the image networks have."}, "image": {"alt": "Map of spectra in two dimensions coloured by class"}}
figure, ax = plt.subplots(figsize=(6.5, 6.5), layout="constrained")
figures.draw_embedding(ax, fusion_stages.tsne(run), spectra.label.values.astype(int), names, axis_name="t-SNE")
figure.suptitle(note, fontsize=10)
run.publish(figure, "fig-fusion-map")

# %% [markdown]
# ## The eight scores
#
# As the paper lists them; those of one class against all others are averaged over classes. Its own numbers belong to
# other spectra and an unknown split, and stand here for the record. They do not quite fit together: beside an accuracy
# of {glue:text}`fusion-paper-accuracy`, a kappa of {glue:text}`fusion-paper-kappa` implies that chance alone would agree for
# {glue:text}`fusion-paper-chance` of the spectra; here chance agrees for {glue:text}`fusion-chance`.

# %% tags=["hide-input"]
caption = f"Mean ± SD over folds; [bootstrap interval over groups]. {note}"
display(shown(page.eight_scores(run), caption=caption))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fusion-confusion", "caption": "Confusion matrix of the fusion classifier over the test sets of all folds; shares are of each label. The title says what weights the image networks have."}, "image": {"alt": "Confusion matrix of labels against predictions of the fusion classifier"}}
figure, ax = plt.subplots(figsize=(7.2, 6.4), layout="constrained")
figures.draw_confusion(ax, page.confusion(run), names)
figure.suptitle(note, fontsize=10)
run.publish(figure, "fig-fusion-confusion")

# %% [markdown]
# ## Against the first paper's network and the baselines
#
# One MSCNN and the baselines of [](03_baselines.ipynb), trained on the same spectra of the same folds. In Matthews
# correlation the fusion classifier differs from the MSCNN by {glue:text}`fusion-gain` and from {glue:text}`fusion-best-name` by
# {glue:text}`fusion-gain-best` (paired bootstrap over groups).

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fusion-models", "caption": "Test-set scores of all models on the same folds: mean over folds, whiskers one standard deviation, brackets the bootstrap interval over groups, dashed lines the majority class. The title says what weights the image networks have."}, "image": {"alt": "Grouped bars of accuracy, F1 and Matthews correlation of the fusion classifier, one MSCNN and the baselines"}}
table = fusion_stages.scores(run)
figure, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
figures.draw_score_bars(ax, page.titled(table), scores=["Accuracy", "F1 (macro)", "MCC"])
figure.suptitle(note, fontsize=10)
run.publish(figure, "fig-fusion-models")

# %% tags=["hide-input"]
display(*[shown(half, index=True, caption=note) for half in page.halves(table)])

# %% [markdown]
# ## Ablation
#
# The same network on the same folds without each family of features, and with each family alone. In Matthews
# correlation, all families together reach {glue:text}`fusion-all`; with one left out, at most {glue:text}`fusion-without`;
# alone, {glue:text}`fusion-alone`. Differences smaller than the intervals mean nothing.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fusion-ablation", "caption": "Ablation of the feature families: bars, whiskers and brackets as above. The title says what weights the image networks have."}, "image": {"alt": "Grouped bars of accuracy and Matthews correlation with all families, without each and with each alone"}}
ablation = fusion_stages.ablation(run)
figure, ax = plt.subplots(figsize=(7.5, 5.4), layout="constrained")
figures.draw_score_bars(ax, page.titled(ablation), scores=["Accuracy", "MCC"])
figure.suptitle(note, fontsize=10)
run.publish(figure, "fig-fusion-ablation")

# %% tags=["hide-input"]
display(*[shown(half, index=True, caption=note) for half in page.halves(ablation)])

# %% [markdown]
# ## What a protocol can claim
#
# The same features and network once more, scored four ways. Over-sampling *before* the split puts copies of one spectrum
# on both sides {cite}`vandewiele2021`; a random split does the same with replicates of one group {cite}`guo2017`. Neither
# makes the classifier better: only the first row says what to expect of a group not seen before. These folds train on
# three quarters of the groups, those above on half, so the first row is not the table above.

# %% tags=["hide-input"]
display(shown(page.leak_table(run), caption=f"Bootstrap intervals over groups. {note}"))

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-fusion-leak", "caption": "One classifier under four protocols: bars, whiskers and brackets as above; dashed the share of the largest class, before copies. The title says what weights the image networks have."}, "image": {"alt": "Grouped bars of accuracy, F1 and Matthews correlation under four protocols"}}
figure, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
bars = page.titled(page.leak_bars(run))
figures.draw_score_bars(ax, bars, scores=["Accuracy", "F1 (macro)", "MCC"])
figure.suptitle(note, fontsize=10)
run.publish(figure, "fig-fusion-leak")

# %% tags=["hide-input", "nbval-check-output", "remove-cell"]
print(f"groups on two sides: {page.shared_groups(spectra.group.values, fusion_stages.folds(run))}")
honest = fusion_stages.leak(run)["inside", "grouped"]
print(f"scored spectra that were trained on: {int(honest['twin_in_training'].sum())}")

# %% [markdown]
# ## Real spectra
#
# Beside this run, {glue:text}`fusion-real-count` public sets went through the same import and the same stages with the
# settings of the {glue:text}`fusion-real-profile` profile: images of {glue:text}`fusion-real-size` pixels squared,
# preparation {glue:text}`fusion-real-recipe`, {glue:text}`fusion-real-features`, whole groups in each fold
# (`benchmarks/fusion_real.py`, {glue:text}`fusion-real-day`). Of a class, at most {glue:text}`fusion-real-most` spectra were
# taken, evenly spaced in its file. {glue:text}`fusion-real-rules`. The bacteria are those of Goodacre et al.
# ([1998](https://doi.org/10.1099/00221287-144-5-1157)), the plastics those of Jung et al.
# ([2018](https://doi.org/10.1016/j.marpolbul.2017.12.061)).

# %% tags=["hide-input"]
display(shown(page.real_table(), caption="Real data sets."))

# %% [markdown]
# Of {glue:text}`fusion-real-comparisons` comparisons in Matthews correlation with the MSCNN and the baselines, the fusion
# classifier is behind in {glue:text}`fusion-real-behind` and ahead in {glue:text}`fusion-real-ahead` by more than the
# interval of the difference allows for chance.

# %% tags=["hide-input"]
caption = f"Accuracy: mean ± SD over folds, [bootstrap interval over groups]. {real_note}"
display(shown(page.real_scores("accuracy"), caption=caption))
display(shown(page.real_scores("mcc"), caption=f"Matthews correlation, as above. {real_note}"))

# %% tags=["hide-input"]
caption = f"Matthews correlation of the fusion classifier above others', paired by group. {real_note}"
display(shown(page.real_gains(), caption=caption))

# %% [markdown]
# Against whole groups, a random split adds at most {glue:text}`fusion-real-split` to the accuracy of any of these sets;
# with copies made before it, {glue:text}`fusion-real-copies`. Folds are those of the four protocols above.

# %% tags=["hide-input"]
caption = f"Accuracy of the fusion classifier by split, [interval over groups]. {real_note}"
display(shown(page.real_protocols(), caption=caption))

# %% [markdown]
# ## Limits
#
# Scores of this run are of {glue:text}`fusion-data` and say how hard that set is, not how hard the paper's is. Of the real
# sets only the bacteria and the plastics name what their spectra have in common; blocks of tissue spectra may share a
# sample. The image networks were designed for photographs of 224 pixels squared. The validation sets are used by the
# MSCNN to stop its training and by nobody else. An own data set takes the place of the simulation with
# `--set fusion.data=mine.zarr`, and ImageNet weights that of random ones with files in the library's cache or
# `fusion.weights`.

# %% [markdown]
# ## Kept, and again with other data
#
# Results of this page are artefacts of the run, kept in its folder and made again only when something they depend
# on changes.
