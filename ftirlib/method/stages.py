"""The stages of both papers, in the order in which they are made; ``ftirlib run --until`` takes their names.

A stage is a function of a run that makes what is missing and returns it. It calls the stages that it needs, so asking
for the last makes everything before it.
"""

from ftirlib.method import crime, data, fusion, lime, models, scores

STAGES = {
    "spectra": data.raw,
    "prepared": data.prepared,
    "folds": data.folds,
    "baselines": models.baselines,
    "members": models.members,
    "ensemble": models.ensemble,
    "explanations": lime.explanations,
    "vaes": crime.vaes,
    "contexts": crime.contexts,
    "cards": scores.cards,
    "controls": crime.controls,
    "embeddings": crime.embeddings,
    "scores": scores.model_scores,
}
FUSION_STAGES = {
    "fusion-spectra": fusion.raw,
    "fusion-prepared": fusion.prepared,
    "fusion-folds": fusion.folds,
    "fusion-features": fusion.features,
    "fusion-models": fusion.models,
    "fusion-ablation": fusion.ablation,
    "fusion-leak": fusion.leak,
    "fusion-map": fusion.tsne,
    "fusion": fusion.scores,
}
