"""Random views of a signal for contrastive learning, as pure JAX functions of one signal.

Two views of an example differ in position, slope and offset, none of which matters for its class (Greydanus & Kobak
2024, section on self-supervised learning).
"""

import jax
import jax.numpy as jnp

from flylab.base.rng import stream
from flylab.base.types import Key, Signal


def detrend(x: Signal) -> Signal:
    """Subtract the mean and the least-squares linear trend from a signal.

    >>> import jax.numpy as jnp
    >>> bool(jnp.abs(detrend(3.0 + 0.5 * jnp.arange(40.0))).max() < 1e-5)
    True
    """
    t = jnp.arange(len(x), dtype=x.dtype) - (len(x) - 1) / 2
    return x - x.mean() - t * (t @ x) / jnp.maximum(t @ t, 1)


def shift(x: Signal, n_positions) -> Signal:
    """Shift a signal circularly to the right; the number of positions may be traced.

    >>> import jax.numpy as jnp
    >>> shift(jnp.array([1, 2, 3]), 1).tolist()
    [3, 1, 2]
    """
    return jax.lax.dynamic_slice(jnp.concatenate([x, x]), ((-n_positions) % len(x),), (len(x),))


def view(key: Key, x: Signal, max_shift: int = 10, slope_scale: float = 0.04, offset_scale: float = 0.3) -> Signal:
    """Return a random view of a signal: detrended, shifted, with a random slope and offset.

    Args:
        key: a random key.
        x: the signal, `(length,)`.
        max_shift: circular shifts are drawn uniformly from 0 … max_shift − 1 positions.
        slope_scale: standard deviation of the slope, per position.
        offset_scale: standard deviation of the offset.

    >>> import jax, jax.numpy as jnp
    >>> view(jax.random.key(0), jnp.ones(40)).shape
    (40,)
    """
    n = jax.random.randint(stream(key, "shift"), (), 0, max_shift)
    slope, offset = jax.random.normal(stream(key, "line"), (2,))
    t = jnp.arange(len(x), dtype=x.dtype) - (len(x) - 1) / 2
    return shift(detrend(x), n) + slope_scale * slope * t + offset_scale * offset
