"""What all adapters share: the sets of a config, or of splits made or loaded before."""

import functools

import numpy as np

from flylab.data import MNIST1D, Dataset, Splits, published
from flylab.data.splits import SETS as SUBSETS


def splits_of(data: MNIST1D | Splits | None) -> Splits:
    """The splits themselves; or those of a config, by default the published ones.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(data, Splits):
        return data
    if data is None or isinstance(data, MNIST1D):
        return _published(MNIST1D() if data is None else data)
    raise TypeError(f"data={data!r} is neither a config, flylab.MNIST1D(…), nor splits, as from flylab.data.load")


def subset_of(data: MNIST1D | Splits | None, subset: str) -> Dataset:
    """The set called `subset`, or `"all"`: training and test set one after the other, as the paper's 5000.

    Raises:
        ValueError: for another name.
    """
    splits = splits_of(data)
    if subset == "all":
        return Dataset(*(np.concatenate(both) for both in zip(splits.train, splits.test, strict=True)))
    if subset not in SUBSETS:
        raise ValueError(f"subset={subset!r} is not allowed: give one of {', '.join((*SUBSETS, 'all'))}")
    return getattr(splits, subset)


def class_names(splits: Splits) -> list[str]:
    """A name for each label 0 … greatest label: the digits' own."""
    greatest = max(int(np.max(one.y, initial=-1)) for one in splits[:3])
    known = splits.config.outputs if isinstance(splits.config, MNIST1D) else 0
    return [str(label) for label in range(max(greatest + 1, known))]


@functools.lru_cache(maxsize=4)
def _published(config: MNIST1D) -> Splits:
    return published(config)  # adapters copy: nobody can change what stands here
