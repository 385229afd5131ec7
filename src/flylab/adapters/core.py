"""Helpers that the adapters share: the splits of a config, their subsets and class names."""

import functools

import numpy as np

from flylab.data import MNIST1D, Dataset, Splits, published
from flylab.data.inputs import checked
from flylab.data.splits import SETS as SUBSETS

_published = functools.lru_cache(maxsize=4)(published)  # adapters copy the arrays, so users cannot change the cache


def splits_of(data: MNIST1D | Splits | None) -> Splits:
    """Return splits as they are, or generate those of a config; None means the published set.

    Raises:
        TypeError: if `data` is anything else.
        ValueError: if the sets of splits do not fit together, see `data.inputs.checked`.
    """
    if isinstance(data, Splits):
        return checked(data)
    if data is None or isinstance(data, MNIST1D):
        return _published(MNIST1D() if data is None else data)
    kind = type(data).__name__
    raise TypeError(f"data must be a config, flylab.MNIST1D(…), or splits, as from flylab.data.load, not {kind}")


def subset_of(data: MNIST1D | Splits | None, subset: str) -> Dataset:
    """Return the set called `subset`; "all" is the training set followed by the test set, the paper's 5000 examples.

    Raises:
        ValueError: if there is no such set.
    """
    splits = splits_of(data)
    if subset == "all":
        return Dataset(*(np.concatenate(arrays) for arrays in zip(splits.train, splits.test, strict=True)))
    if subset not in SUBSETS:
        raise ValueError(f"subset={subset!r} must be one of {', '.join((*SUBSETS, 'all'))}")
    return getattr(splits, subset)


def class_names(splits: Splits) -> list[str]:
    """Return the names of the labels 0 … greatest label, which are the numbers themselves."""
    greatest = max(int(np.max(part.y, initial=-1)) for part in splits[:3])
    n_outputs = splits.config.outputs if isinstance(splits.config, MNIST1D) else 0
    return [str(label) for label in range(max(greatest + 1, n_outputs))]
