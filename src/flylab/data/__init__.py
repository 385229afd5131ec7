"""MNIST-1D in NumPy. Importing this imports neither JAX nor matplotlib."""

from flylab.data.arrangements import exchanged, reversed_, shuffled
from flylab.data.mnist1d import MNIST1D
from flylab.data.published import published, stages
from flylab.data.splits import Dataset, Splits
from flylab.data.templates import Templates, digits

__all__ = [
    "MNIST1D", "Dataset", "Splits", "Templates", "digits", "exchanged", "published", "reversed_", "shuffled", "stages",
]  # fmt: skip
