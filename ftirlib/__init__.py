"""Interpretable classification of infrared hyperspectral images from weak labels.

Public names are listed below and loaded when first used, so that importing the package stays quick.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULES = {
    "ftirlib.errors": ["FtirlibError", "DataError", "SettingsError", "ModelError", "StoreError"],
    "ftirlib.spectra.model": ["make_spectra", "open_spectra", "validate_spectra"],
    "ftirlib.spectra.writer": ["save_spectra"],
    "ftirlib.spectra.importing.readers": ["import_spectra", "plan_import"],
    "ftirlib.spectra.simulate.colon": ["simulate_colon"],
    "ftirlib.spectra.simulate.complexes": ["simulate_complexes"],
    "ftirlib.spectra.folds": ["Fold", "four_way_folds"],
    "ftirlib.sources.packages": ["get_public_set", "import_public_set"],
    "ftirlib.sources.colorectal_store": ["import_colorectal"],
    "ftirlib.classify.baselines": ["NearestMean", "PCALDA", "PCAXGB", "XGB"],
    "ftirlib.classify.mscnn": ["MSCNN"],
    "ftirlib.classify.settings": ["MSCNNSettings"],
    "ftirlib.classify.training": ["MSCNNClassifier"],
    "ftirlib.classify.ensemble": ["EMSCNN"],
    "ftirlib.classify.fusion.estimator": ["FusionClassifier"],
    "ftirlib.explain.lime.lime": ["SpectralLime", "Attribution"],
    "ftirlib.explain.faithfulness": ["perturbation_curves", "infidelity", "max_sensitivity"],
    "ftirlib.explain.crime.vae": ["CrimeVAE"],
    "ftirlib.explain.crime.contexts": ["Contexts", "find_contexts"],
    "ftirlib.explain.linear.linear": ["LinearClassifier"],
    "ftirlib.report.scores": ["classification_scores"],
    "ftirlib.report.uncertainty": ["grouped_bootstrap"],
    "ftirlib.report.truth.band_recovery": ["band_recovery_table"],
    "ftirlib.report.check.store_check": ["StoreReport", "check_store"],
    "ftirlib.report.check.store_page": ["report_page", "report_text"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [*_HOME, "__version__"]


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ftirlib' has no attribute '{name}'")


def __dir__():
    return sorted(__all__)
