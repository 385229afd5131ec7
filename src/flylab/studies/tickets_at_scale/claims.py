"""What is measured in a data set's base case and beside it, and the claims about it."""

from typing import Any

import numpy as np
import xarray as xr

from flylab.data.images import titles
from flylab.results.claims import Claim, independent
from flylab.results.effects import LAST, Effect, slope
from flylab.studies.tickets_at_scale.method import ANALYSED, IMAGES, LONGER, SHAPES

AXES = ("width", "share", "arrangement", "rewind_to")  # whose first labels are the base case's
NULL = "random masks with as many survivors of every unit and every input"
SIGNALS = ("mnist1d", *LONGER)


def names_in(results: xr.Dataset) -> dict[str, str]:
    """Return the title of each data set by its name."""
    return {name: f"MNIST-1D, {SHAPES[name][1]} points" for name in SIGNALS} | titles(results.attrs)


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
    """Return the points of test accuracy by which a ticket beats another network, on other data or its own."""
    place = {"variable": "transfer_accuracy", "dataset": dataset, "target": target or dataset}
    return at(**place, treatment="ticket") - at(**place, treatment=over)


def _by_halvings(values: xr.DataArray) -> xr.DataArray:
    return slope(values.assign_coords(sparsity=-np.log2(1 - values.sparsity / 100)), "sparsity")


def _by_length(results: xr.Dataset) -> xr.DataArray:
    lengths = xr.Variable("length", [SHAPES[name][1] for name in SIGNALS])
    return slope(xr.concat([at("association", name)(results) for name in SIGNALS], lengths), "length", base=2)


def _near_less_far(pairs: xr.DataArray) -> xr.DataArray:
    return pairs.sel(distance=slice(1, 2)).mean("distance") - pairs.sel(distance=slice(4, 6)).mean("distance")


def _claim(id_: str, name: str, statement: str, unit: str, effect: Effect, *, target: str = "", **more: Any) -> Claim:
    title = names_in(xr.Dataset())[name]
    asked = " ".join(one for one in (name, target) if one in ("mnist", "cifar10"))
    more = {"source": "here", "published": "–", "needs": f"needs --dataset {asked}" if asked else "",
            "on": "this set of images" if name in IMAGES else ""} | more  # fmt: skip
    return Claim(f"{id_}-{name}{target and '-to-'}{target}", f"{title}: {statement}", unit=unit, effect=effect, **more)


def _clusters(name: str) -> list[Claim]:
    spatial = advantage(name, "dense") - advantage(name, "dense", "permuted")
    return [
        _claim("clusters", name, f"the ticket has more neighbouring survivors than {NULL}", "× chance",
               at("neighbours", name), source="blog", published="guess", above=1),
        _claim("vanishes-permuted", name, f"with permuted inputs, it has as many neighbouring survivors as {NULL}",
               "× chance", at("neighbours", name, arrangement="permuted"), within=(0.95, 1.05), is_sanity_check=True),
        _claim("wins", name, "the ticket beats the dense network", "points", advantage(name, "dense"), above=0),
        _claim("positions-matter", name, f"the ticket beats {NULL}", "points", advantage(name, "random"), above=0),
        _claim("advantage-is-spatial", name, "the ticket's advantage over the dense network is greater than after its "
               "pixels or points are permuted", "points", spatial, above=0),
    ]  # fmt: skip


def _at_scale(name: str) -> list[Claim]:
    kept, per = "the association of neighbouring survivors grows", "of the possible, per"
    widest, dense = (at("search_accuracy", name, width=LAST, **one) for one in ({}, {"sparsity": 0.0}))
    early, late = at("barrier", name, network="ticket"), at("barrier", name, network="ticket", rewind_to=LAST)
    return [
        _claim("widest-clusters", name, f"the widest network's ticket has more neighbouring survivors than {NULL}",
               "× chance", at("neighbours", name, width=LAST), source="blog", published="guess", above=1),
        _claim("widest-wins", name, "the widest network's ticket beats its dense network", "points", widest - dense,
               above=0, unseen_from=1010),
        _claim("near-not-far", name, "against such masks, pairs of survivors are more frequent at distances 1 and 2 "
               "than at 4 to 6", "× chance", at("co_survival", name).then(_near_less_far), above=0),
        _claim("grows-with-width", name, f"{kept} with the network's width", f"{per} doubling",
               at("association", name, width=None).then(slope, "width", base=2), above=0),
        _claim("grows-with-data", name, f"{kept} with the number of training examples", f"{per} doubling",
               at("association", name, share=None).then(slope, "share", base=2), above=0),
        _claim("grows-with-sparsity", name, f"{kept} with sparsity", f"{per} halving of survivors",
               at("association", name, sparsity=None).then(_by_halvings), above=0),
        _claim("stable-late", name, "the line between two children of the ticket has a barrier of at most 2 points of "
               "error, after the latest rewinding step", "points", late, below=2),
        _claim("barrier-falls", name, "this barrier is lower after the latest rewinding step than without rewinding",
               "points", early - late, above=0),
    ]  # fmt: skip


def _transfers(name: str, target: str) -> list[Claim]:
    gain, title = {over: advantage(name, over, target) for over in ("random", "dense")}, titles({})[target]
    return [
        _claim("transfers", name, f"its ticket, trained on {title}, beats {NULL}", "points", gain["random"],
               target=target, above=0),
        _claim("transfer-wins", name, f"its ticket, trained on {title}, beats the dense network", "points",
               gain["dense"], target=target, above=0),
    ]  # fmt: skip


_PAIRS = (("digits", "mnist"), ("mnist", "digits"), ("mnist", "cifar10"), ("cifar10", "mnist"))
CLAIMS = independent(["dataset"], (
    *(claim for name in SHAPES for claim in (*_clusters(name), *(() if name in LONGER else _at_scale(name)))),
    Claim("grows-with-length", "MNIST-1D of 40 to 160 points: the association of neighbouring survivors grows with the "
          "number of points", "here", "–", "of the possible, per doubling", Effect(_by_length, {"dataset": SIGNALS}),
          above=0),
    *(claim for pair in _PAIRS for claim in _transfers(*pair)),
))  # fmt: skip
