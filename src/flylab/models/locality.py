"""Locality of a first layer: are its survivors neighbours more often than by chance?

Pruning leaves fewer connections at the edges of the signal, where there is little to see. Survivors that crowd the
middle are neighbours by that alone, so there are two ideas of chance (`NULLS`): masks that keep the number of survivors
of every unit, and masks that keep those of every input position as well.
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import fft
from scipy.special import gammaln

NULLS = ("unit", "unit-input")  # what a null keeps
RUN_LENGTHS = (2, 3, 4)
N_SAMPLES, BURN_IN, BETWEEN = 100, 30, 3  # of the null that is sampled; trades before the first sample and between two


class Locality(NamedTuple):
    """How often survivors are neighbours, relative to chance; NaN where chance has no neighbours.

    Attributes:
        runs: runs of 2, 3 and 4 adjacent survivors, `(null, run_length)`.
        co_survival: pairs of survivors at the distances 1, 2, …, against the null "unit-input", `(length − 1,)`.
    """

    runs: np.ndarray
    co_survival: np.ndarray


def locality(mask: np.ndarray, rng: np.random.Generator, n_samples: int = N_SAMPLES) -> Locality:
    """Return the locality of a mask.

    Args:
        mask: survivors, `(n_units, length)`.
        rng: draws the masks of the null "unit-input"; that of "unit" is exact.
        n_samples: masks to draw.

    >>> found = locality(np.tri(40, dtype=bool), np.random.default_rng(0))
    >>> found.runs.shape, found.co_survival.shape
    ((2, 3), (39,))
    """
    mask = np.asarray(mask, bool)
    runs, pairs = _counts(mask)
    per_unit = np.array([expected_runs(mask, n) for n in RUN_LENGTHS])
    sampled, sample = [], traded(mask, rng, BURN_IN)
    for _ in range(n_samples):
        sampled.append(_counts(sample))
        sample = traded(sample, rng, BETWEEN)
    per_unit_and_input, pairs_by_chance = (np.mean(counts, 0) for counts in zip(*sampled, strict=True))
    return Locality(_ratio(runs, np.stack([per_unit, per_unit_and_input])), _ratio(pairs, pairs_by_chance))


def n_runs(mask: np.ndarray, n: int) -> int:
    """Return the number of runs of `n` adjacent survivors; a longer run counts several times.

    >>> n_runs(np.array([[1, 1, 1, 0, 1]], bool), 2)
    2
    """
    runs = mask
    for i in range(1, n):
        runs = runs[:, :-1] & mask[:, i:]
    return int(runs.sum())


def expected_runs(mask: np.ndarray, n: int) -> float:
    """Return the mean of `n_runs` over all permutations of each unit's positions, exactly."""
    length, survivors = mask.shape[1], mask.sum(1)
    if n > length:
        return 0.0
    possible = survivors[survivors >= n]
    # n particular positions all survive with probability C(length − n, m − n) / C(length, m)
    log_p = gammaln(length - n + 1) - gammaln(possible - n + 1) - (gammaln(length + 1) - gammaln(possible + 1))
    return float((length - n + 1) * np.exp(log_p).sum())


def traded(mask: np.ndarray, rng: np.random.Generator, n_trades: int = BURN_IN) -> np.ndarray:
    """Return a random mask with as many survivors in every row and in every column, by global curveball trades.

    In a trade all rows are paired at random, and each pair deals the survivors that only one of the two has anew, as
    many to each as before. The chain's stationary distribution is uniform over all such masks (Strona et al. 2014,
    doi:10.1038/ncomms5114; Carstens et al. 2018, doi:10.4230/LIPIcs.ESA.2018.11).

    Args:
        mask: survivors, `(n_rows, n_columns)`.
        rng: draws pairs and deals.
        n_trades: trades to make.

    >>> mask = np.random.default_rng(0).random((100, 40)) < 0.1
    >>> other = traded(mask, np.random.default_rng(1))
    >>> all((other.sum(i) == mask.sum(i)).all() for i in (0, 1)), bool((other == mask).all())
    (True, False)
    """
    mask, half = np.array(mask, bool), len(mask) // 2
    for _ in range(n_trades):
        order = rng.permutation(len(mask))
        rows, others = order[:half], order[half : 2 * half]
        first, second = mask[rows], mask[others]
        both, either = first & second, first ^ second
        draw = np.where(either, rng.random(either.shape, np.float32), np.inf)
        n_dealt = (first & either).sum(1, keepdims=True)
        bound = np.take_along_axis(np.pad(np.sort(draw, 1), ((0, 0), (0, 1)), constant_values=np.inf), n_dealt, 1)
        dealt = draw < bound
        mask[rows], mask[others] = both | dealt, both | (either & ~dealt)
    return mask


def rewired(mask: np.ndarray, rng: np.random.Generator, keep: Literal["unit", "unit-input"]) -> np.ndarray:
    """Return a random mask that keeps the survivors of every unit (row), or of every unit and every input (column)."""
    return rng.permuted(mask, axis=1) if keep == "unit" else traded(mask, rng)


class Clustering(NamedTuple):
    """How often a unit's survivors are neighbours in a grid, relative to the null "unit-input"; NaN without chance.

    Attributes:
        neighbours: pairs of survivors on neighbouring pixels, relative to chance.
        association: their excess over chance as a share of the greatest that the inputs' survivors allow (Cole 1949);
            unlike a ratio, it is not bounded by how many survive.
        co_survival: pairs of survivors by the distance of their pixels, rounded to 1, 2, …, relative to chance.
    """

    neighbours: float
    association: float
    co_survival: np.ndarray


def clustering(
    mask: np.ndarray, shape: tuple[int, int, int], rng: np.random.Generator, n_distances: int = 9,
    n_samples: int = N_SAMPLES,
) -> Clustering:  # fmt: skip
    """Return how survivors cluster in a grid of pixels; channels share a pixel, a signal has one row.

    Args:
        mask: survivors, `(n_units, height · width · channels)`.
        shape: height, width and channels of the inputs.
        rng: draws the masks of the null.
        n_distances: distances to count pairs at.
        n_samples: masks to draw.

    >>> image = np.zeros((4, 4, 1), bool)
    >>> image[:2, :2] = True  # four survivors in a square: four pairs of neighbours, and two across
    >>> mask = np.stack([image.ravel(), ~image.ravel()])
    >>> pairs_by_displacement(mask[:1], image.shape, reach=1)
    array([[1., 2., 1.],
           [2., 0., 2.],
           [1., 2., 1.]])
    >>> clustering(mask, image.shape, np.random.default_rng(0)).neighbours > 1
    True
    """
    sample, by_chance = traded(mask, rng, BURN_IN), np.zeros(n_distances + 1)
    for _ in range(n_samples):
        by_chance += _by_distance(sample, shape, n_distances) / n_samples
        sample = traded(sample, rng, BETWEEN)
    found = _by_distance(mask, shape, n_distances)
    excess, possible = found[0] - by_chance[0], _most_neighbours(mask, shape) - by_chance[0]
    ratios = _ratio(found, by_chance)
    return Clustering(float(ratios[0]), float(excess / possible) if possible > 0 else math.nan, ratios[1:])


def pairs_by_displacement(mask: np.ndarray, shape: tuple[int, int, int], reach: int) -> np.ndarray:
    """Return the pairs of survivors of one unit by the displacement of their pixels: autocorrelations, summed.

    The array `(2 · rows + 1, 2 · columns + 1)` has displacements up to `reach`, or to the edges; (0, 0), pairs of
    channels, is in the middle. It holds every pair in both directions.
    """
    pixels = np.asarray(mask, np.float32).reshape(-1, *shape).sum(3)
    padded = tuple(fft.next_fast_len(n + min(reach, n - 1), real=True) for n in shape[:2])
    spectrum: Any = fft.rfft2(pixels, padded)
    counts: Any = fft.irfft2(np.square(np.abs(spectrum), dtype=float).sum(0), padded)
    counts = np.rint(counts)
    counts[0, 0] -= np.sum(mask)  # each with itself
    rows, columns = (np.arange(-min(reach, n - 1), min(reach, n - 1) + 1) for n in shape[:2])
    return counts[np.ix_(rows, columns)]


def _by_distance(mask: np.ndarray, shape: tuple[int, int, int], n_distances: int) -> np.ndarray:
    """Return the pairs of survivors at distance 1, and those at distances that round to 1, 2, …."""
    pairs = pairs_by_displacement(mask, shape, n_distances) / 2
    rows, columns = (np.arange(n) - n // 2 for n in pairs.shape)
    distance = np.hypot(rows[:, None], columns)
    binned = np.bincount(np.rint(distance).astype(int).ravel(), pairs.ravel(), minlength=n_distances + 1)
    return np.concatenate([[pairs[distance == 1].sum()], binned[1 : n_distances + 1]])


def _most_neighbours(mask: np.ndarray, shape: tuple[int, int, int]) -> float:
    """Return the most pairs of neighbouring survivors that masks with as many survivors of every input can have."""
    survivors = mask.sum(0).reshape(shape)
    down = np.minimum(survivors[1:, :, :, None], survivors[:-1, :, None, :]).sum()
    across = np.minimum(survivors[:, 1:, :, None], survivors[:, :-1, None, :]).sum()
    return float(down + across)


def _counts(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the runs of each length, and the pairs of survivors at each distance."""
    together = mask.T.astype(np.float32) @ mask.astype(np.float32)
    pairs = [np.trace(together, distance) for distance in range(1, mask.shape[1])]
    return np.array([n_runs(mask, n) for n in RUN_LENGTHS]), np.array(pairs)


def _ratio(count: np.ndarray, by_chance: np.ndarray) -> np.ndarray:
    return np.where(by_chance > 0, count / np.where(by_chance > 0, by_chance, 1), math.nan)
