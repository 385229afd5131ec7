"""A drop-in for the PyPI package `mnist1d`: replace `import mnist1d` by `import flylab.compat.mnist1d as mnist1d`.

The same names, the same numbers, and the same state left behind in the global random generators of NumPy and Python;
but it is much faster, opens no connection, and notices when a cached file is of other arguments.
"""

from flylab.compat.mnist1d import data, utils
from flylab.compat.mnist1d.data import get_dataset, get_dataset_args, get_templates, make_dataset
from flylab.compat.mnist1d.transform import transform  # the function: there, too, it shadows the module
from flylab.compat.mnist1d.utils import ObjectView, from_pickle, plot_signals, set_seed, to_pickle

__all__ = [
    "ObjectView", "data", "from_pickle", "get_dataset", "get_dataset_args", "get_templates", "make_dataset",
    "plot_signals", "set_seed", "to_pickle", "transform", "utils",
]  # fmt: skip
