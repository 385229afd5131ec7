import numpy as np
import pytest
import xarray as xr

from flylab.results.places import (  # fmt: skip
    cross_fitted,
    cross_fitted_rise,
    crossing,
    exponents,
    greatest_rise,
    peak_place,
)


def test_cross_fitting_removes_the_bias_of_the_best():
    """Pure noise: the best of 50 evaluations looks good, cross-fitted it does not."""
    noise = np.random.default_rng(0).normal(size=(20, 50))
    curve = xr.DataArray(noise, dims=("seed", "step"), coords={"seed": range(20), "step": range(50)})
    assert float(curve.max("step").mean()) > 1.5
    assert abs(float(cross_fitted(curve, "step").mean())) < 0.7
    assert cross_fitted(curve, "step").seed.values.tolist() == list(range(20))


def test_cross_fitting_finds_a_real_peak():
    curve = xr.DataArray(np.tile([0.0, 5.0, 1.0], (4, 1)), dims=("seed", "step"), coords={"seed": range(4)})
    assert cross_fitted(curve, "step").values.tolist() == [5.0] * 4
    assert cross_fitted(curve, "step", "min").values.tolist() == [0.0] * 4
    with pytest.raises(ValueError, match="two seeds"):
        cross_fitted(curve.isel(seed=[0]), "step")


def test_greatest_rise():
    assert greatest_rise([5, 3, 4, 1, 9, 2, 8]) == (3, 4)
    assert greatest_rise([9, 8, 8, 3]) == (1, 2)  # it only falls: where it falls least
    with pytest.raises(ValueError, match="at least two"):
        greatest_rise([1.0])


def test_cross_fitted_rise_is_unbiased_without_a_rise():
    rng = np.random.default_rng(0)
    flat = [xr.DataArray(rng.normal(size=(6, 19)), dims=("seed", "width")) for _ in range(60)]
    naive = np.mean([float((c[:, 1:].max("width") - c[:, 0]).mean()) for c in flat])
    rises = [cross_fitted_rise(c, "width") for c in flat]
    assert naive > 1
    assert abs(np.mean([float((rise.peak - rise.dip).mean()) for rise in rises])) < 0.15


def test_cross_fitted_rise_finds_dip_peak_and_end():
    values = np.array([90.0, 47.0, 50.0, 54.0, 45.0]) + np.arange(4)[:, None]
    rise = cross_fitted_rise(xr.DataArray(values, dims=("seed", "width"), coords={"seed": range(4)}), "width")
    assert rise.dip.values.tolist() == [47, 48, 49, 50]
    assert rise.peak.values.tolist() == [54, 55, 56, 57]
    assert rise.end.values.tolist() == [45, 46, 47, 48]
    with pytest.raises(ValueError, match="two seeds"):
        cross_fitted_rise(xr.DataArray(values[:1], dims=("seed", "width")), "width")


def test_peak_place():
    x = np.geomspace(2, 300, 25)
    hill = 45 + 40 * np.exp(-x) + 9 * np.exp(-(np.log(x / 44) ** 2))  # falls, rises to 54, falls
    assert peak_place(x, hill) == pytest.approx(44, rel=0.01)
    assert peak_place(x, hill, least=0.1) == pytest.approx(44, rel=0.01)
    assert np.isnan(peak_place(x, hill, least=0.3))
    for none in (np.log(x), -np.log(x), np.full(25, np.nan), np.ones(25)):  # rising, falling, missing, flat
        assert np.isnan(peak_place(x, none))


def test_crossing():
    assert crossing([1, 10, 100], [4.0, 3.0, 1.0], 2.0) == pytest.approx(10**1.5)
    assert np.isnan(crossing([1, 10], [4.0, 3.0], 2.0))
    assert np.isnan(crossing([1, 10], [1.0, 0.0], 2.0))


def test_exponents_recover_a_law_and_want_all_of_it():
    n, k = np.meshgrid([500, 1000, 2000, 4000], [2, 5, 10])
    y = 3.0 * n**0.9 * k**-0.2
    found = exponents(y.ravel(), n=n.ravel(), k=k.ravel())
    assert found == pytest.approx({"n": 0.9, "k": -0.2})
    y[0, 0] = np.nan
    assert np.isnan(list(exponents(y.ravel(), n=n.ravel(), k=k.ravel()).values())).all()
