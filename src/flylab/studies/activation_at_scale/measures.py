"""Ranks of learned functions among the usual ones, and what they gain."""

import xarray as xr

from flylab.models import activations
from flylab.studies.activation_at_scale.method import USUAL

TITLES = {"mlp": "deep MLP", "cnn": "CNN", "cnn2d": "CNN of MNIST"}


def rank(results: xr.Dataset, name: str, target: str, variable: str) -> xr.DataArray:
    """Return the rank of a learned function among the eight usual ones and itself; the lowest loss has rank 1."""
    losses = results[variable].sel(target=target, drop=True)
    return 1 + (losses.sel(activation=list(USUAL)) < losses.sel(activation=name, drop=True)).sum("activation")


def gain(results: xr.Dataset, name: str, target: str) -> xr.DataArray:
    """Return a learned function's test accuracy less that of the best usual one, by mean validation accuracy."""
    one = results.sel(target=target, drop=True)
    best = one.valid_accuracy.sel(activation=list(USUAL)).mean("seed").idxmax("activation").item()
    return one.test_accuracy.sel(activation=name, drop=True) - one.test_accuracy.sel(activation=best, drop=True)


def learned_in(results: xr.Dataset) -> list[str]:
    """Return the names of the learned functions in the results."""
    return [name for name in results.activation.values.tolist() if name not in USUAL]


def title(name: str) -> str:
    """Return a function's name in tables and figures: "deep MLP, early" for "mlp.early"."""
    if name == "published":
        return "published protocol"
    source, _, goal = name.partition(".")
    return f"{TITLES[source]}, {goal}" if goal else activations.title(name)
