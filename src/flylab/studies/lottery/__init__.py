"""Are there sparse networks that learn better than the dense one they were found in, and why?

An MLP is trained, its smallest weights are pruned, the survivors are rewound to their initial values, and so on
(Frankle & Carbin 2019); random masks of the same sparsity are the control. Then the ticket at one sparsity is trained
on fresh data, plain and rearranged, and its first layer is tested for locality (Greydanus & Kobak 2024, section 4.1).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flylab.data import MNIST1D
from flylab.models import tickets
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table
from flylab.studies.lottery.claims import CLAIMS
from flylab.studies.lottery.criterion import SLOTS
from flylab.studies.lottery.drawing import figure
from flylab.studies.lottery.measures import advantage, analysed, last, locality, mask, searched, slim
from flylab.studies.lottery.method import run
from flylab.studies.lottery.protocol import (
    ARRANGEMENTS,
    TREATMENTS,
    Protocol,
    analyses,
    conditions,
    n_steps,
    network_of,
    resources,
)
from flylab.study import Study

__all__ = [
    "ARRANGEMENTS", "CLAIMS", "SLOTS", "STUDY", "TREATMENTS", "Protocol", "advantage", "analyses", "conditions",
    "figure", "last", "locality", "mask", "n_steps", "network_of", "resources", "run", "save_ticket",
    "searched", "slim", "table",
]  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return the accuracy of every treatment in the search at the analysed sparsity, and on every arrangement."""
    arrangements, treatments = results.arrangement.values.tolist(), results.treatment.values.tolist()
    at = analysed(results)
    places = {"dense": ("ticket", 0), "shuffled-ticket": ("shuffled", at)}
    places |= {name: (name, at) for name in results.criterion.values.tolist() if name != "shuffled"}
    rows = []
    for name in dict.fromkeys((*treatments, *places)):
        in_search = [searched(results, "accuracy", *places[name])] if name in places else [np.nan]
        on_fresh = [last(results, name, arrangement) if name in treatments else [np.nan]
                    for arrangement in arrangements]  # fmt: skip
        rows.append([name, *(plus_minus(values, skipna=False) for values in (*in_search, *on_fresh))])
    title = (
        f"Test accuracy (%) at {at:.1f} % sparsity: in the search, and on fresh data; mean ± half of the 95 % interval"
    )
    return Table(title, ["network", "search", *arrangements], rows)


def save_ticket(results: xr.Dataset, provenance: Mapping[str, Any], path: Path, *, seed: int | None = None) -> None:
    """Save the analysed ticket of one seed, by default the first, for `flylab.models.tickets.load_ticket`.

    The ticket's initial weights are `model.init(stream(fold_in(key(0), seed), "init"))` under the mask.
    """
    seed = int(results.seed[0]) if seed is None else seed
    origin = {"run": results.attrs["run"], "seed": seed, **provenance}
    tickets.save_ticket(mask(results, seed=seed), results.attrs["protocol"], origin, path)


_TINY = MNIST1D(n_train=200, n_valid=100, n_test=100)
PRESETS = {
    "smoke": Protocol(n_seeds=2, n_rounds=3, schedule="geometric", prune_rate=0.6, n_steps=30, score_at=20,
                      controls_every=1, width=20, analysis_steps=20, analysis_batch=200, analysis_every=10, data=_TINY),
    "quick": Protocol(n_seeds=4, n_rounds=7, schedule="geometric", prune_rate=0.3966, n_steps=800, score_at=800,
                      controls_every=2, analysis_steps=300, analysis_every=100, arrangements=("plain", "shuffled"),
                      controls=("dense-reinitialised", "random-unit-input")),
    "paper": Protocol(n_seeds=10),
}  # fmt: skip
MINUTES = {"smoke": 0.6, "quick": 2.7, "paper": 108}
STUDY = Study.of_module(__name__)
