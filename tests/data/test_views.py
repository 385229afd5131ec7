"""Random views of a signal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flylab.data.views import detrend, shift, view

x = jax.random.normal(jax.random.key(1), (40,))


def test_detrend_leaves_neither_mean_nor_slope():
    t = np.arange(40)
    found = np.asarray(detrend(x + 3 + 0.1 * t), np.float64)
    np.testing.assert_allclose(np.polyfit(t, found, 1), 0, atol=1e-6)
    np.testing.assert_allclose(found, detrend(x), atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 39])
def test_shift_is_numpys_roll(n):
    np.testing.assert_array_equal(jax.jit(shift)(x, n), np.roll(x, n))


@pytest.mark.slow
def test_a_view_without_slope_and_offset_is_a_shifted_signal():
    seen = set()
    for seed in range(50):
        found = view(jax.random.key(seed), x, max_shift=4, slope_scale=0.0, offset_scale=0.0)
        seen |= {n for n in range(40) if np.allclose(found, np.roll(detrend(x), n), atol=1e-5)}
    assert seen == {0, 1, 2, 3}


@pytest.mark.slow
def test_slopes_and_offsets_are_as_large_as_asked():
    views = jax.vmap(lambda key: view(key, jnp.zeros(40)))(jax.random.split(jax.random.key(0), 4000))
    slope, offset = np.polyfit(np.arange(40) - 19.5, np.asarray(views, np.float64).T, 1)
    assert slope.std() == pytest.approx(0.04, rel=0.05)
    assert offset.std() == pytest.approx(0.3, rel=0.05)
    assert abs(np.corrcoef(slope, offset)[0, 1]) < 0.05
