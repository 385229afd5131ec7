"""Accuracies and losses on unseen data, at the published learning rate or at an activation's own best one."""

import numpy as np
import xarray as xr

from flylab.models import activations
from flylab.studies.activation.protocol import USUAL


def fixed_rate(results: xr.Dataset) -> float:
    """Return the learning rate that the function was learned at, the only one it is tested at."""
    tested = results.test_accuracy.sel(activation="learned").notnull().any(("seed", "step"))
    return float(results.learning_rate[tested.values][0])


def best_rate(results: xr.Dataset, name: str) -> float:
    """Return the learning rate of an activation's best mean validation accuracy after the last step."""
    if name not in USUAL:
        return fixed_rate(results)
    accuracy = results.valid_accuracy.sel(activation=name).isel(step=-1).mean("seed")
    return float(accuracy.learning_rate[accuracy.values.argmax()])


def accuracy(results: xr.Dataset, name: str, *, own_rate: bool = False) -> xr.DataArray:
    """Return test accuracy after the last step over `seed`, at the published learning rate or the activation's best."""
    return at_rate(results, "test_accuracy", name, own_rate).isel(step=-1)


def at_rate(results: xr.Dataset, variable: str, name: str, own_rate: bool = False) -> xr.DataArray:
    """Return a variable of an activation at the published learning rate or the activation's best."""
    rate = best_rate(results, name) if own_rate else fixed_rate(results)
    return results[variable].sel(activation=name, learning_rate=rate, drop=True)


def usual(results: xr.Dataset) -> list[str]:
    """Return the names of the usual activations in the results."""
    return [name for name in USUAL if name in results.activation.values]


def tested(results: xr.Dataset) -> list[str]:
    """Return the names of the activations in the results, the learned one first and the authors' second."""
    return ["learned", *(["authors"] if "authors" in results.activation.values else []), *usual(results)]


def title(name: str) -> str:
    """Return an activation's name in tables and figures."""
    return "authors' (piecewise)" if name == "authors" else activations.title(name)


def n_extrema(results: xr.Dataset) -> xr.DataArray:
    """Return how often the learned function's slope changes its sign on [−5, 5], over `seed`.

    Returns NaN with fewer than the published 301 outer steps, since the second extremum appears late.
    """
    slope = results.slope.sel(activation="learned").isel(stage=-1).transpose("seed", "x")
    n_changes = (np.diff(np.sign(slope.values)) != 0).sum(1).astype(float)
    return slope.isel(x=0).copy(data=n_changes if int(results.stage[-1]) >= 301 else np.full_like(n_changes, np.nan))


def weights(results: xr.Dataset, seed: int | None = None) -> dict[str, np.ndarray]:
    """Return the learned weights of one seed, by default the first, for `activations.learnable` and `save_weights`."""
    learned = results.sel(activation="learned", seed=results.seed[0] if seed is None else seed)
    return {name: learned[f"weight_{name}"].values for name in ("w", "b", "v", "c")}


def accuracy_lead(results: xr.Dataset) -> xr.DataArray:
    """Return the learned function's accuracy less that of the best usual one, each at its own best rate.

    The best one, too, is chosen by its mean validation accuracy: the best on the test set would flatter it.
    """
    valid = [float(at_rate(results, "valid_accuracy", name, True).isel(step=-1).mean()) for name in usual(results)]
    return accuracy(results, "learned") - accuracy(results, usual(results)[int(np.argmax(valid))], own_rate=True)


def loss_lead(results: xr.Dataset, variable: str, own_rate: bool = False) -> xr.DataArray:
    """Return the learned function's training loss less that of each seed's best usual one."""
    others = xr.concat([at_rate(results, variable, name, own_rate) for name in usual(results)], "usual")
    return at_rate(results, variable, "learned") - others.min("usual")
