"""MNIST-1D in NumPy, image data sets, and data files.

Importing it imports neither JAX nor matplotlib. `flylab.data.generator` is the generator in JAX.
"""

from flylab.data.arrangements import exchanged, reversed_, shuffled
from flylab.data.formats import DataFileError, load, save
from flylab.data.images.downloads import MissingImagesError
from flylab.data.images.load import Images, load_images
from flylab.data.mnist1d import MNIST1D
from flylab.data.published import published, stages
from flylab.data.sharing import Fresh, fresh, shared
from flylab.data.splits import Dataset, Source, Splits
from flylab.data.tasks import autoencoding, class_splits
from flylab.data.templates import Templates, compose, digits

__all__ = [
    "MNIST1D", "DataFileError", "Dataset", "Fresh", "Images", "MissingImagesError", "Source", "Splits", "Templates",
    "autoencoding", "class_splits", "compose", "digits", "exchanged", "fresh", "load", "load_images", "published",
    "reversed_", "save", "shared", "shuffled", "stages",
]  # fmt: skip
