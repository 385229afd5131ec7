"""Permutations of the positions of a signal: shuffled, reversed, halves exchanged."""

import numpy as np


def shuffled(length: int, seed: int = 42) -> tuple[int, ...]:
    """Return `RandomState(seed).permutation(length)`, the random order of the published notebooks.

    >>> sorted(shuffled(40)) == list(range(40))
    True
    """
    return tuple(np.random.RandomState(seed).permutation(length).tolist())


def reversed_(length: int) -> tuple[int, ...]:
    """Return the positions in reverse order.

    >>> reversed_(3)
    (2, 1, 0)
    """
    return tuple(range(length))[::-1]


def exchanged(length: int) -> tuple[int, ...]:
    """Return the positions with the second half before the first.

    >>> exchanged(4)
    (2, 3, 0, 1)
    """
    return (*range(length // 2, length), *range(length // 2))
