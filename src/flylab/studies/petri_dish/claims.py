"""What is claimed of dishes, and of MNIST-1D as a dish for images, and how it is measured."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import kendalltau

from flylab.data.images import titles
from flylab.results.claims import Claim, independent, sharing
from flylab.results.effects import Effect
from flylab.studies.petri_dish.method import SHAPES

PREDICTORS = {"dish": "a learned dish", "subset": "a random subset", "early": "all data, stopped early",
              "size": "number of parameters", "whole": "one whole training"}  # fmt: skip


def names_in(results: xr.Dataset) -> dict[str, str]:
    """Return the title of each data set by its name."""
    known = {"mnist1d": "MNIST-1D"} | titles(results.attrs)
    return {name: known[name] for name in results.dataset.values.tolist()}


def tau(one: xr.DataArray, other: xr.DataArray) -> xr.DataArray:
    """Return Kendall's τ (τ-b, which allows ties) of two orders of architectures; 0 where one has ties only.

    >>> order = xr.DataArray([1.0, 2.0, 3.0], dims="architecture")
    >>> float(tau(order, -order))
    -1.0
    """

    def of_pair(a: np.ndarray, b: np.ndarray) -> float:
        found: Any = kendalltau(a, b)
        return np.nan if np.isnan(a + b).any() else np.nan_to_num(found.statistic)

    return xr.apply_ufunc(of_pair, one, other, input_core_dims=[["architecture"]] * 2, vectorize=True)


def truth(results: xr.Dataset, dataset: str) -> xr.DataArray:
    """Return, for each seed, the mean accuracies of all other seeds after whole trainings."""
    whole = results.test_accuracy.sel(dataset=dataset, drop=True)
    n = whole.sizes["seed"]
    return (whole.sum("seed") - whole) / (n - 1) if n > 1 else whole * np.nan


def predicted(results: xr.Dataset, by: str, dataset: str) -> xr.DataArray:
    """Return what ranks the architectures: "early" at a dish's cost, "whole" at a much higher one."""
    one = results.sel(dataset=dataset, drop=True)
    if by in ("early", "whole"):
        return one.test_accuracy if by == "whole" else one.early.sel(cost=1, method="nearest", drop=True)
    return one.score.sel(predictor=by, drop=True)


def agreement(by: str, dataset: str) -> Effect:
    """Return τ between a predictor's order and the true one."""
    return Effect(lambda r: tau(predicted(r, by, dataset), truth(r, dataset)), {"dataset": dataset})


def curve(results: xr.Dataset, dataset: str) -> xr.DataArray:
    """Return τ by the cost at which training on real data is stopped."""
    return tau(results.early.sel(dataset=dataset, drop=True), truth(results, dataset))


def saved(dataset: str) -> Effect:
    """Return log₂ of the cost at which training on real data has each dish's τ, in a dish's cost.

    The cost is read from the mean curve over seeds, made monotone. Beyond its ends it is that of the end, so that a
    τ that real data never reach counts as reached at the greatest cost.
    """

    def values(results: xr.Dataset) -> xr.DataArray:
        means, own = curve(results, dataset).mean("seed"), agreement("dish", dataset)(results)
        reached = np.maximum.accumulate(means.values) + 1e-9 * np.arange(means.size)
        return own.copy(data=np.interp(own.values, reached, np.log2(means.cost.values))).where(own.notnull())

    return Effect(values, {"dataset": dataset})


def transfers(dataset: str) -> Effect:
    """Return τ between one whole training on MNIST-1D and the mean of those on images."""

    def values(results: xr.Dataset) -> xr.DataArray:
        images = results.test_accuracy.sel(dataset=dataset, drop=True).mean("seed")
        return tau(predicted(results, "whole", "mnist1d"), images)

    return Effect(values, {"dataset": ("mnist1d", dataset)})


def _claims(name: str) -> list[Claim]:
    """Return the claims on dishes for a data set, and on MNIST-1D in their place."""
    title, dish = ({"mnist1d": "MNIST-1D"} | titles({}))[name], agreement("dish", name)
    needs = f"needs --dataset {name}" if name in ("mnist", "cifar10") else ""

    def claim(id_: str, statement: str, unit: str, effect: Effect, above: float) -> Claim:
        return Claim(f"{id_}.{name}", statement, "here", "–", unit, effect, above=above, needs=needs)

    def beats(by: str, what: str) -> Claim:
        statement = f"{title}: a learned dish ranks the pool better than {what}"
        return claim(f"dish-beats-{by}", statement, "of τ", dish - agreement(by, name), 0)

    return [
        beats("subset", "the random subset at which it begins, at equal cost"),
        beats("early", "training on all data, stopped at equal cost"),
        beats("size", "the numbers of parameters do"),
        claim("dish-saves", f"{title}: to rank as well as a learned dish, training on all data costs at least twice as "
              "much", "doublings", saved(name), 1),
        *([] if name == "mnist1d" else [
            claim("mnist1d-predicts", f"one whole training on MNIST-1D ranks the pool as {title} does: τ ≥ 0.5", "τ",
                  transfers(name), 0.5)]),
    ]  # fmt: skip


CLAIMS = sharing("this pool of architectures", independent(["dataset", "data_dir"], (
    claim for name in SHAPES for claim in _claims(name))))  # fmt: skip
