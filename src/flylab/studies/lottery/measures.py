"""What is measured in results: metrics of search and analysis, and the masks."""

import jax
import xarray as xr

from flylab.base.config import from_json
from flylab.models.masks import Mask, unpack
from flylab.results.effects import Effect
from flylab.studies.lottery.protocol import TREATMENTS, Protocol, network_of

SLIM = "mask_sparsity"  # the axis of the only mask in slim results


def protocol_in(results: xr.Dataset) -> Protocol:
    """Return the protocol of the results."""
    return from_json(Protocol, results.attrs["protocol"])


def analysed(results: xr.Dataset) -> float:
    """Return the analysed ticket's sparsity in percent."""
    protocol = protocol_in(results)
    return 100 * protocol.sparsities[protocol.analysed_round]


def mask(results: xr.Dataset, *, seed: int | None = None, sparsity: float | None = None) -> Mask:
    """Return a ticket's mask: a tree of booleans like the model's parameters.

    Args:
        results: results of this study.
        seed: the seed; by default the first one.
        sparsity: sparsity in percent; the nearest is taken. By default, that of the analysed ticket.

    Raises:
        ValueError: if the results are `slim` and another ticket than the analysed one is asked for.
    """
    at = float(results.sparsity.sel(sparsity=analysed(results) if sparsity is None else sparsity, method="nearest"))
    seed = int(results.seed[0]) if seed is None else seed
    masks = results["mask"].isel(model=0).sel(seed=seed)
    dim = SLIM if SLIM in masks.dims else "sparsity"
    if at not in masks[dim].values:
        raise ValueError(f"the mask at {at:.1f} % sparsity is not stored, only that at {masks[dim].item():.1f} %")
    like = jax.eval_shape(network_of(protocol_in(results)).init, jax.random.key(0))
    return unpack(masks.sel({dim: at}).values, like)


def slim(results: xr.Dataset) -> xr.Dataset:
    """Return results with the masks of the analysed tickets only: those of all rounds have tens of megabytes."""
    at = results.sparsity.sel(sparsity=[analysed(results)], method="nearest").values
    return results.assign(mask=results["mask"].sel(sparsity=at).rename(sparsity=SLIM))


def users(results: xr.Dataset) -> list[str]:
    """Return the names of the criteria that users have brought."""
    known = (*TREATMENTS, *protocol_in(results).controls)
    return [name for name in results.treatment.values.tolist() if name not in known]


# ── in the search ────────────────────────────────────────────────────────────────────────────────────────────────────


def searched(results: xr.Dataset, variable: str, criterion: str, sparsity: float) -> xr.DataArray:
    """Return a metric of the search over `seed` at a sparsity in percent; NaN if no round is within 2 points of it."""
    values = results[f"search_{variable}"].isel(model=0).sel(criterion=criterion, drop=True)
    nearest = values.sel(sparsity=sparsity, method="nearest")
    return nearest.where(abs(nearest.sparsity - sparsity) <= 2).drop_vars("sparsity")


def gain_in_search(
    results: xr.Dataset, sparsity: float, variable: str = "accuracy", over: str = "dense"
) -> xr.DataArray:
    """Return the difference between ticket and dense network, or another criterion, in the search, over `seed`."""
    other = ("ticket", 0) if over == "dense" else (over, sparsity)
    return searched(results, variable, "ticket", sparsity) - searched(results, variable, *other)


def locality(results: xr.Dataset, n: int, criterion: str = "ticket", null: str = "unit-input") -> xr.DataArray:
    """Return the runs of `n` adjacent survivors relative to chance, at the analysed sparsity, over `seed`."""
    ratio = results.adjacency.isel(model=0).sel(criterion=criterion, null=null, run_length=n, drop=True)
    return ratio.sel(sparsity=analysed(results), method="nearest", drop=True)


def co_survival(results: xr.Dataset, criterion: str = "ticket") -> xr.DataArray:
    """Return pairs of survivors relative to chance, at the analysed sparsity, over `seed` and `distance`."""
    ratio = results.co_survival.isel(model=0).sel(criterion=criterion, drop=True)
    return ratio.sel(sparsity=analysed(results), method="nearest", drop=True)


# ── on fresh data ────────────────────────────────────────────────────────────────────────────────────────────────────


def learning_curve(treatment: str, arrangement: str = "plain") -> Effect:
    """Return the test accuracy of a treatment on fresh data, over `seed` and `step`."""
    labels = {"treatment": treatment, "arrangement": arrangement}
    return Effect(lambda results: results.test_accuracy.isel(model=0).sel(labels, drop=True), labels)


def at_the_end(curves: xr.DataArray) -> xr.DataArray:
    """Return the last values along `step`: of a difference, those of the last step that both have.

    >>> curves = xr.DataArray([[1.0, 2.0, float("nan")]], dims=("seed", "step"))
    >>> at_the_end(curves).values.tolist()
    [2.0]
    """
    trained = curves.dropna("step", how="all")
    return (trained if trained.sizes["step"] else curves).isel(step=-1, drop=True)


def last(results: xr.Dataset, treatment: str, arrangement: str = "plain") -> xr.DataArray:
    """Return the test accuracy on fresh data after the last step, over `seed`."""
    return at_the_end(learning_curve(treatment, arrangement)(results))


def difference(treatment: str, over: str = "dense", arrangement: str = "plain") -> Effect:
    """Return the difference between the learning curves of two treatments, paired by seed."""
    return learning_curve(treatment, arrangement) - learning_curve(over, arrangement)


def advantage(treatment: str = "ticket", over: str = "dense", arrangement: str = "plain") -> Effect:
    """Return the difference of two treatments on fresh data after the last step that both were trained for."""
    return difference(treatment, over, arrangement).then(at_the_end)
