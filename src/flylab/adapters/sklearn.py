"""MNIST-1D in the manner of scikit-learn's own data sets."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from flylab.adapters.core import class_names, splits_of, subset_of
from flylab.base.optional import need
from flylab.data import MNIST1D, Splits

_DESCR = """\
.. _mnist1d_dataset:

MNIST-1D
--------

**Data Set Characteristics:**

:Number of Instances: {n}
:Number of Attributes: {length}
:Attribute Information: value of the signal at equally spaced positions; mean 0 and standard deviation 1 over the set
:Missing Attribute Values: None
:Classes: {classes}
:Creator: Sam Greydanus and Dmitry Kobak

Ten 12-point digit templates, padded, scaled, translated, made noisy, sheared and resampled: a small data set that tells
linear models, MLPs and CNNs apart. {subset}

.. rubric:: References

- S. Greydanus and D. Kobak. Scaling Down Deep Learning with MNIST-1D. ICML 2024. arXiv:2011.14439.
"""


def load_mnist1d(
    *,
    return_X_y: bool = False,
    as_frame: bool = False,
    subset: str = "all",
    config: MNIST1D | Splits | None = None,
) -> Any:
    """Load MNIST-1D (classification).

    Args:
        return_X_y: whether to return `(data, target)` instead of a `Bunch`.
        as_frame: whether to return pandas objects instead of arrays.
        subset: "train", "valid", "test", or "all", which is the training set followed by the test set.
        config: the data parameters, or splits. The default is the published set.

    Returns:
        A `sklearn.utils.Bunch` with `data` (float64, `(n, length)`), `target` (`(n,)`), `frame` (None unless
        `as_frame`), `feature_names`, `target_names` and `DESCR`; or `(data, target)`.

    Raises:
        ValueError: if there is no such subset.
        MissingExtraError: if `as_frame` is set and pandas is not installed.

    >>> X, y = load_mnist1d(return_X_y=True)
    >>> X.shape, y.shape
    ((5000, 40), (5000,))
    """
    splits = splits_of(config)
    chosen = subset_of(splits, subset)
    data: Any = np.array(chosen.x, dtype=np.float64).reshape(len(chosen.y), int(np.prod(chosen.x.shape[1:])))
    target: Any = np.array(chosen.y, dtype=int)
    names, table = [f"x{i}" for i in range(data.shape[1])], None
    if as_frame:
        pandas = need("pandas", "data", "as_frame=True")
        table = pandas.DataFrame(data, columns=names).assign(target=target)
        data, target = table[names], table["target"]
    if return_X_y:
        return data, target
    classes = class_names(splits)
    parts = {"all": f"The first {len(splits.train.y)} examples are the training set, the others the test set."}
    description = _DESCR.format(
        n=len(data), length=data.shape[1], classes=len(classes), subset=parts.get(subset, f"This is the {subset} set.")
    )
    return Bunch(
        data=data, target=target, frame=table, feature_names=names, target_names=np.array(classes), DESCR=description
    )
