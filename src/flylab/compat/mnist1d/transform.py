"""The steps from a template to an example, for one signal, with NumPy's global random generator.

`flylab.data.transforms` has them as pure functions of many signals.
"""

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from flylab.data.transforms import resample


def pad(x: np.ndarray, padding) -> np.ndarray:
    """Append a random number of zeros, from `padding[0]` to `padding[1]`, to a signal.

    Args:
        x: signal `(length,)`, or signals `(n, length)`, which all get the same number of zeros.
        padding: the smallest and the largest number.

    >>> pad(np.ones(2), (3, 3))
    array([1., 1., 0., 0., 0.])
    """
    least, greatest = padding
    n_zeros = least + int((greatest - least + 1) * np.random.rand())
    return np.concatenate([x, np.zeros((*x.shape[:-1], n_zeros))], axis=-1)


def shear(x: np.ndarray, scale: float = 10) -> np.ndarray:
    """Subtract a linear trend of random slope, uniform in ±`scale`/2 from the first to the last point."""
    slope = scale * (np.random.rand() - 0.5)
    return x - slope * np.linspace(-0.5, 0.5, len(x))


def translate(x: np.ndarray, max_translation: int) -> np.ndarray:
    """Shift circularly by 0 … `max_translation` − 1 points along the first axis; shifts ≥ the length have no effect.

    >>> translate(np.arange(3), 1)
    array([0, 1, 2])
    """
    shift = np.random.choice(max_translation)
    return np.roll(x, shift if abs(shift) < len(x) else 0, axis=0)


def corr_noise_like(x: np.ndarray, scale: float) -> np.ndarray:
    """Return Gaussian noise with the shape of `x`, scaled by `scale`, then filtered (σ = 2) along all axes."""
    return gaussian_filter(scale * np.random.randn(*x.shape), 2)


def iid_noise_like(x: np.ndarray, scale: float) -> np.ndarray:
    """Return white Gaussian noise with the shape of `x` and standard deviation `scale`."""
    return scale * np.random.randn(*x.shape)


def interpolate(x: np.ndarray, N: int) -> np.ndarray:
    """Resample linearly to `N` points along the first axis.

    >>> interpolate(np.array([0, 1]), 5)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    x = np.asarray(x, float)
    rows = resample(np.ascontiguousarray(x.reshape(len(x), -1).T), N)  # (values per point, N)
    return np.ascontiguousarray(rows.T).reshape(N, *x.shape[1:])


def transform(x: np.ndarray, y: np.ndarray, args: Any, eps: float = 1e-8) -> tuple[np.ndarray, np.ndarray]:
    """Make one example from a template: pad, stretch, scale, translate, add noise, shear, resample.

    Args:
        x: the template `(length,)`.
        y: its time axis `(length,)`.
        args: has the attributes `padding`, `template_len`, `scale_coeff`, `max_translation`, `corr_noise_scale`,
            `iid_noise_scale`, `shear_scale` and `final_seq_length`.
        eps: added to the template, which tells its own zeros from the padding's.

    Returns:
        The example and its time axis, each `(final_seq_length,)`.
    """
    n_points = args.template_len + args.padding[-1]
    signal, time = interpolate(pad(x + eps, args.padding), n_points), interpolate(y, n_points)
    signal = signal * (1 + args.scale_coeff * (np.random.rand() - 0.5))
    signal = translate(signal, args.max_translation)
    smooth = corr_noise_like(signal, args.corr_noise_scale)
    signal = np.where(signal != 0, signal, smooth) + iid_noise_like(signal, args.iid_noise_scale)
    signal = shear(signal, args.shear_scale)
    return interpolate(signal, args.final_seq_length), interpolate(time, args.final_seq_length)
