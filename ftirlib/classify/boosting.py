"""Gradient-boosted trees trained from spectra that are read block by block.

Chen and Guestrin 2016 (doi:10.1145/2939672.2939785). XGBoost replaces each value by the number of its bin, a byte, and
keeps these bytes instead of the spectra: in memory, or in a file if they are many.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import xgboost

from ftirlib.spectra.model import CHUNK
from ftirlib.spectra.rows import Rows

SAMPLE = 49_152  # most spectra that bins are drawn from; of more, XGBoost's summary takes over 0.5 MB a feature
# Bytes of bin numbers that stay in memory, where XGBoost keeps a second copy by feature; more go to a file. In memory
# alone, 5 million training spectra of 801 points would take 4 GB for one copy and 8 GB for both.
IN_MEMORY = 400_000_000
PAGE = 8 * CHUNK  # spectra of that file in memory at a time, 26 MB at 801 wavenumbers


def boost(
    spectra: Rows,
    codes: np.ndarray,
    n_classes: int,
    *,
    n_jobs: int = 1,
    rounds: int | None = None,
) -> xgboost.Booster:
    """Trees with XGBoost's default hyper-parameters, as `xgboost.XGBClassifier` trains them.

    Parameters
    ----------
    spectra : Rows
        (n_spectra, n_features), read several times.
    codes : (n_spectra,) int array
        Class of each, 0 to ``n_classes - 1``.
    n_classes : int
    n_jobs : int
        Threads of XGBoost. There is no seed: the default hyper-parameters draw nothing at random.
    rounds : int, optional
        Default XGBoost's.

    Notes
    -----
    Up to `SAMPLE` spectra the trees are those of `xgboost.XGBClassifier`, to the bit and however the spectra are cut
    into blocks. Beyond, all spectra are binned and trained on, but the bins are the quantiles of evenly spaced ones,
    at least half of `SAMPLE`: XGBoost's summary of all would need more memory than the bins themselves. LightGBM
    draws its bins from a sample too (Ke et al. 2017; its ``bin_construct_sample_cnt``). Answers change by as much as
    when XGBoost gets the same spectra in another order; ``benchmarks/baselines.py`` measures both.

    Memory grows with the spectra by two bytes a feature up to `IN_MEMORY`, and always by the gradient and second
    derivative, 8 bytes a class, and the margin, 4 bytes a class: 0.24 GB for 5 million spectra of four classes. The
    file, one byte a feature, is as large as a quarter of the spectra and lies in the folder for temporary files.
    """
    settings = xgboost.XGBClassifier(n_jobs=n_jobs)
    parameters = settings.get_xgb_params()
    if n_classes > 2:
        parameters |= {"objective": "multi:softprob", "num_class": n_classes}
    if rounds is None:
        rounds = settings.get_num_boosting_rounds()
    bins = None
    if (step := -(-len(spectra) // SAMPLE)) > 1:
        sample = Rows.of(spectra, np.arange(0, len(spectra), step))
        bins = xgboost.QuantileDMatrix(_Blocks(sample, codes[::step]), nthread=n_jobs)
    if len(spectra) * spectra.shape[1] <= IN_MEMORY:
        matrix = xgboost.QuantileDMatrix(_Blocks(spectra, codes), nthread=n_jobs, ref=bins)
        return xgboost.train(parameters, matrix, rounds)
    with tempfile.TemporaryDirectory() as folder:
        blocks = _Blocks(spectra, codes, size=PAGE, cache_prefix=str(Path(folder) / "bins"))
        matrix = xgboost.ExtMemQuantileDMatrix(blocks, nthread=n_jobs, ref=bins)
        return xgboost.train(parameters, matrix, rounds)


def probabilities(trees: xgboost.Booster, features: np.ndarray) -> np.ndarray:
    """Class probabilities (n, n_classes) of features (n, n_features), float32."""
    predicted = trees.inplace_predict(features)
    return predicted if predicted.ndim == 2 else np.column_stack([1 - predicted, predicted])


class _Blocks(xgboost.DataIter):
    """Blocks of spectra and their codes, handed to XGBoost one after the other."""

    def __init__(self, spectra: Rows, codes: np.ndarray, *, size: int = CHUNK, cache_prefix: str | None = None):
        super().__init__(cache_prefix)
        self._spectra, self._codes, self._size = spectra, codes, size

    def reset(self) -> None:
        self._walk = self._spectra.blocks(self._size)

    def next(self, input_data) -> bool:
        for rows, block in self._walk:
            input_data(data=block, label=self._codes[rows])
            return True
        return False
