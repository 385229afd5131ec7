"""MNIST-1D as a pandas data frame."""

from typing import Any

import numpy as np

from flylab.adapters.core import SUBSETS, splits_of
from flylab.base.config import to_json
from flylab.base.optional import need
from flylab.data import MNIST1D, Splits


def frame(data: MNIST1D | Splits | None = None) -> Any:
    """Return all examples as a `pandas.DataFrame` with the columns `split`, `label`, `x0`, `x1`, and so on.

    `split` is categorical. The config is in `attrs["config"]`, as JSON.

    Args:
        data: a config, or splits. The default is the published set.

    Raises:
        MissingExtraError: if pandas is not installed.

    >>> frame().groupby("split", observed=True).size().to_dict()
    {'train': 4000, 'valid': 1000, 'test': 1000}
    """
    pandas = need("pandas", "data", "a data frame")
    splits = splits_of(data)
    x = np.concatenate([getattr(splits, name).x for name in SUBSETS])
    table = pandas.DataFrame(x.reshape(len(x), -1))
    table.columns = [f"x{i}" for i in range(table.shape[1])]
    names = np.repeat(SUBSETS, [len(getattr(splits, name).y) for name in SUBSETS])
    table.insert(0, "split", pandas.Categorical(names, categories=SUBSETS))
    table.insert(1, "label", np.concatenate([getattr(splits, name).y for name in SUBSETS]))
    if splits.config is not None:
        table.attrs["config"] = to_json(splits.config)
    return table
