"""The claims about tickets: what was published, and flylab's controls."""

import numpy as np
import xarray as xr

from flylab.models.locality import RUN_LENGTHS
from flylab.results.claims import Claim, independent, sharing
from flylab.results.effects import Effect, n_test_of
from flylab.studies.lottery.measures import (
    advantage,
    analysed,
    at_the_end,
    co_survival,
    difference,
    gain_in_search,
    learning_curve,
    locality,
    searched,
)
from flylab.studies.lottery.published import LEVELS, SAMPLING_ERROR, SEARCHED_DENSE, SEARCHED_TICKET

PAPER = "needs the preset paper"
_CONTROLS = ("control_steps", "tuned_rates", "controls_every")  # which published treatments do not depend on
# what all seeds share: the data set of the search, so that their tickets are of it, and the published order
DATA, TICKETS, ORDER = "this data set", "tickets of the published data set", "this permutation"
_SHORT = " after 1500 steps (published: 6000)"  # of flylab's own arms and of those compared with them


def _gain_at(sparsity: float | None, variable: str = "accuracy", over: str = "dense") -> Effect:
    """Return the ticket's gain in the search at a sparsity in percent, by default the analysed one."""
    return Effect(lambda r: gain_in_search(r, analysed(r) if sparsity is None else sparsity, variable, over))


def _near_less_far(results: xr.Dataset) -> xr.DataArray:
    pairs = co_survival(results)
    return pairs.sel(distance=slice(1, 4)).mean("distance") - pairs.sel(distance=slice(10, 20)).mean("distance")


def _keeps_half() -> Effect:
    """Return the ticket's advantage on reversed signals less half of that on plain ones, or the latter if it is less.

    Without the second part, a ticket that has no advantage could be said to keep half of it.
    """
    plain, flipped = difference("ticket"), difference("ticket", arrangement="reversed")
    kept = flipped - plain.then(lambda gain: gain / 2)

    def less(results: xr.Dataset) -> xr.DataArray:
        return at_the_end(xr.apply_ufunc(np.minimum, kept(results), plain(results), join="inner"))

    return Effect(less, kept.requires)


def _levels(*, short: bool) -> list[Claim]:
    """Return a claim for each published level, of arms that are trained for fewer steps or of the others."""
    levels = [level for level in LEVELS if (level.arrangement in ("reversed", "exchanged")) == short]
    return [
        Claim(
            f"level-{treatment}-{arrangement}.{source}",
            f"on {arrangement} fresh data the {NAMES[treatment]} has {value:g} %{_SHORT if short else ''} (by "
            f"{SAMPLING_ERROR:g} points, the error of 1000 test examples)"
            + ("; the notebook's has fresh weights in fact" if (treatment, source) == ("ticket", "nb") else ""),
            source, f"{value:g}", "%", learning_curve(treatment, arrangement).then(at_the_end),
            within=(value - SAMPLING_ERROR, value + SAMPLING_ERROR), needs=PAPER if short else "",
            on=_shared(treatment, arrangement),
        )
        for treatment, arrangement, by_source in levels
        for source, value in by_source.items()
    ]  # fmt: skip


def _shared(treatment: str, arrangement: str) -> str:
    """Return what all seeds of a treatment on fresh data share."""
    parts = [TICKETS] if treatment in ("ticket", "reinitialised") else []
    return " and ".join([*parts, ORDER] if arrangement == "shuffled" else parts)


NAMES = {
    "dense": "dense network", "ticket": "ticket", "random": "random mask", "reinitialised": "ticket with fresh weights",
    "dense-reinitialised": "dense network of these fresh weights",
}  # fmt: skip
_ON = "in the search, on the published data, "
_SEARCH = (
    Claim("beats-dense-search", f"{_ON}the ticket at 92 % beats the dense network by at least 3 points", "nb",
          "75.0 vs 61–66", "points", _gain_at(None), above=3),
    Claim("level-ticket-search", f"{_ON}the ticket at 92 % has {SEARCHED_TICKET:g} % (by {SAMPLING_ERROR:g} points)",
          "nb", "75.0", "%",
          Effect(lambda r: searched(r, "accuracy", "ticket", analysed(r)), n_test=n_test_of),
          within=(SEARCHED_TICKET - SAMPLING_ERROR, SEARCHED_TICKET + SAMPLING_ERROR)),
    Claim("level-dense-search", f"{_ON}the dense network has 61 to 66 %", "nb", "61–66", "%",
          Effect(lambda r: searched(r, "accuracy", "ticket", 0), n_test=n_test_of), within=SEARCHED_DENSE),
    Claim("very-sparse", f"{_ON}the ticket at 96 % still beats the dense network", "paper", "yes", "points",
          _gain_at(96), above=0),
    Claim("loss-search", f"{_ON}the ticket's last test loss is below the dense network's", "nb", "yes", "nats",
          _gain_at(None, "loss"), below=0),
    Claim("iterative", f"{_ON}iterative pruning beats one-shot pruning at the same sparsity", "paper", "–", "points",
          _gain_at(None, over="one-shot"), above=0),
    *(Claim(f"adjacency-{n}", f"{_ON}first layers have more runs of {n} adjacent survivors than random masks with as "
            "many survivors of every unit and of every input position", "paper", "yes", "× chance",
            lambda r, n=n: locality(r, n), above=1) for n in RUN_LENGTHS),
    Claim("co-survival", f"{_ON}pairs of survivors at distances of 1 to 4 are more frequent, relative to such masks, "
          "than at 10 to 20", "here", "–", "× chance", _near_less_far, above=0),
)  # fmt: skip
_PUBLISHED = (
    Claim("beats-dense-fresh", "on fresh data the ticket beats the dense network by at least 3 points", "blog, nb-old",
          "70.6 vs 63.6; 65.9 vs 64.2", "points", advantage(), above=3, on=TICKETS),
    Claim("beats-random", "on fresh data the ticket beats a random mask by at least 5 points", "nb-old",
          "70.6 vs 59.2; 65.9 vs 60.0",
          "points", advantage(over="random"), above=5, on=TICKETS),
    Claim("random-below-dense", "on fresh data a random mask is worse than the dense network: sparse networks do not "
          "train well from scratch", "blog, paper", "59.2 vs 63.6; 60.0 vs 64.2", "points",
          advantage("random"), below=0),
    Claim("rewind-matters", "the ticket with its own initial weights beats the ticket with fresh ones", "here",
          "70.6 vs 67.3; 65.9 vs 65.5", "points", advantage(over="reinitialised"), above=0, on=TICKETS),
    Claim("reinit", "the ticket with fresh weights beats the dense network with the same fresh weights", "paper, nb",
          "67.3 vs 64.0; 65.5 vs 63.8", "points", advantage("reinitialised", "dense-reinitialised"), above=0,
          on=TICKETS),
    Claim("shuffled", "on fresh data shuffled in the published order the ticket is no better than the dense network "
          "(by 0.5 points at most)", "paper, nb", "62.8 vs 64.6; 62.8 vs 63.8", "points",
          advantage(arrangement="shuffled"), below=0.5, on=_shared("ticket", "shuffled")),
    Claim("advantage-is-spatial", "the ticket's advantage over the dense network is greater on plain than on shuffled "
          "data", "paper", "7.0 vs −1.8; 1.7 vs −1.0", "points", advantage() - advantage(arrangement="shuffled"),
          above=0, on=_shared("ticket", "shuffled")),
    *_levels(short=False),
)  # fmt: skip
_REARRANGED = (
    Claim("reshuffled", "on fresh data shuffled in an order of each seed's own the ticket is no better than the dense "
          "network (by 0.5 points at most)", "here", "–", "points", advantage(arrangement="reshuffled"), below=0.5,
          needs=PAPER, on=TICKETS),
    Claim("flipped", f"the ticket has an advantage, and on reversed signals keeps at least half of it{_SHORT}", "paper",
          "68.8 vs 64.6; 62.8 vs 63.1", "points", _keeps_half(), above=0, needs=PAPER, on=TICKETS),
    Claim("chunks-above-shuffled", "with halves exchanged the ticket's advantage is greater than on shuffled data"
          f"{_SHORT}", "nb-old", "66.2 vs 64.5; 61.9 vs 64.1", "points",
          (difference("ticket", arrangement="exchanged") - difference("ticket", arrangement="shuffled"))
          .then(at_the_end), above=0, needs=PAPER, on=_shared("ticket", "shuffled")),
    Claim("chunks-below-plain", f"with halves exchanged the ticket's advantage is smaller than on plain data{_SHORT}",
          "nb-old", "66.2 vs 64.5; 61.9 vs 64.1", "points",
          (difference("ticket") - difference("ticket", arrangement="exchanged")).then(at_the_end), above=0,
          needs=PAPER, on=TICKETS),
    *_levels(short=True),
)  # fmt: skip


def _beats(id_: str, control: str, statement: str) -> Claim:
    return Claim(id_, f"on fresh data the ticket beats {statement}", "here", "–", "points", advantage(over=control),
                 above=0, needs=PAPER)  # fmt: skip


_BY_CONTROLS = (
    _beats("beats-random-unit", "random-unit", "random masks with as many survivors of every unit"),
    _beats("beats-random-unit-input", "random-unit-input",
           "random masks with as many survivors of every unit and every input"),
    _beats("positions-matter", "moved", "itself with the survivors of each first-layer unit at random positions"),
    _beats("beats-small", "small", "a dense network of as many parameters"),
)  # fmt: skip
_TUNED = (
    _beats("beats-tuned", "tuned-dense", "the dense network at the best of several learning rates"),
    Claim("tuned-beats-tuned", "on fresh data the ticket beats the dense network if both have the best of several "
          "learning rates", "here", "–", "points", advantage("tuned-ticket", "tuned-dense"), above=0, needs=PAPER),
)  # fmt: skip
_ON_SHUFFLED = (
    Claim("shuffled-search", "a ticket searched on shuffled data beats the dense network on shuffled data (to an MLP, "
          "all orders of its inputs are alike)", "here", "–", "points",
          advantage("shuffled-ticket", arrangement="shuffled"), above=0, needs=PAPER, is_sanity_check=True),
    Claim("shuffled-search-plain", "on plain data a ticket searched on shuffled data is no better than the dense "
          "network (by 0.5 points at most)", "here", "–", "points", advantage("shuffled-ticket"), below=0.5,
          needs=PAPER),
    Claim("shuffled-search-locality", "runs of 3 adjacent survivors are more frequent, relative to chance, in the "
          "ticket than in one searched on shuffled data", "here", "–", "× chance",
          Effect(lambda r: locality(r, 3) - locality(r, 3, "shuffled"), {"treatment": "shuffled-ticket"}), above=0,
          needs=PAPER),
)  # fmt: skip
CLAIMS = independent(
    ["arrangements", "analysis_every", "controls"],
    (
        *independent([*_CONTROLS, "analysis_steps", "analysis_batch"], sharing(DATA, _SEARCH)),
        *independent(_CONTROLS, _PUBLISHED),
        *independent(["tuned_rates", "controls_every"], _REARRANGED),
        *independent(["tuned_rates", "controls_every"], sharing(TICKETS, _BY_CONTROLS)),
        *independent(["controls_every"], sharing(TICKETS, _TUNED)),
        *independent(["tuned_rates"], sharing(_shared("ticket", "shuffled"), _ON_SHUFFLED)),
    ),
)
