"""Accuracies by layer, and the published ones."""

import itertools

import numpy as np
import xarray as xr

from flylab.results.places import cross_fitted

TITLES = {"default": "default head", "none": "no head", "deep": "deep head"}
# linear accuracy after each layer, the signal first, of one network each (the authors' notebook)
NOTEBOOK = {
    "default": (32.8, 75.1, 80.9, 82.1, 76.1, 75.0),
    "none": (32.8, 82.2, 79.5, 53.4),
    "deep": (32.8, 75.9, 82.4, 79.5, 77.3, 72.8, 65.0, 61.1),
}


def curve(
    results: xr.Dataset, head: str, on: str = "train", objective: str = "simclr", by: str = "linear_accuracy"
) -> xr.DataArray:
    """Return the accuracy over `seed` and `layer`, for the layers that the network has; layer 0 is the signal."""
    accuracies = results[by].sel(objective=objective, on=on, head=head)
    return accuracies.dropna("layer", how="all").transpose("seed", "layer")


def at_layer(results: xr.Dataset, layer: int, *network: str) -> xr.DataArray:
    """Return the linear accuracy after one layer of a network (head, …, as for `curve`) over `seed`; NaN without it."""
    return curve(results, *network).reindex(layer=[layer]).squeeze("layer", drop=True)


def best_layer(results: xr.Dataset, head: str, on: str = "train", objective: str = "simclr") -> xr.DataArray:
    """Return the layer of greatest linear accuracy over `seed`; the first one in a tie."""
    accuracies = curve(results, head, on, objective)
    return accuracies.layer[accuracies.argmax("layer")].drop_vars("layer")


def lost_at_output(results: xr.Dataset, head: str, on: str = "train", objective: str = "simclr") -> xr.DataArray:
    """Return the points by which the best inner layer beats both outputs and signal, over `seed`; NaN with one seed."""
    accuracies = curve(results, head, on, objective)
    ends = accuracies.isel(layer=[0, -1]).max("layer")
    if accuracies.sizes["seed"] < 2:
        return xr.full_like(ends, np.nan)
    return cross_fitted(accuracies.isel(layer=slice(1, -1)), "layer") - ends


def networks(results: xr.Dataset) -> list[tuple[str, str, str]]:
    """Return objective, signals and head of the networks in the results."""
    dims = ("objective", "on", "head")
    is_present = results.linear_accuracy.notnull().any(("seed", "layer")).transpose(*dims)
    names = itertools.product(*(results[dim].values for dim in dims))
    return [network for network, is_in in zip(names, is_present.values.flat, strict=True) if is_in]


def title(objective: str, on: str, head: str) -> str:
    """Return the name of a network in tables and figures."""
    return TITLES[head] + (", VICReg" if objective == "vicreg" else "") + (", all signals" if on == "all" else "")
