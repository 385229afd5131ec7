"""Are there sparse networks that learn better than the dense one they were found in, and why?

An MLP is trained, its smallest weights are pruned, the survivors are rewound to their initial values, and so on
(Frankle & Carbin 2019); random masks of the same sparsity are the control. Then the ticket at one sparsity is trained
on fresh data, plain and rearranged, and its first layer is tested for locality (Greydanus & Kobak 2024, section 4.1).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flylab.data import MNIST1D
from flylab.models import tickets
from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect
from flylab.results.statistics import plus_minus
from flylab.results.tables import Table
from flylab.studies.lottery.drawing import figure
from flylab.studies.lottery.measures import (
    advantage,
    analysed,
    gain_in_search,
    last,
    locality,
    mask,
    protocol_in,
    searched,
    users,
)
from flylab.studies.lottery.method import run
from flylab.studies.lottery.protocol import (
    RUN_LENGTHS,
    TREATMENTS,
    Protocol,
    analyses,
    conditions,
    n_steps,
    network_of,
    objective_of,
    resources,
)
from flylab.studies.lottery.protocol import SLOTS as SLOTS
from flylab.study import Study

__all__ = [
    "CLAIMS", "STUDY", "TREATMENTS", "Protocol", "advantage", "analyses", "conditions", "figure",
    "gain_in_search", "last", "locality", "mask", "n_steps", "network_of", "objective_of", "protocol_in", "resources",
    "run", "save_ticket", "searched", "table", "users",
]  # fmt: skip


def _on_fresh(effect: Callable[[xr.Dataset], xr.DataArray], *arrangements: str) -> Effect:
    return Effect(effect, {"arrangement": arrangements, "treatment": ("dense", "ticket")})


PAPER = "needs the preset paper"
_IN_SEARCH = ("analysis_steps", "analysis_batch")  # which the search does not know
_CLAIMS = (
    Claim("beats-dense-search", "in the search, the ticket at 92 % beats the dense network by at least 3 points", "nb",
          "75.0 vs 61–66", "points", lambda r: gain_in_search(r, analysed(r)), above=3, independent_of=_IN_SEARCH),
    Claim("beats-dense-fresh", "on fresh data the ticket beats the dense network by at least 3 points", "blog, nb-old",
          "70.6 vs 63.6; 65.9 vs 64.2", "points", advantage, above=3),
    Claim("beats-random", "on fresh data the ticket beats a random mask by at least 5 points", "nb-old", "71 vs 58",
          "points", lambda r: last(r, "ticket") - last(r, "random"), above=5),
    Claim("very-sparse", "in the search, the ticket at 96 % still beats the dense network", "paper", "yes", "points",
          lambda r: gain_in_search(r, 96), above=0, independent_of=_IN_SEARCH),
    Claim("loss-search", "in the search, the ticket's last test loss is below the dense network's", "nb", "yes", "nats",
          lambda r: gain_in_search(r, analysed(r), "loss"), below=0, independent_of=_IN_SEARCH),
    Claim("rewind-matters", "the ticket with its own initial weights beats the ticket with fresh ones", "here",
          "70.6 vs 67.3; 65.9 vs 65.5", "points", lambda r: last(r, "ticket") - last(r, "reinitialised"), above=0),
    Claim("reinit", "the ticket with fresh weights beats the dense network", "paper, nb", "67.3 vs 64.0; 65.5 vs 63.8",
          "points", lambda r: advantage(r, treatment="reinitialised"), above=0),
    Claim("shuffled", "on shuffled data the ticket is no better than the dense network (by 0.5 points at most)",
          "paper, nb", "62.8 vs 64.6; 62.8 vs 63.8", "points",
          _on_fresh(lambda r: advantage(r, "shuffled"), "shuffled"), below=0.5),
    Claim("flipped", "on reversed signals the ticket keeps at least half of its advantage", "paper",
          "68.8 vs 64.6; 62.8 vs 63.1", "points",
          _on_fresh(lambda r: advantage(r, "reversed") - 0.5 * advantage(r), "reversed"), above=0, needs=PAPER),
    Claim("chunks-above-shuffled", "with halves exchanged the ticket's advantage is greater than on shuffled data",
          "nb-old", "66.2 vs 64.5; 61.9 vs 64.1", "points",
          _on_fresh(lambda r: advantage(r, "exchanged") - advantage(r, "shuffled"), "exchanged", "shuffled"), above=0,
          needs=PAPER),
    Claim("chunks-below-plain", "with halves exchanged the ticket's advantage is smaller than on plain data", "nb-old",
          "66.2 vs 64.5; 61.9 vs 64.1", "points",
          _on_fresh(lambda r: advantage(r) - advantage(r, "exchanged"), "exchanged"), above=0, needs=PAPER),
    *(Claim(f"adjacency-{n}", f"runs of {n} adjacent survivors in the first layer are more frequent than by chance",
            "paper", "yes", "× chance", lambda r, n=n: locality(r, n), above=1,
            independent_of=_IN_SEARCH) for n in RUN_LENGTHS),
)  # fmt: skip
CLAIMS = independent(["arrangements", "random_every", "analysis_every"], _CLAIMS)


def table(results: xr.Dataset) -> Table:
    """Return the accuracy of every treatment in the search at the analysed sparsity, and on every arrangement."""
    arrangements = results.arrangement.values.tolist()
    at = analysed(results)
    places = {"dense": ("ticket", 0)} | {name: (name, at) for name in ("ticket", "random", *users(results))}
    rows = []
    for treatment in (*TREATMENTS, *users(results)):
        in_search = [searched(results, "accuracy", *places[treatment])] if treatment in places else [np.nan]
        on_fresh = (last(results, treatment, arrangement) for arrangement in arrangements)
        rows.append([treatment, *(plus_minus(values, skipna=False) for values in (*in_search, *on_fresh))])
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
                      width=20, analysis_steps=20, analysis_batch=200, analysis_every=10, data=_TINY),
    "quick": Protocol(n_seeds=4, n_rounds=9, schedule="geometric", prune_rate=0.3436, random_every=3, n_steps=1000,
                      analysis_steps=500, analysis_every=100, arrangements=("plain", "shuffled")),
    "paper": Protocol(n_seeds=2),
}  # fmt: skip
MINUTES = {"smoke": 0.6, "quick": 2.4, "paper": 33}
STUDY = Study.of_module(__name__)
