"""Measures of how faithful explanations are: they ask the model again, for any attribution and any model.

Deletion and insertion: Petsiuk, Das & Saenko (2018), arXiv:1806.07421; infidelity and max-sensitivity: Yeh et al.
(2019), arXiv:1901.09392.

The meaning of the weights decides which measures apply. In the modes ``instance``, ``mean`` and ``limit`` a weight is
the change of the label's probability per standard deviation of the background: ``scale_j * df/dx_j``. In the binned
modes it is the gain of the label while the wavenumber *stays in the spectrum's bin*, whichever way it would leave.

=====================================  ==========================  ====================================
measure                                continuous modes            binned modes
=====================================  ==========================  ====================================
`perturbation_curves`                  by weight, or with `scale`  by weight, which is a contribution
                                       by contribution
`infidelity` under `GaussianShift`     yes                         refused: a bin has no slope
`infidelity` under `BandRemoval`       with `scale`                without `scale`
`max_sensitivity`                      its relative form           its relative form
=====================================  ==========================  ====================================

Contributions mean the same in both: continuous weights times ``(spectrum - reference) / scale``, or binned weights.
Compare explainers by the curves made from contributions, and by the scaled infidelity under `BandRemoval`, which
ignores a common factor; never by raw infidelity, nor by numbers made with another reference.
"""

from ftirlib.explain.faithfulness.changes import BandRemoval, GaussianShift, Infidelity, infidelity
from ftirlib.explain.faithfulness.curves import PerturbationCurves, perturbation_curves
from ftirlib.explain.faithfulness.sensitivity import Sensitivity, max_sensitivity
from ftirlib.explain.faithfulness.subject import reference_and_scale

__all__ = [
    "BandRemoval",
    "GaussianShift",
    "Infidelity",
    "PerturbationCurves",
    "Sensitivity",
    "infidelity",
    "max_sensitivity",
    "perturbation_curves",
    "reference_and_scale",
]
