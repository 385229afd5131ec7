"""A drop-in for the PyPI package `mnist1d`: replace `import mnist1d` by `import flylab.compat.mnist1d as mnist1d`.

It has the same names, makes the same numbers and leaves the global random generators of NumPy and Python in the same
state. It is much faster, opens no connection, and notices when a cached file was made with other arguments.
"""

from flylab.compat.mnist1d import data, utils
from flylab.compat.mnist1d.data import get_dataset, get_dataset_args, get_templates, make_dataset
from flylab.compat.mnist1d.transform import transform  # the function shadows the module, as in the reference package
from flylab.compat.mnist1d.utils import ObjectView, from_pickle, plot_signals, set_seed, to_pickle

__all__ = [
    "ObjectView", "data", "from_pickle", "get_dataset", "get_dataset_args", "get_templates", "make_dataset",
    "plot_signals", "set_seed", "to_pickle", "transform", "utils",
]  # fmt: skip
