"""Accuracies by data set, network, arrangement and source, and the published ones."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from flylab.data import images
from flylab.results import sampling
from flylab.results.places import cross_fitted
from flylab.studies.architectures.method import NAMES

PAPER = {"logistic": (32, 1, None, None), "mlp": (68, 2, 68, 2), "cnn": (94, 2, 56, 2), "gru": (91, 2, 57, 2)}
HUMAN = 95.8  # five quizzes of 100 (Greydanus & Kobak 2024)


def curves(
    results: xr.Dataset,
    quantity: str,
    model: str,
    arrangement: str,
    source: str = "published",
    dataset: str = "mnist1d",
) -> xr.DataArray:
    """Return a quantity over `seed` and `step`; NaN where the results have no such network."""
    if "dataset" not in results.dims:  # results from before there were several data sets
        results = results.expand_dims(dataset=["mnist1d"])
    place = {"dataset": dataset, "model": model, "arrangement": arrangement, "source": source}
    return results[quantity].reindex({dim: [value] for dim, value in place.items()}).sel(place)


def last(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Return test accuracy at the last step of its training, over `seed`."""
    curve = curves(results, "test_accuracy", model, arrangement, source, dataset)
    return curve.isel(step=curve.notnull().cumsum("step").argmax("step"))  # data sets may be trained for fewer steps


def stopped(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Return test accuracy at the first evaluation with the best validation accuracy, over `seed`."""
    test, valid = (curves(results, f"{on}_accuracy", model, arrangement, source, dataset) for on in ("test", "valid"))
    return test.isel(step=valid.fillna(-1).argmax("step"))


def training_flops(results: xr.Dataset, model: str, dataset: str = "mnist1d") -> xr.DataArray:
    """Return the FLOPs of training until the first evaluation with the best validation accuracy, over `seed`."""
    steps = curves(results, "valid_accuracy", model, "plain", dataset=dataset).fillna(-1).idxmax("step")
    return steps * curves(results, "flops_per_step", model, "plain", dataset=dataset)


def best(
    results: xr.Dataset, model: str, arrangement: str = "plain", source: str = "published", dataset: str = "mnist1d"
) -> xr.DataArray:
    """Return test accuracy at its best evaluation, cross-fitted over seeds."""
    curve = curves(results, "test_accuracy", model, arrangement, source, dataset)
    return cross_fitted(curve.dropna("step"), "step")  # not all data sets are evaluated at all steps


def gap(
    results: xr.Dataset, better: str, worse: str, dataset: str = "mnist1d", source: str = "published",
    read: Callable[..., xr.DataArray] = last,
) -> xr.DataArray:  # fmt: skip
    """Return the points of test accuracy between two networks, paired by seed, as `last` or `stopped` reads it."""
    ours, theirs = (read(results, model, source=source, dataset=dataset) for model in (better, worse))
    return ours - theirs


def components_of(
    results: xr.Dataset, models: tuple[str, ...], arrangement: str, source: str
) -> sampling.Components | None:
    """Return what initialisation, and data or permutation, contribute to the spread of an accuracy over seeds.

    Args:
        results: the results.
        models: a network, or two for the difference of their accuracies.
        arrangement: "reshuffled" for the permutation's part.
        source: "fresh" for the data's part.

    Returns:
        None where neither varies, or with a single seed.
    """
    varied = {"arrangement": arrangement, "source": source}
    fixed = varied | ({"arrangement": "shuffled"} if arrangement == "reshuffled" else {"source": "published"})

    def values(place: dict[str, str]) -> np.ndarray:
        first, *others = (last(results, model, **place).values for model in models)
        return first - sum(others)

    both = values(fixed), values(varied)
    is_known = fixed != varied and results.sizes["seed"] > 1 and not np.isnan(both).any()
    return sampling.components(*both) if is_known else None


def titles(attrs: Mapping[str, Any]) -> dict[str, str]:
    """Return the title of each data set by its name, as the attributes of results have it."""
    return {"mnist1d": "MNIST-1D"} | images.titles(attrs)


def compared(results: xr.Dataset) -> list[str]:
    """Return the names of the data sets that networks were trained on."""
    return [name for name in NAMES if not np.isnan(last(results, "cnn", dataset=name)).all()]


def paper(model: str, arrangement: str) -> tuple[int | None, int | None]:
    """Return the published mean and its spread."""
    plain, plain_spread, shuffled, shuffled_spread = PAPER.get(model, (None,) * 4)
    return (plain, plain_spread) if arrangement == "plain" else (shuffled, shuffled_spread)
