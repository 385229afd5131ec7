"""The steps that turn a template into an example, as pure functions of many examples and their random draws.

Each function repeats the arithmetic of the reference implementation operation by operation, so that results agree bit
for bit.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d

Signals = Float[np.ndarray, "n length"]


class Stages(NamedTuple):
    """Examples after each of the six steps of their construction, `(n, n_points)`; the last `(n, final_seq_length)`."""

    padded: np.ndarray
    scaled: np.ndarray
    translated: np.ndarray
    noisy: np.ndarray
    sheared: np.ndarray
    resampled: np.ndarray


class Draws(NamedTuple):
    """The random numbers of `n` examples, in which alone two examples of a class differ."""

    padding: Int[np.ndarray, " n"]  # number of zeros to append
    scale: Float[np.ndarray, " n"]  # uniform in [0, 1)
    shift: Int[np.ndarray, " n"]  # points to shift by
    noise: Float[np.ndarray, "n 2 points"]  # standard normal: correlated, then iid
    shear: Float[np.ndarray, " n"]  # uniform in [0, 1)


def resample(x: Signals, n_points: int) -> Float[np.ndarray, "n n_points"]:
    """Interpolate every row linearly at `n_points` equally spaced points, as `np.interp` computes it."""
    length = x.shape[1]
    old, new = np.linspace(0, 1, length), np.linspace(0, 1, n_points)
    if length == 1:
        return x[:, [0] * n_points]
    left = np.minimum(np.searchsorted(old, new, side="right") - 1, length - 2)
    slope = (x[:, left + 1] - x[:, left]) / (old[left + 1] - old[left])
    y = slope * (new - old[left]) + x[:, left]
    exact = old[np.minimum(left + 1, length - 1)] == new  # at its nodes np.interp returns their values
    y[:, exact] = x[:, left[exact] + 1]
    return y


def pad(patterns: Float[np.ndarray, "classes template"], which, zeros: Int[np.ndarray, " n"], n_points: int) -> Signals:
    """Append `zeros[i]` zeros to pattern `which[i]` and stretch the result to `n_points`.

    There are few distinct pairs of pattern and padding, so each pair is interpolated once.
    """
    pairs, inverse = np.unique(zeros * len(patterns) + which, return_inverse=True)
    new = np.linspace(0, 1, n_points)
    rows = []
    for p, k in zip(*np.divmod(pairs, len(patterns)), strict=True):
        row = np.concatenate([patterns[k], np.zeros(p)])
        rows.append(np.interp(new, np.linspace(0, 1, len(row)), row))
    return np.array(rows)[inverse]


def translate(x: Signals, shift: Int[np.ndarray, " n"]) -> Signals:
    """Shift row i circularly to the right by `shift[i]` points, or not at all if `shift[i]` ≥ the length."""
    length = x.shape[1]
    shift = np.where(shift < length, shift, 0)[:, None]
    return np.take_along_axis(x, (np.arange(length) - shift) % length, 1)


def add_noise(x: Signals, noise: Float[np.ndarray, "n 2 points"], corr_scale: float, iid_scale: float) -> Signals:
    """Replace zeros by smooth noise (Gaussian filter, σ = 2 points) and add white noise everywhere."""
    noisy = np.where(x != 0, x, gaussian_filter1d(corr_scale * noise[:, 0], 2))
    noisy += iid_scale * noise[:, 1]
    return noisy


def shear(x: Signals, slope: Float[np.ndarray, " n"]) -> Signals:
    """Subtract a linear trend that falls by `slope[i]` from the first to the last point of row i."""
    return x - slope[:, None] * np.linspace(-0.5, 0.5, x.shape[1])


def construct(patterns, which: Int[np.ndarray, " n"], draws: Draws, config) -> Stages:
    """Apply all six steps to examples of the classes `which`, under an `MNIST1D` config.

    As in the reference, 1e-8 is added to a template before padding, which tells its zeros from those of the padding.
    """
    padded = pad(patterns + 1e-8, which, draws.padding, config.n_points)
    scaled = padded * (1 + config.scale_coeff * (draws.scale - 0.5))[:, None]
    translated = translate(scaled, draws.shift)
    noisy = add_noise(translated, draws.noise, config.corr_noise_scale, config.iid_noise_scale)
    sheared = shear(noisy, config.shear_scale * (draws.shear - 0.5))
    return Stages(padded, scaled, translated, noisy, sheared, resample(sheared, config.final_seq_length))
