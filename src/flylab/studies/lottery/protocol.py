"""What is searched and analysed: protocol, network and objective."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

import jax
import numpy as np
from msgspec import Meta

from flylab.base.constraints import MOST, NonNegativeInt, PositiveFloat, PositiveInt
from flylab.data import MNIST1D, exchanged, reversed_, shuffled
from flylab.models import Model, tickets
from flylab.models.masks import masked
from flylab.study import BaseProtocol, Condition, Slot
from flylab.study.protocol import Published
from flylab.study.slots import checked
from flylab.training.objectives import Objective, supervised
from flylab.training.step import Plan
from flylab.training.training import Training

TREATMENTS = ("dense", "random", "ticket", "reinitialised")
CRITERIA = ("ticket", "random")
METRICS = ("loss", "accuracy", "best_accuracy", "train_accuracy")
RUN_LENGTHS = (2, 3, 4)
Arrangement = Literal["plain", "shuffled", "reversed", "exchanged"]
ARRANGEMENTS = {
    "plain": lambda length: None,
    "shuffled": functools.partial(shuffled, seed=0),
    "reversed": reversed_,
    "exchanged": exchanged,
}


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol: iterative magnitude pruning with rewinding, and an analysis of the tickets."""

    n_rounds: Annotated[int, Meta(ge=2, le=MOST)] = 100
    """Rounds of pruning; the first trains the dense network."""
    schedule: Literal["linear", "geometric"] = "linear"
    """Sparsity over rounds: linear from 0 to 1, as published, or geometric, where each round prunes the same share."""
    prune_rate: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    """Share of the surviving weights that a round of the geometric schedule prunes."""
    one_shot: bool = False
    """Prune the dense network to each sparsity at once instead of round by round."""
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
    random_every: PositiveInt = 1
    """Rounds between random controls."""
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
    """Optimiser steps of the analysis."""
    analysis_batch: PositiveInt = 500
    """Examples per step of the analysis."""
    analysis_every: PositiveInt = 250
    """Steps between evaluations in the analysis."""
    arrangements: tuple[Arrangement, ...] = get_args(Arrangement)
    """Arrangements of the fresh data. All treatments train on plain data; only dense network and ticket on others."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """The data set of the search. The analysis uses new data for each seed (generator seed 1000 + 2·seed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("score_at", "rewind_to"):
            self._require(getattr(self, name) <= self.n_steps, name, f"an integer ≤ n_steps={self.n_steps}")
        self._require("plain" in self.arrangements, "arrangements", "a list that contains plain")

    @property
    def sparsities(self) -> tuple[float, ...]:
        """The share of pruned weights in each round."""
        if self.schedule == "linear":
            return tuple(np.linspace(0, 1, self.n_rounds).tolist())
        return tuple(1 - (1 - self.prune_rate) ** i for i in range(self.n_rounds))

    @property
    def analysed_round(self) -> int:
        """The round whose ticket is analysed."""
        return int(np.argmin(np.abs(np.array(self.sparsities) - self.analysed)))


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return the only condition: each seed runs a search with both criteria, and the analysis of its ticket."""
    return [{"model": protocol.model}]


def analyses(protocol: Protocol, criterion: Any = None) -> list[tuple[str, str]]:
    """Return the pairs of treatment and arrangement to train: all treatments on plain data, two of them on others.

    Of a user's criterion its ticket is trained on all.
    """
    if criterion is not None:
        return [(criterion.name, arrangement) for arrangement in protocol.arrangements]
    return [
        (treatment, arrangement)
        for arrangement in protocol.arrangements
        for treatment in TREATMENTS
        if arrangement == "plain" or treatment in ("dense", "ticket")
    ]


def n_steps(protocol: Protocol, model: str, criterion: Any = None) -> int:
    """Return the optimiser steps of one seed; those of the analysis count by their examples."""
    per_step = protocol.analysis_batch // protocol.batch_size
    analysis = len(analyses(protocol, criterion)) * protocol.analysis_steps * per_step
    return search_steps(protocol, protocol.n_rounds, criterion) + analysis


def resources(protocol: Protocol, model: str, criterion: Any = None) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network; masks save none."""
    n = n_steps(protocol, model, criterion)
    return Training(network_of(protocol), protocol.data, Plan(n, protocol.batch_size, n)).resources


def search_steps(protocol: Protocol, n_rounds: int, criterion: Any = None) -> int:
    """Return the optimiser steps of the first `n_rounds` rounds of one seed."""
    n_random = 0 if criterion is not None else len(range(0, n_rounds, protocol.random_every))
    return protocol.n_steps * (n_rounds + n_random)


def scored(criterion: Any, initial: Any, trained: Any) -> Any:
    """Return the scores that a user's criterion gives to all weights, layer by layer.

    Raises:
        RefusedError: if it does not give a finite score for each weight.
    """

    def of(initial: np.ndarray, trained: np.ndarray) -> np.ndarray:
        return checked(criterion.name, criterion(initial, trained), trained.shape)

    return jax.tree.map(of, initial, trained)


def try_criterion(criterion: Any) -> None:
    """Score a small layer, and raise ValueError if that does not work."""
    rng = np.random.default_rng(0)
    layers = [{"w": rng.standard_normal((3, 4), np.float32), "b": rng.standard_normal(3, np.float32)} for _ in range(2)]
    scored(criterion, *layers)


SLOTS = {
    "criterion": Slot(
        "given the initial and the trained weights of a layer (or its biases), both arrays of one shape, it returns a "
        "score for each; the highest survive pruning",
        try_criterion,
        taken=(*TREATMENTS, *CRITERIA),
    )
}


@functools.cache
def objective_of(model: Model) -> Objective:
    """Return the objective of supervised learning under a mask, which is one of the hyper-parameters."""
    on_masked = supervised(lambda hparams: masked(model, hparams["mask"]))
    return on_masked._replace(options=supervised(model).options)  # what is fast for the model is so under a mask


def network_of(protocol: Protocol) -> Model:
    """Return the dense network."""
    return tickets.model_of(protocol.model, protocol.width, protocol.data.final_seq_length, protocol.data.outputs)
