"""Interpolation thresholds, and the laws that they may follow."""

import numpy as np
import xarray as xr

from flylab.results.places import crossing, exponents, peak_place

MEASURES = {
    "error": "training error < 1 %",
    "loss": "training loss < 1 % of its start",
    "test_error": "peak of the test error",
    "test_loss": "peak of the test loss",
}
LAWS = {
    "n": lambda n_train, n_outputs: n_train,
    "n·log₂K": lambda n_train, n_outputs: n_train * np.log2(n_outputs),
    "n·K": lambda n_train, n_outputs: n_train * n_outputs,
}


def threshold(results: xr.Dataset, treatment: str, measure: str = "error", step: int | None = None) -> xr.DataArray:
    """Return the interpolation threshold in parameters over `seed` and `setting`; NaN outside the widths.

    Claims are on the first of `MEASURES`, the only one that all arms have: with random labels the test error has no
    peak, and a loss that is small for one objective is not for the other. A peak must rise above the dip and fall again
    by at least a twentieth of the dip's value. Settings are the designed pairs of `n_train` and `n_outputs`.

    Args:
        results: the study's results.
        treatment: one of `THRESHOLDS` or `FAST`.
        measure: one of `MEASURES`.
        step: the optimiser step; by default the last.
    """
    results = results.sel(treatment=treatment).sortby("width")
    values = {
        "error": results.train_error, "loss": 100 * results.train_loss / results.train_loss.isel(step=0),
        "test_error": results.test_error, "test_loss": results.test_loss,
    }[measure]  # fmt: skip

    def place(sizes, values):
        is_designed = ~np.isnan(sizes)
        sizes, values = sizes[is_designed], values[is_designed]
        return peak_place(sizes, values, 0.05) if measure.startswith("test") else crossing(sizes, values, 1.0)

    values = values.isel(step=-1) if step is None else values.sel(step=step)
    widths = (("width",), ("width",))
    places = xr.apply_ufunc(place, results.n_params, values, input_core_dims=widths, vectorize=True)
    settings = {"setting": ("n_train", "n_outputs")}
    designed = results.n_params.notnull().any(("seed", "width")).stack(settings)
    return places.stack(settings).isel(setting=designed.values).transpose("seed", "setting")


def power(results: xr.Dataset, treatment: str, measure: str, of: str, law: str | None = None) -> xr.DataArray:
    """Return the power of `of` (n_train or n_outputs) by which the threshold, over that of a law, grows, over `seed`.

    Returns NaN for a seed without all thresholds, or if `of` does not vary.
    """
    places = threshold(results, treatment, measure)
    expected = 1 if law is None else _expected(places, law)
    factors = {name: places[name].values for name in ("n_train", "n_outputs") if len(set(places[name].values)) > 1}
    return places.seed.copy(data=[exponents(row, **factors).get(of, np.nan) for row in (places / expected).values])


def level(results: xr.Dataset, treatment: str, measure: str, law: str) -> xr.DataArray:
    """Return the mean over the settings of log₂ of the threshold over that of a law, over `seed`; NaN as in `power`."""
    places = threshold(results, treatment, measure)
    return _mean_log2(places / _expected(places, law))


def _mean_log2(ratios: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(np.log2, ratios).mean("setting", skipna=False)


def _expected(places: xr.DataArray, law: str) -> xr.DataArray:
    return LAWS[law](places.n_train, places.n_outputs)


def fall_per_doubling(results: xr.Dataset, treatment: str) -> xr.DataArray:
    """Return log₂ of the factor by which the threshold falls when training lasts twice as long, over `seed`.

    It is measured on the second half of training, as the learning rate is constant: a run of half as many steps is the
    first half of this one. The mean over the settings; NaN for a seed that lacks one of the thresholds.
    """
    last = int(results.step[-1])
    half = int(results.step.sel(step=last / 2, method="bfill"))
    places = [threshold(results, treatment, step=step) for step in (half, last)]
    return _mean_log2(places[0] / places[1]) / np.log2(last / half)


def rate_shift(results: xr.Dataset, loss: str) -> xr.DataArray:
    """Return log₂ of the threshold at three times the learning rate over that at the usual one, over `seed`."""
    fast, usual = (threshold(results, f"random-{loss}{ending}") for ending in ("-fast", ""))
    return _mean_log2(fast / usual)  # at the settings that both have
