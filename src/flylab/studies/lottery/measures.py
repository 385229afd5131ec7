"""Metrics of search and analysis, and the masks."""

import jax
import xarray as xr

from flylab.base.config import from_json
from flylab.models.masks import Mask, unpack
from flylab.studies.lottery.protocol import TREATMENTS, Protocol, network_of


def protocol_in(results: xr.Dataset) -> Protocol:
    """Return the protocol of the results."""
    return from_json(Protocol, results.attrs["protocol"])


def mask(results: xr.Dataset, *, seed: int | None = None, sparsity: float | None = None) -> Mask:
    """Return a ticket's mask: a tree of booleans like the model's parameters.

    Args:
        results: results of this study.
        seed: the seed; by default the first one.
        sparsity: sparsity in percent; the nearest is taken. By default, that of the analysed ticket.
    """
    sparsity = analysed(results) if sparsity is None else sparsity
    seed = int(results.seed[0]) if seed is None else seed
    bits = results["mask"].isel(model=0).sel(seed=seed).sel(sparsity=sparsity, method="nearest").values
    return unpack(bits, shapes_of(protocol_in(results)))


def shapes_of(protocol: Protocol):
    """Return the tree of the network's parameters, as shapes."""
    return jax.eval_shape(network_of(protocol).init, jax.random.key(0))


def searched(results: xr.Dataset, variable: str, criterion: str, sparsity: float) -> xr.DataArray:
    """Return a metric of the search over `seed` at a sparsity in percent; NaN if no round is within 2 points of it."""
    values = results[f"search_{variable}"].isel(model=0).sel(criterion=criterion)
    nearest = values.sel(sparsity=sparsity, method="nearest")
    return nearest.where(abs(nearest.sparsity - sparsity) <= 2)


def users(results: xr.Dataset) -> list[str]:
    """Return the names of the criteria that users have brought."""
    return [name for name in results.treatment.values.tolist() if name not in TREATMENTS]


def gain_in_search(results: xr.Dataset, sparsity: float, variable: str = "accuracy") -> xr.DataArray:
    """Return the difference between ticket and dense network in the search, over `seed`."""
    return searched(results, variable, "ticket", sparsity) - searched(results, variable, "ticket", 0)


def last(results: xr.Dataset, treatment: str, arrangement: str = "plain") -> xr.DataArray:
    """Return the test accuracy on fresh data after the last step, over `seed`."""
    return results.test_accuracy.isel(model=0, step=-1).sel(treatment=treatment, arrangement=arrangement)


def advantage(results: xr.Dataset, arrangement: str = "plain", treatment: str = "ticket") -> xr.DataArray:
    """Return the advantage of a treatment over the dense network on fresh data, over `seed`."""
    return last(results, treatment, arrangement) - last(results, "dense", arrangement)


def locality(results: xr.Dataset, n: int, criterion: str = "ticket") -> xr.DataArray:
    """Return the runs of `n` adjacent survivors relative to chance, at the analysed sparsity, over `seed`."""
    ratio = results.adjacency.isel(model=0).sel(criterion=criterion, run_length=n)
    return ratio.sel(sparsity=analysed(results), method="nearest")


def analysed(results: xr.Dataset) -> float:
    """Return the analysed ticket's sparsity in percent."""
    protocol = protocol_in(results)
    return 100 * protocol.sparsities[protocol.analysed_round]
