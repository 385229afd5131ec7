"""Heights and places of peaks, and interpolation thresholds."""

import functools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from flylab.results.places import cross_fitted_rise, crossing, exponents, greatest_rise, peak_place
from flylab.results.statistics import plus_minus


def networks(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.Dataset:
    """Return a treatment's results over `seed, width, step`; by default at the training-set size with most widths."""
    results = results.sel(treatment=treatment)
    most = results.n_params.notnull().all("seed").sum("width").argmax(("n_train", "n_outputs"))
    results = results.isel(n_outputs=most["n_outputs"])  # pyright: ignore[reportCallIssue, reportArgumentType]
    results = results.isel(n_train=most["n_train"]) if n_train is None else results.sel(n_train=n_train)
    return results.dropna("width", subset=["n_params"]).sortby("width")


def curve(
    results: xr.Dataset, treatment: str, variable: str = "test_error", n_train: int | None = None
) -> xr.DataArray:
    """Return a variable after the last step, over `seed` and `width`."""
    return networks(results, treatment, n_train)[variable].isel(step=-1).transpose("seed", "width")


def rise(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.Dataset:
    """Return the test error at dip, peak and greatest width over `seed`, cross-fitted; NaN with one seed."""
    errors = curve(results, treatment, n_train=n_train)
    if errors.sizes["seed"] < 2 or errors.sizes["width"] < 2:
        return xr.Dataset(dict.fromkeys(("dip", "peak", "end"), xr.full_like(errors.seed, np.nan, float)))
    return cross_fitted_rise(errors, "width")


def peak_width(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.DataArray:
    """Return the width at which each seed's test error peaks; unlike a height, a place needs no cross-fitting."""
    errors = curve(results, treatment, n_train=n_train)
    if errors.sizes["width"] < 2:
        return xr.full_like(errors.seed, np.nan, float)
    return errors.seed.copy(data=[float(errors.width[greatest_rise(by_width).peak]) for by_width in errors.values])


def zero_width(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.DataArray:
    """Return the first width with a training error below 1 % over `seed`; NaN if there is none.

    The authors' notebook truncates errors to whole percents, so that its 0 % is the same.
    """
    is_zero = curve(results, treatment, "train_error", n_train) < 1
    return is_zero.width.where(is_zero).min("width")


MEASURES = {
    "peak": "peak of the test error",
    "error": "training error < 1 %",
    "loss": "training loss < 1 % of its start",
}


def threshold(results: xr.Dataset, treatment: str, measure: str) -> xr.DataArray:
    """Return the interpolation threshold in parameters over `seed, n_train, n_outputs`; NaN outside the widths.

    `measure` is one of `MEASURES`. A peak is that of the test error, or of the test loss with random labels, where the
    error is at chance; it must rise above the dip and fall again by at least a twentieth of the dip's value.
    """
    results = results.sel(treatment=treatment).sortby("width")
    if measure == "peak":
        values = results.test_loss if treatment.startswith("random") else results.test_error
    else:
        relative_loss = 100 * results.train_loss / results.train_loss.isel(step=0)
        values = results.train_error if measure == "error" else relative_loss

    def place(sizes, values):
        is_designed = ~np.isnan(sizes)
        sizes, values = sizes[is_designed], values[is_designed]
        return peak_place(sizes, values, 0.05) if measure == "peak" else crossing(sizes, values, 1.0)

    widths = (("width",), ("width",))
    places = xr.apply_ufunc(place, results.n_params, values.isel(step=-1), input_core_dims=widths, vectorize=True)
    designed = results.n_params.notnull().any(("seed", "width"))
    return places.isel(n_train=designed.any("n_outputs").values, n_outputs=designed.any("n_train").values)


def power(results: xr.Dataset, treatment: str, measure: str, of: str) -> xr.DataArray:
    """Return the power of `of` (n_train or n_outputs) by which the threshold grows, over `seed`.

    Returns NaN for a seed without all thresholds.
    """
    places = threshold(results, treatment, measure).stack(setting=("n_train", "n_outputs"))
    factors = {name: places[name].values for name in ("n_train", "n_outputs") if len(set(places[name].values)) > 1}
    return places.seed.copy(data=[exponents(row, **factors).get(of, np.nan) for row in places.values])


def level(results: xr.Dataset, treatment: str, measure: str, outputs_count: bool) -> xr.DataArray:
    """Return the mean over the design of log₂ of the threshold over n (or n·K), over `seed`; NaN as in `power`."""
    places = threshold(results, treatment, measure)
    expected = places.n_train * (places.n_outputs if outputs_count else 1)
    return np.log2(places / expected).mean(("n_train", "n_outputs"), skipna=False)


def present(results: xr.Dataset, treatments: Sequence[str]) -> list[str]:
    """Return those of the treatments that the results have."""
    return [treatment for treatment in treatments if treatment in results.treatment]


def sizes(results: xr.Dataset, treatment: str) -> list[int]:
    """Return the training-set sizes at which a treatment has more than one width."""
    n_widths = results.n_params.sel(treatment=treatment).notnull().any(("seed", "n_outputs")).sum("width")
    return sorted(results.n_train.values[n_widths > 1].tolist())


text = functools.partial(plus_minus, skipna=False)
