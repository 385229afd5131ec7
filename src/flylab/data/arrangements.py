"""Orders of the positions of a signal: plain, shuffled, reversed, halves exchanged. All are permutations."""

import numpy as np


def shuffled(length: int, seed: int = 42) -> tuple[int, ...]:
    """A random order of `length` positions: `RandomState(seed).permutation(length)`, as in the published notebooks.

    >>> sorted(shuffled(40)) == list(range(40))
    True
    """
    return tuple(np.random.RandomState(seed).permutation(length).tolist())


def reversed_(length: int) -> tuple[int, ...]:
    """The positions backwards.

    >>> reversed_(3)
    (2, 1, 0)
    """
    return tuple(range(length))[::-1]


def exchanged(length: int) -> tuple[int, ...]:
    """The second half before the first.

    >>> exchanged(4)
    (2, 3, 0, 1)
    """
    return (*range(length // 2, length), *range(length // 2))
