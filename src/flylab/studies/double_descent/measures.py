"""Heights and places of peaks along widths, training steps and numbers of examples."""

import functools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from flylab.base.config import from_json
from flylab.results.effects import slope
from flylab.results.places import cross_fit, cross_fitted_rise, greatest_rise
from flylab.results.statistics import plus_minus
from flylab.studies.double_descent.method import DOSES, Protocol


def networks(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.Dataset:
    """Return a treatment's results over `seed, width, step`, by default at the protocol's training-set size."""
    data = from_json(Protocol, results.attrs["protocol"]).data
    n_train = data.n_train if n_train is None else n_train
    results = results.sel(treatment=treatment, n_train=n_train, n_outputs=data.outputs)
    return results.dropna("width", subset=["n_params"]).sortby("width")


def curve(
    results: xr.Dataset, treatment: str, variable: str = "test_error", n_train: int | None = None
) -> xr.DataArray:
    """Return a variable after the last step, over `seed` and `width`."""
    return networks(results, treatment, n_train)[variable].isel(step=-1).transpose("seed", "width")


def rise(results: xr.Dataset, treatment: str, n_train: int | None = None) -> xr.Dataset:
    """Return the test error at dip, peak and greatest width over `seed`, cross-fitted; NaN with one seed."""
    return _heights(curve(results, treatment, n_train=n_train), "width")


def _heights(errors: xr.DataArray, along: str) -> xr.Dataset:
    if errors.sizes["seed"] < 2 or errors.sizes[along] < 2:
        return xr.Dataset(dict.fromkeys(("dip", "peak", "end"), xr.full_like(errors.seed, np.nan, float)))
    return cross_fitted_rise(errors, along)


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


def by_dose(results: xr.Dataset, measure) -> xr.DataArray:
    """Return `measure(results, treatment)` over `seed` and `label_noise` in percent, for the doses that there are."""
    doses = [dose for dose, treatment in DOSES.items() if treatment in results.treatment]
    values: list[xr.DataArray] = [measure(results, DOSES[dose]) for dose in doses]
    attrs = {"long_name": "label noise", "units": "%"}
    return xr.concat(values, xr.Variable("label_noise", doses, attrs), coords="minimal", compat="override")


def dose_height(results: xr.Dataset) -> xr.DataArray:
    """Return by how many points the peak's height above the dip grows with 10 points of label noise, over `seed`."""

    def height(results: xr.Dataset, treatment: str) -> xr.DataArray:
        heights = rise(results, treatment)
        return heights.peak - heights.dip

    return slope(by_dose(results, height), "label_noise", per=10)


def dose_place(results: xr.Dataset) -> xr.DataArray:
    """Return by how many doublings the peak's width grows with 10 points of label noise, over `seed`.

    Without label noise there may be no peak, so that arm is left out.
    """
    places = by_dose(results, lambda *place: xr.apply_ufunc(np.log2, peak_width(*place)))
    return slope(places.sel(label_noise=places.label_noise > 0), "label_noise", per=10)


def by_examples(results: xr.Dataset, treatment: str) -> xr.DataArray:
    """Return the last test error over `seed`, `width` and `n_train`, at the widths that all training-set sizes have."""
    n_trains = sizes(results, treatment)
    curves = [curve(results, treatment, n_train=n_train) for n_train in n_trains]
    joined = xr.concat(curves, "n_train", join="inner", coords="minimal", compat="override")
    return joined.assign_coords(n_train=("n_train", n_trains, results.n_train.attrs))


def greatest_harm(curves: xr.DataArray, along: str) -> xr.DataArray:
    """Return the greatest rise along a dimension on any of the curves by `width`, over `seed`, cross-fitted.

    The width and both ends of the rise are chosen on one half of the seeds and read from the other, so that curves that
    do not rise have no upward bias. NaN with one seed, or fewer than two places.
    """
    if curves.sizes["seed"] < 2 or curves.sizes[along] < 2:
        return xr.full_like(curves.seed, np.nan, float)

    def measure(chosen_on: xr.DataArray, read_on: xr.DataArray) -> xr.DataArray:
        def ends(values: xr.DataArray, by: xr.DataArray) -> xr.DataArray:
            dip, peak = greatest_rise(by)
            return values.isel({along: peak}, drop=True) - values.isel({along: dip}, drop=True)

        by_width = [chosen_on.isel(width=i, drop=True) for i in range(chosen_on.sizes["width"])]
        harmed = int(np.argmax([float(ends(one, one)) for one in by_width]))
        return ends(read_on.isel(width=harmed, drop=True), by_width[harmed])

    return cross_fit(curves, measure)


def more_examples(results: xr.Dataset, treatment: str) -> xr.DataArray:
    """Return the greatest rise of the test error with the number of examples at any one width, over `seed`."""
    return greatest_harm(by_examples(results, treatment), "n_train")


def more_steps(results: xr.Dataset, treatment: str) -> xr.DataArray:
    """Return the greatest rise of the test error with the training steps at any one width, over `seed`."""
    return greatest_harm(networks(results, treatment).test_error, "step")


def second_descent(results: xr.Dataset, treatment: str) -> xr.DataArray:
    """Return how far the widest network's test error rises along the steps or, if less, falls again, over `seed`."""
    heights = _heights(networks(results, treatment).test_error.isel(width=-1), "step")
    return np.minimum(heights.peak - heights.dip, heights.peak - heights.end)


def advantage(results: xr.Dataset, near: str) -> xr.DataArray:
    """Return the test error of cross-entropy less that of squared error at the width where `near` peaks, over `seed`.

    The width is chosen on one half of the seeds and read from the other. NaN with one seed.
    """
    losses = xr.Variable("treatment", ["mlp-noise", "mlp-mse"])
    both = [curve(results, treatment).drop_vars("treatment") for treatment in losses.values]
    errors = xr.concat(both, losses, join="inner", coords="minimal", compat="override")
    if errors.sizes["seed"] < 2 or errors.sizes["width"] < 2:
        return xr.full_like(errors.seed, np.nan, float)

    def measure(chosen_on: xr.DataArray, read_on: xr.DataArray) -> xr.DataArray:
        nll, mse = read_on.isel(width=greatest_rise(chosen_on.sel(treatment=near)).peak, drop=True)
        return (nll - mse).drop_vars("treatment", errors="ignore")

    return cross_fit(errors.transpose("treatment", "seed", "width"), measure)


def present(results: xr.Dataset, treatments: Sequence[str]) -> list[str]:
    """Return those of the treatments that the results have."""
    return [treatment for treatment in treatments if treatment in results.treatment]


def sizes(results: xr.Dataset, treatment: str) -> list[int]:
    """Return the training-set sizes at which a treatment has more than one width."""
    n_widths = results.n_params.sel(treatment=treatment).notnull().any(("seed", "n_outputs")).sum("width")
    return sorted(results.n_train.values[n_widths > 1].tolist())


text = functools.partial(plus_minus, skipna=False)
