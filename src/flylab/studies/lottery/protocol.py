"""What is searched and analysed: protocol, conditions and what they cost."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

import numpy as np
from msgspec import Meta

from flylab.base.constraints import NonNegativeInt, PositiveFloat, PositiveInt
from flylab.data import MNIST1D, exchanged, reversed_, shuffled
from flylab.models import Model, tickets
from flylab.study import BaseProtocol, Condition
from flylab.study.protocol import Published
from flylab.training.step import Plan
from flylab.training.training import Training

TREATMENTS = ("dense", "random", "ticket", "reinitialised")  # the published ones
Control = Literal[
    "dense-reinitialised",
    "random-unit",
    "random-unit-input",
    "moved",
    "small",
    "tuned-dense",
    "tuned-ticket",
    "shuffled-ticket",
]
"""Controls in the analysis.

- dense-reinitialised: the dense network with the fresh weights of "reinitialised", as in the notebook;
- random-unit, random-unit-input: random masks with the ticket's survivors of every unit, or of every unit and input;
- moved: the ticket, with the survivors of each first-layer unit and their weights at random positions;
- small: a narrower dense network of as many parameters as survive;
- tuned-dense, tuned-ticket: either at its learning rate of the best validation accuracy;
- shuffled-ticket: a ticket searched on shuffled data.
"""
OWN = {*get_args(Control)} - {"dense-reinitialised"}  # which no source has
TUNED = {"tuned-dense": "dense", "tuned-ticket": "ticket"}
CRITERIA = ("ticket", "random", "one-shot", "shuffled")
Arrangement = Literal["plain", "shuffled", "reshuffled", "reversed", "exchanged"]
ARRANGEMENTS: dict[str, Callable[[int, int], Sequence[int]]] = {  # (length, seed) → the order of the positions
    "plain": lambda length, seed: range(length),
    "shuffled": lambda length, seed: shuffled(length, 0),  # the published order
    "reshuffled": lambda length, seed: shuffled(length, 1000 + seed),  # one of the seed's own
    "reversed": lambda length, seed: reversed_(length),
    "exchanged": lambda length, seed: exchanged(length),
}


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol: iterative magnitude pruning with rewinding, and an analysis of the tickets."""

    n_rounds: Annotated[int, Meta(ge=2, le=10_000)] = 100
    """Rounds of pruning; the first trains the dense network."""
    schedule: Literal["linear", "geometric"] = "linear"
    """Sparsity over rounds: linear from 0 to 1, as published, or geometric, where each round prunes the same share."""
    prune_rate: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    """Share of the surviving weights that a round of the geometric schedule prunes."""
    scope: Literal["layer", "global"] = "layer"
    """Rank the weights within each layer, its biases included, or over the whole network."""
    prune_biases: bool = True
    """Prune biases like weights; otherwise keep all of them."""
    rewind_to: NonNegativeInt = 0
    """Step of the dense training to which the survivors are rewound; 0 is the initialisation."""
    n_steps: PositiveInt = 1500
    """Optimiser steps of a round."""
    score_at: NonNegativeInt = 1000
    """Step at which the weights are ranked."""
    controls_every: PositiveInt = 10
    """Rounds between controls in the search: random masks, one-shot pruning, and pruning on shuffled data."""
    batch_size: PositiveInt = 100
    """Examples per step of the search, in fixed order."""
    learning_rate: PositiveFloat = 2e-2
    """Adam's learning rate."""
    model: Published = "mlp"
    """The network."""
    width: PositiveInt = 500
    """Hidden units, or channels; logistic regression has none."""
    analysed: Annotated[float, Meta(gt=0, lt=1)] = 0.92
    """Sparsity of the ticket to analyse; the round with the nearest sparsity is taken."""
    analysis_steps: PositiveInt = 6000
    """Optimiser steps of the published treatments on plain and shuffled data."""
    control_steps: PositiveInt = 1500
    """Optimiser steps of flylab's own controls and of other arrangements, which are compared with the rest there."""
    analysis_batch: PositiveInt = 500
    """Examples per step of the analysis."""
    analysis_every: PositiveInt = 250
    """Steps between evaluations in the analysis."""
    arrangements: tuple[Arrangement, ...] = get_args(Arrangement)
    """Arrangements of the fresh data. All treatments train on plain data; only dense network and ticket on others."""
    controls: tuple[Control, ...] = get_args(Control)
    """Controls to train besides the published treatments."""
    tuned_rates: tuple[PositiveFloat, ...] = (1e-3, 3e-3, 1e-2)
    """Learning rates, besides `learning_rate`, among which the tuned networks choose."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """The data set of the search. The analysis uses new data for each seed (generator seed 1000 + 2·seed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("score_at", "rewind_to"):
            self._require(getattr(self, name) <= self.n_steps, name, f"an integer ≤ n_steps={self.n_steps}")
        self._require("plain" in self.arrangements, "arrangements", "a list that contains plain")
        refused = {*TUNED} if not self.data.n_valid else set()  # whose rates nothing could choose
        refused |= {"small"} if self.model == "logistic" else set()  # which has one width
        self._require(not refused & {*self.controls}, "controls", f"a list without {' or '.join(sorted(refused))}")

    @property
    def sparsities(self) -> tuple[float, ...]:
        """The share of pruned weights in each round."""
        return _sparsities(self.schedule, self.n_rounds, self.prune_rate)

    @property
    def analysed_round(self) -> int:
        """The round whose ticket is analysed."""
        return _nearest(self.schedule, self.n_rounds, self.prune_rate, self.analysed)

    def length(self, treatment: str, arrangement: str) -> int:
        """Return the optimiser steps of a treatment in the analysis."""
        is_long = treatment not in OWN and arrangement in ("plain", "shuffled")
        return self.analysis_steps if is_long else min(self.control_steps, self.analysis_steps)

    def plan(self, treatment: str, arrangement: str) -> Plan:
        """Return the plan of a treatment in the analysis."""
        n_steps = self.length(treatment, arrangement)
        steps = {*range(self.analysis_every, n_steps, self.analysis_every), min(self.control_steps, n_steps)}
        return Plan(n_steps, self.analysis_batch, tuple(sorted(steps)))


@functools.lru_cache(maxsize=16)
def _sparsities(schedule: str, n_rounds: int, prune_rate: float) -> tuple[float, ...]:
    if schedule == "linear":
        return tuple(np.linspace(0, 1, n_rounds).tolist())
    return tuple(1 - (1 - prune_rate) ** i for i in range(n_rounds))


@functools.lru_cache(maxsize=16)
def _nearest(schedule: str, n_rounds: int, prune_rate: float, sparsity: float) -> int:
    return int(np.argmin(np.abs(np.array(_sparsities(schedule, n_rounds, prune_rate)) - sparsity)))


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return the only condition: each seed runs a search with all criteria, and the analysis of its ticket."""
    return [{"model": protocol.model}]


def searched_in(protocol: Protocol, number: int, criterion: Any = None) -> tuple[str, ...]:
    """Return the criteria that a round trains: the controls in some rounds only.

    In the first round, random and one-shot pruning leave the dense network as it is. The search on shuffled data ends
    with the analysed round.
    """
    if criterion is not None:
        return (criterion.name,)
    if number % protocol.controls_every and number != protocol.analysed_round:
        return ("ticket",)
    on_shuffled = "shuffled-ticket" in protocol.controls and number <= protocol.analysed_round
    return ("ticket", *(("random", "one-shot") if number else ()), *(("shuffled",) if on_shuffled else ()))


def analyses(protocol: Protocol, criterion: Any = None) -> list[tuple[str, str]]:
    """Return the pairs of treatment and arrangement to train: all treatments on plain data, two of them on others.

    Of a user's criterion its ticket is trained on all, and a ticket searched on shuffled data on these as well.
    """
    if criterion is not None:
        return [(criterion.name, arrangement) for arrangement in protocol.arrangements]
    return [
        (treatment, arrangement)
        for arrangement in protocol.arrangements
        for treatment in (*TREATMENTS, *protocol.controls)
        if arrangement == "plain"
        or treatment in ("dense", "ticket")
        or (treatment, arrangement) == ("shuffled-ticket", "shuffled")
    ]


def n_steps(protocol: Protocol, model: str, criterion: Any = None) -> int:
    """Return the optimiser steps of one seed; those of the analysis count by their examples."""
    analysis = sum(
        protocol.length(*place) * (len(protocol.tuned_rates) if place[0] in TUNED else 1)
        for place in analyses(protocol, criterion)
    )
    return search_steps(protocol, protocol.n_rounds, criterion) + analysed_steps(protocol, analysis)


def search_steps(protocol: Protocol, n_rounds: int, criterion: Any = None) -> int:
    """Return the optimiser steps of the first `n_rounds` rounds of one seed."""
    return protocol.n_steps * sum(len(searched_in(protocol, number, criterion)) for number in range(n_rounds))


def analysed_steps(protocol: Protocol, n_steps: int) -> int:
    """Return steps of the analysis as steps of the search with as many examples."""
    return n_steps * protocol.analysis_batch // protocol.batch_size


def resources(protocol: Protocol, model: str, criterion: Any = None) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network; masks save none."""
    n = n_steps(protocol, model, criterion)
    return Training(network_of(protocol), protocol.data, Plan(n, protocol.batch_size, n)).resources


def network_of(protocol: Protocol, width: int = 0) -> Model:
    """Return the dense network, or one of another width."""
    config = protocol.data
    return tickets.model_of(protocol.model, width or protocol.width, config.final_seq_length, config.outputs)
