"""What trained networks are like: curvature, connectivity, similarity, kernels, calibration, memorisation, forgetting.

A measure is a pure function of one network's parameters. `per_member` takes it over a population, in one call.
"""

from flylab.analysis.calibration import Reliability, calibration, reliability
from flylab.analysis.connectivity import barrier, path
from flylab.analysis.continual import continual
from flylab.analysis.curvature import Eigenvalues, Trace, hessian_eigenvalues, hessian_trace, sharpness
from flylab.analysis.members import per_member, per_pair
from flylab.analysis.memorisation import memorisation, memorisation_scores, subset, subset_masks
from flylab.analysis.networks import accuracy, classes, mean_loss, outputs_of, probabilities
from flylab.analysis.similarity import cka, ntk

__all__ = [
    "Eigenvalues", "Reliability", "Trace", "accuracy", "barrier", "calibration", "cka", "classes", "continual",
    "hessian_eigenvalues", "hessian_trace", "mean_loss", "memorisation", "memorisation_scores", "ntk", "outputs_of",
    "path", "per_member", "per_pair", "probabilities", "reliability", "sharpness", "subset", "subset_masks",
]  # fmt: skip
