"""The published generator in NumPy, which reproduces the reference implementation for every argument it accepts."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from flylab.base.files import memory
from flylab.data.mnist1d import MNIST1D
from flylab.data.splits import Dataset, Splits
from flylab.data.transforms import Draws, Stages, construct, resample


def published(config: MNIST1D | None = None) -> Splits:
    """Generate MNIST-1D as published (Greydanus & Kobak 2024), or with other data parameters.

    `train` and `test` equal, to rounding, the sets that the reference package generates with
    `num_samples = n_train + n_test`. `valid` equals the set that it generates with `seed + 1` and
    `num_samples = n_valid`, in the same order of positions.

    Args:
        config: the data parameters. The default, `MNIST1D()`, is the published set of 4000 + 1000 examples.

    Returns:
        `Splits` of float64 signals `(n, final_seq_length)` and integer labels `(n,)`.

    Raises:
        ValueError: if the sets do not fit into this machine's memory.

    >>> splits = published(MNIST1D(n_train=40, n_test=10, n_valid=10))
    >>> splits.train.x.shape, splits.test.y.shape
    ((40, 40), (10,))
    """
    config = MNIST1D() if config is None else config
    _check_memory(config)
    rng = np.random.RandomState(config.seed)
    x, y, order = make_raw(config, config.n_train + config.n_test, rng)
    t = time_axis(config.patterns.arrays()[1], config) / x.std()
    x = _arranged(standardised(x), config)
    n = config.n_train
    train, test = (
        Dataset(x[:n], apply_label_noise(config, "train", y[:n])),
        Dataset(x[n:], apply_label_noise(config, "test", y[n:])),
    )
    return Splits(train, _valid(config, order), test, t, config.patterns, config)


def _check_memory(config: MNIST1D) -> None:
    n, points = config.n_train + config.n_valid + config.n_test, 2 * config.n_points + config.final_seq_length
    if n * points * 8 > (available := memory()):
        raise ValueError(
            f"n_train={config.n_train}, n_valid={config.n_valid}, n_test={config.n_test} of {config.n_points} points "
            f"need {n * points * 8 / 1e9:.3g} GB, this machine has {available / 1e9:.3g}: use fewer or shorter examples"
        )


def time_axis(t: Float[np.ndarray, " template"], config: MNIST1D) -> Float[np.ndarray, " length"]:
    """Return the templates' time axis after resampling. The reference then divides it by the signals' deviation."""
    return resample(resample(t[None], config.n_points), config.final_seq_length)[0]


def make_raw(config: MNIST1D, n: int, rng: np.random.RandomState):
    """Generate `n` examples before standardisation, with the same draws from `rng` as the reference.

    Args:
        config: the data parameters.
        n: number of examples, a multiple of the number of classes.
        rng: the source of all random draws.

    Returns:
        `x (n, length)`, `y (n,)`, and the order of positions that `shuffle_seq` drew, or None.
    """
    patterns, _, labels = config.patterns.arrays()
    which = np.repeat(np.arange(config.n_classes), n // config.n_classes)
    x = construct(patterns, which, draw(config, n, rng), config).resampled
    order = rng.permutation(n)
    x, y = x[order], labels[which][order]
    positions = rng.permutation(config.final_seq_length) if config.shuffle_seq else None
    return (x if positions is None else x[:, positions]), y, positions


def draw(config: MNIST1D, n: int, rng: np.random.RandomState) -> Draws:
    """Draw the random numbers of `n` examples, example by example, in the reference's order."""
    low, high = config.padding
    uniform = np.empty((3, n))
    shift = np.empty(n, int)
    noise = np.empty((n, 2, config.n_points))
    size = (2, config.n_points)
    random, randint, normal = rng.random_sample, rng.randint, rng.standard_normal
    for i in range(n):
        uniform[0, i] = random()
        uniform[1, i] = random()
        shift[i] = randint(config.max_translation)
        noise[i] = normal(size)
        uniform[2, i] = random()
    padding = low + (uniform[0] * (high - low + 1)).astype(int)
    return Draws(padding, uniform[1], shift, noise, uniform[2])


def stages(config: MNIST1D, seed: int = 0) -> Stages:
    """Generate one example of each class and return it after each step of its construction.

    Each step is an array `(n_classes, n_points)`; the last is `(n_classes, final_seq_length)`.
    """
    which = np.arange(config.n_classes)
    draws = draw(config, config.n_classes, np.random.RandomState(seed))
    return construct(config.patterns.arrays()[0], which, draws, config)


def standardised(x: Float[np.ndarray, "n length"]) -> Float[np.ndarray, "n length"]:
    """Standardise a set to mean 0 and standard deviation 1 over all its values, as the reference does."""
    return (x - x.mean()) / x.std()


def _valid(config: MNIST1D, positions: Int[np.ndarray, " length"] | None) -> Dataset:
    if config.n_valid == 0:
        return Dataset(np.empty((0, config.final_seq_length)), np.empty(0, int))
    rng = np.random.RandomState(config.seed + 1)
    x, y, _ = make_raw(replace(config, shuffle_seq=False), config.n_valid, rng)
    x = x if positions is None else x[:, positions]
    return Dataset(_arranged(standardised(x), config), apply_label_noise(config, "valid", y))


def apply_label_noise(config: MNIST1D, name: str, y: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return the labels of a set after label noise or randomisation.

    The draws are independent of those of the signals, which therefore stay the same. Label noise applies to the
    training set only.
    """
    rng = np.random.RandomState([config.seed, *name.encode()])
    if config.random_labels is not None:
        return rng.randint(config.random_labels, size=len(y))
    if name != "train" or not config.label_noise:
        return y
    labels = np.array(config.labels)
    n, chosen, drawn = len(labels), rng.random_sample(len(y)) < config.label_noise, rng.random_sample(len(y))
    true = (y[:, None] == labels).argmax(1)
    other = (drawn * n).astype(int) if config.label_noise_repeats else (true + 1 + (drawn * (n - 1)).astype(int)) % n
    return np.where(chosen, labels[other], y)


def _arranged(x: np.ndarray, config: MNIST1D) -> np.ndarray:
    return x if config.permutation is None else x[:, list(config.permutation)]
