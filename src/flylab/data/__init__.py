"""MNIST-1D in NumPy. Importing this imports neither JAX nor matplotlib (`flylab.data.generator` is the one in JAX)."""

from flylab.data.arrangements import exchanged, reversed_, shuffled
from flylab.data.formats import DataFileError, load, save
from flylab.data.mnist1d import MNIST1D
from flylab.data.published import published, stages
from flylab.data.splits import Dataset, Source, Splits
from flylab.data.templates import Templates, digits

__all__ = [
    "MNIST1D", "DataFileError", "Dataset", "Source", "Splits", "Templates", "digits", "exchanged", "load", "published",
    "reversed_", "save", "shuffled", "stages",
]  # fmt: skip
