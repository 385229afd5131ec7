"""Kendall's τ between orders of the pool, and the cost at which real data give a dish's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import kendalltau

from flylab.results.effects import Effect
from flylab.studies.petri_dish.method import SHAPES
from flylab.studies.petri_dish.pool import FAMILIES, sizes

PREDICTORS = {
    "dish": "a learned dish", "subset": "a random subset", "mnist1d": "MNIST-1D, stopped early",
    "size": "number of parameters", "whole": "one whole training",
}  # fmt: skip


def tau(one: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    """Return Kendall's τ (τ-b, which allows ties) of two orders of architectures; 0 where one has ties only.

    >>> order = xr.DataArray([1.0, 2.0, 3.0], dims="architecture")
    >>> float(tau(order, -order))
    -1.0
    """

    def of_pair(a: np.ndarray, b: np.ndarray) -> float:
        if np.isnan(a).any() or np.isnan(b).any():
            return np.nan
        return kendalltau(a, b).statistic if np.ptp(a) and np.ptp(b) else 0.0

    return xr.apply_ufunc(of_pair, one, other, input_core_dims=[["architecture"]] * 2, vectorize=True)


def whole(results: xr.Dataset, dataset: str) -> xr.DataArray:
    """Return test accuracies after whole trainings, over `seed` and `architecture`."""
    return results.test_accuracy.sel(dataset=dataset, drop=True).isel(cost=-1, drop=True)


def truth(results: xr.Dataset, dataset: str = "mnist1d") -> xr.DataArray:
    """Return, for each seed, the mean accuracies of all other seeds."""
    values = whole(results, dataset)
    n = values.sizes["seed"]
    return (values.sum("seed") - values) / (n - 1) if n > 1 else values * np.nan


def along_costs(results: xr.Dataset, dataset: str) -> xr.DataArray:
    """Return what ranks architectures on real data, at each cost: what did it better on seeds of a pilot.

    That is validation accuracy on a subset, whose networks become too sure of themselves, and loss on all data.
    """
    values = results.valid_accuracy if dataset == "subset" else -results.valid_loss
    values = values.sel(dataset=dataset, drop=True)
    return values.dropna("cost", how="all")


def predicted(results: xr.Dataset, by: str) -> xr.DataArray:
    """Return what ranks the architectures at the cost of a dish; "size" costs nothing, "whole" much more."""
    if by == "dish":
        return results.score.sel(dataset="dish", drop=True)
    if by == "whole":
        return whole(results, "mnist1d")
    if by == "size":
        known = sizes(SHAPES["mnist1d"])
        n_params = [float(known[name]) for name in results.architecture.values.tolist()]
        return xr.DataArray(n_params, {"architecture": results.architecture}).expand_dims(seed=results.seed)
    return along_costs(results, by).sel(cost=1, method="nearest", drop=True)


def of_family(values: xr.DataArray, family: str) -> xr.DataArray:
    """Return the values of a family's architectures; of all for ""."""
    return values.isel(architecture=[str(name).startswith(family) for name in values.architecture.values])


def agreement(by: str, family: str = "", order: Callable[[xr.DataArray], xr.DataArray] | None = None) -> Effect:
    """Return τ between a predictor and the truth, in a family or the whole pool, whose order a function may change."""

    def values(results: xr.Dataset) -> xr.DataArray:
        true = truth(results) if order is None else order(truth(results))
        return tau(of_family(predicted(results, by), family), of_family(true, family))

    return Effect(values, {"dataset": ("mnist1d", *([by] if by in ("dish", "subset") else []))})


def within(by: str) -> Effect:
    """Return the mean τ within families, to which the difference between them contributes nothing."""
    each = [agreement(by, family) for family in FAMILIES]
    return Effect(lambda results: sum(one(results) for one in each) / len(each), each[0].requires)


def curve(results: xr.Dataset, dataset: str) -> xr.DataArray:
    """Return τ by the cost of training on real data."""
    return tau(along_costs(results, dataset), truth(results))


def saved(dataset: str) -> Effect:
    """Return log₂ of the cost at which real data give each dish's τ, in a dish's cost.

    The cost is read from the mean curve over seeds, made monotone. Beyond its ends it is that of the end, so that a
    τ that real data never reach counts as reached at the greatest cost.
    """

    def values(results: xr.Dataset) -> xr.DataArray:
        means = curve(results, dataset).mean("seed")
        reached = np.maximum.accumulate(means.values) + 1e-9 * np.arange(means.size)
        own = agreement("dish")(results)
        return own.copy(data=np.interp(own.values, reached, np.log2(means.cost.values))).where(own.notnull())

    return Effect(values, {"dataset": tuple(dict.fromkeys(("mnist1d", "dish", dataset)))})


def transfers(dataset: str, source: str = "mnist1d") -> Effect:
    """Return τ between whole trainings on one set and the truth on another, or on the same."""

    def values(results: xr.Dataset) -> xr.DataArray:
        others = truth(results, dataset) if dataset == source else whole(results, dataset).mean("seed")
        return tau(whole(results, source), others)

    return Effect(values, {"dataset": tuple(dict.fromkeys((source, dataset)))})


def reliability(results: xr.Dataset, dataset: str = "mnist1d") -> Any:
    """Return τ between the mean accuracies of two halves of the seeds."""
    values = whole(results, dataset)
    half = values.sizes["seed"] // 2
    return tau(*(values.isel(seed=part).mean("seed") for part in (slice(half), slice(half, None)))) if half else np.nan
