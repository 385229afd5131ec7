"""What is measured at a data set's base case and beside it, and the claims about it."""

from typing import Any

import numpy as np
import xarray as xr

from flylab.results.claims import Claim
from flylab.results.effects import LAST, Effect, slope
from flylab.studies.tickets_at_scale.method import ANALYSED, IMAGES, LONGER, SHAPES

AXES = ("width", "share", "arrangement", "rewind_to")  # whose first labels are the base case's
TITLES = {"mnist1d": "MNIST-1D", "mnist1d-80": "MNIST-1D of 80 points", "mnist1d-160": "MNIST-1D of 160 points",
          "digits": "scikit-learn's digits", "mnist": "MNIST", "cifar10": "CIFAR-10"}  # fmt: skip


def at(variable: str, dataset: str, **labels: Any) -> Effect:
    """Return a variable of a data set's base case, but for some labels: −1 is the last, None keeps the dimension."""

    def values(results: xr.Dataset) -> xr.DataArray:
        array = results[variable].sel(dataset=dataset, drop=True)
        place = {dim: array[dim].values[0] for dim in AXES} | labels
        if "sparsity" in array.dims:
            place = {"sparsity": array.sparsity.sel(sparsity=ANALYSED, method="nearest").item()} | place
        last = {dim: array[dim].values[-1] for dim, label in place.items() if label == LAST}
        return array.sel({dim: label for dim, label in (place | last).items() if label is not None}, drop=True)

    return Effect(values, {"dataset": dataset} | {dim: name for dim, name in labels.items() if isinstance(name, str)})


def advantage(dataset: str, over: str, target: str = "") -> Effect:
    """Return the points of test accuracy that a data set's ticket has over another network, on a target or its own."""
    one, other = (
        at("transfer_accuracy", dataset, target=target or dataset, treatment=name) for name in ("ticket", over)
    )
    return one - other


def _by_halvings(values: xr.DataArray) -> xr.DataArray:
    return slope(values.assign_coords(sparsity=-np.log2(1 - values.sparsity / 100)), "sparsity")


def _by_length(results: xr.Dataset) -> xr.DataArray:
    names = ("mnist1d", *LONGER)
    lengths = xr.Variable("length", [SHAPES[name][1] for name in names])
    return slope(xr.concat([at("association", name)(results) for name in names], lengths), "length", base=2)


def _near_less_far(pairs: xr.DataArray) -> xr.DataArray:
    return pairs.sel(distance=slice(1, 2)).mean("distance") - pairs.sel(distance=slice(4, 6)).mean("distance")


def _claim(id_: str, name: str, statement: str, unit: str, effect: Effect, source: str = "here", *, target: str = "",
           **region: Any) -> Claim:  # fmt: skip
    asked = " ".join(one for one in (name, target) if one in ("mnist", "cifar10"))
    return Claim(
        f"{id_}-{name}{target and f'-to-{target}'}", f"on {TITLES[name]}, {statement}", source,
        "guess" if source == "blog" else "–", unit, effect, needs=f"needs --dataset {asked}" if asked else "",
        on="this set of images" if name in IMAGES else "", independent_of=("dataset",), **region,
    )  # fmt: skip


def _clusters(name: str) -> list[Claim]:
    return [
        _claim("clusters", name, "the ticket's first layer has more neighbouring survivors than random masks with as many "
               "survivors of every unit and every input", "× chance", at("neighbours", name), "blog", above=1),
        _claim("vanishes-permuted", name, "a ticket of permuted positions has as many neighbouring survivors as such masks "
               "(by 5 %)", "× chance", at("neighbours", name, arrangement="permuted"), within=(0.95, 1.05),
               is_sanity_check=True),
        _claim("wins", name, "the ticket beats the dense network", "points", advantage(name, "dense"), above=0),
        _claim("positions-matter", name, "the ticket beats a random mask with as many survivors of every unit and every "
               "input", "points", advantage(name, "random"), above=0),
        _claim("advantage-is-spatial", name, "the ticket's advantage over the dense network is greater than with permuted "
               "positions", "points", advantage(name, "dense") - advantage(name, "dense", "permuted"), above=0),
    ]  # fmt: skip


def _at_scale(name: str) -> list[Claim]:
    kept, per = "the association of neighbouring survivors", "of the possible, per"
    late, early = (at("barrier", name, network="ticket", **more) for more in ({"rewind_to": LAST}, {}))
    return [
        _claim("widest-clusters", name, "the ticket of the widest network has more neighbouring survivors than such masks",
               "× chance", at("neighbours", name, width=LAST), "blog", above=1),
        _claim("near-not-far", name, "pairs of survivors at distances of 1 and 2 are more frequent, relative to such masks, "
               "than at 4 to 6", "× chance", at("co_survival", name).then(_near_less_far), above=0),
        _claim("grows-with-width", name, f"{kept} grows with the network's width", f"{per} doubling",
               at("association", name, width=None).then(slope, "width", base=2), above=0),
        _claim("grows-with-data", name, f"{kept} grows with the number of training examples", f"{per} doubling",
               at("association", name, share=None).then(slope, "share", base=2), above=0),
        _claim("grows-with-sparsity", name, f"{kept} grows with sparsity", f"{per} halving of survivors",
               at("association", name, sparsity=None).then(_by_halvings), above=0),
        _claim("stable-late", name, "two children of the ticket of the latest rewinding step are joined by a line with a "
               "barrier of at most 2 points of error", "points", late, below=2),
        _claim("barrier-falls", name, "the barrier between two children of the ticket is lower after the latest rewinding "
               "step than without rewinding", "points", early - late, above=0),
    ]  # fmt: skip


def _transfers(name: str, target: str) -> list[Claim]:
    return [
        _claim(id_, name, f"the ticket, trained on {TITLES[target]}, beats {other}", "points", advantage(name, over, target),
               target=target, above=0)
        for id_, over, other in (("transfers", "random", "a random mask with as many survivors of every unit and every input"),
                                 ("transfer-wins", "dense", "the dense network"))
    ]  # fmt: skip


CLAIMS = (
    *(claim for name in SHAPES for claim in (*_clusters(name), *(() if name in LONGER else _at_scale(name)))),
    Claim("grows-with-length", "on MNIST-1D of 40 to 160 points, the association of neighbouring survivors grows with the "
          "number of points", "here", "–", "of the possible, per doubling",
          Effect(_by_length, {"dataset": ("mnist1d", *LONGER)}), above=0, independent_of=("dataset",)),
    *(claim for name, target in (("digits", "mnist"), ("mnist", "digits"), ("mnist", "cifar10"), ("cifar10", "mnist"))
      for claim in _transfers(name, target)),
)  # fmt: skip
