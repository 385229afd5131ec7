"""Published data as studies use them: shared by all seeds, or made anew for each seed; recent sets are kept."""

import functools
from dataclasses import dataclass, replace

from flylab.data.mnist1d import MNIST1D
from flylab.data.published import published
from flylab.data.splits import Splits


@functools.lru_cache(maxsize=32)
def shared(config: MNIST1D) -> Splits:
    """Return `published(config)` with arrays that are read-only, since all who ask get the same ones."""
    splits = published(config)
    for array in (*splits.train, *splits.valid, *splits.test):
        array.setflags(write=False)
    return splits


@dataclass(frozen=True)
class Fresh:
    """A function from the seed to its own data set: that of a config, made with the generator seed 1000 + 2·seed."""

    config: MNIST1D

    def __call__(self, seed: int) -> Splits:
        """Return the data set of a seed; its arrays are read-only."""
        return shared(replace(self.config, seed=1000 + 2 * seed))


def fresh(config: MNIST1D | None = None) -> Fresh:
    """Return data made anew for each seed; `train_members` takes it as data.

    The generator's seed is 1000 + 2·seed, because the validation set is that of the next seed.

    >>> data = fresh(MNIST1D(n_train=20, n_valid=10, n_test=10))
    >>> data(3).config.seed
    1006
    """
    return Fresh(MNIST1D() if config is None else config)
