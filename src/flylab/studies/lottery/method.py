"""One run of the study: the search of every seed, then the analysis of its ticket."""

import xarray as xr

from flylab.models.locality import NULLS, RUN_LENGTHS
from flylab.studies.lottery.analysis import analysis
from flylab.studies.lottery.protocol import Protocol, network_of
from flylab.studies.lottery.search import Search, criteria, searched
from flylab.study import Condition, Context


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Search for tickets, round by round for all seeds side by side, then analyse them."""
    model = network_of(protocol)
    users = condition.get("criterion")  # a user's criterion, searched by itself, or None
    searches = searched(protocol, model, users, context)
    analyses = analysis(protocol, model, users, searches, context)
    parts = [
        xr.merge([_to_dataset(protocol, users, search, seed), analysed], join="outer")
        for (seed, search), analysed in zip(searches.items(), analyses, strict=True)
    ]
    return xr.concat(parts, "seed")


def _to_dataset(protocol: Protocol, users, search: Search, seed: int) -> xr.Dataset:
    """Return the results of a search."""
    dims = {
        "adjacency": ("criterion", "sparsity", "null", "run_length"),
        "co_survival": ("criterion", "sparsity", "distance"),
        "mask": ("sparsity", "byte"),
    }
    variables = {
        name: (("seed", *dims.get(name, ("criterion", "sparsity"))), values[None])
        for name, values in search.results.items()
        if users is None or name != "mask"  # which is that of "ticket"
    }
    sparsities = [100 * sparsity for sparsity in protocol.sparsities]
    n_distances = search.results["co_survival"].shape[-1]
    coords = {
        "seed": [seed], "criterion": [*criteria(users)], "null": [*NULLS], "run_length": [*RUN_LENGTHS],
        "sparsity": sparsities, "distance": range(1, n_distances + 1),
    }  # fmt: skip
    return xr.Dataset(variables, coords)
