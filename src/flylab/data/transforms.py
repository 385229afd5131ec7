"""The steps that turn a template into an example, vectorised over examples. Pure: the random draws are arguments.

Each function repeats the reference's arithmetic operation by operation, so that the results agree bit for bit.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d

Signals = Float[np.ndarray, "n length"]


class Stages(NamedTuple):
    """The six steps of a set's construction; each `(n, n_points)`, the last `(n, final_seq_length)`."""

    padded: np.ndarray
    scaled: np.ndarray
    translated: np.ndarray
    noisy: np.ndarray
    sheared: np.ndarray
    resampled: np.ndarray


class Draws(NamedTuple):
    """The random numbers behind `n` examples: all that distinguishes two examples of a class."""

    padding: Int[np.ndarray, " n"]  # zeros to append
    scale: Float[np.ndarray, " n"]  # uniform in [0, 1)
    shift: Int[np.ndarray, " n"]  # points to shift by
    noise: Float[np.ndarray, "n 2 points"]  # standard normal: correlated, then iid
    shear: Float[np.ndarray, " n"]  # uniform in [0, 1)


def resample(x: Signals, n_points: int) -> Float[np.ndarray, "n n_points"]:
    """Linear interpolation of every row to `n_points` equally spaced points, as `np.interp` computes it."""
    length = x.shape[1]
    old, new = np.linspace(0, 1, length), np.linspace(0, 1, n_points)
    if length == 1:
        return x[:, [0] * n_points]
    left = np.minimum(np.searchsorted(old, new, side="right") - 1, length - 2)
    slope = (x[:, left + 1] - x[:, left]) / (old[left + 1] - old[left])
    y = slope * (new - old[left]) + x[:, left]
    exact = old[np.minimum(left + 1, length - 1)] == new  # np.interp returns a knot's own value
    y[:, exact] = x[:, left[exact] + 1]
    return y


def pad(patterns: Float[np.ndarray, "classes template"], which, zeros: Int[np.ndarray, " n"], n_points: int) -> Signals:
    """Example i: pattern `which[i]`, `zeros[i]` zeros appended, stretched to `n_points`.

    There are few distinct (pattern, padding) pairs: each is interpolated once.
    """
    pairs, inverse = np.unique(zeros * len(patterns) + which, return_inverse=True)
    new = np.linspace(0, 1, n_points)
    rows = []
    for p, k in zip(*np.divmod(pairs, len(patterns)), strict=True):
        row = np.concatenate([patterns[k], np.zeros(p)])
        rows.append(np.interp(new, np.linspace(0, 1, len(row)), row))
    return np.array(rows)[inverse]


def translate(x: Signals, shift: Int[np.ndarray, " n"]) -> Signals:
    """Shift row i by `shift[i]` points to the right, circularly; by nothing if that is the length or more."""
    length = x.shape[1]
    shift = np.where(shift < length, shift, 0)[:, None]
    return np.take_along_axis(x, (np.arange(length) - shift) % length, 1)


def add_noise(x: Signals, noise: Float[np.ndarray, "n 2 points"], corr_scale: float, iid_scale: float) -> Signals:
    """Smooth noise (Gaussian filter, σ = 2 points) where the signal is 0, and white noise everywhere."""
    noisy = np.where(x != 0, x, gaussian_filter1d(corr_scale * noise[:, 0], 2))
    noisy += iid_scale * noise[:, 1]
    return noisy


def shear(x: Signals, slope: Float[np.ndarray, " n"]) -> Signals:
    """Subtract a linear trend that falls by `slope[i]` from the first to the last point of row i."""
    return x - slope[:, None] * np.linspace(-0.5, 0.5, x.shape[1])


def construct(patterns, which: Int[np.ndarray, " n"], draws: Draws, config) -> Stages:
    """All six steps for examples of classes `which`, under an `MNIST1D` config.

    The reference adds 1e-8 to a template before padding, so that its zeros are told from the padding's.
    """
    padded = pad(patterns + 1e-8, which, draws.padding, config.n_points)
    scaled = padded * (1 + config.scale_coeff * (draws.scale - 0.5))[:, None]
    translated = translate(scaled, draws.shift)
    noisy = add_noise(translated, draws.noise, config.corr_noise_scale, config.iid_noise_scale)
    sheared = shear(noisy, config.shear_scale * (draws.shear - 0.5))
    return Stages(padded, scaled, translated, noisy, sheared, resample(sheared, config.final_seq_length))
