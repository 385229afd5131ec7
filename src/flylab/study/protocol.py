"""`BaseProtocol`: the fields that the protocols of all studies have; `SupervisedProtocol`: those of plain training."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from flylab.base.constraints import Checked, PositiveFloat, PositiveInt
from flylab.training.step import Plan

MOST_SEEDS = 10**7
NSeeds = Annotated[int, Meta(ge=1, le=MOST_SEEDS)]
Published = Literal["logistic", "mlp", "cnn", "gru"]  # `models.registry.PUBLISHED`


@dataclass(frozen=True)
class BaseProtocol(Checked):
    """A study's protocol: its fields are checked by their annotations, see `flylab.base.constraints`."""

    n_seeds: NSeeds = 10
    """Seeds: independent repetitions."""


@dataclass(frozen=True)
class SupervisedProtocol(BaseProtocol):
    """The protocol of plain training, by default the published one: Adam, batches in fixed order."""

    n_steps: PositiveInt = 6000
    """Optimiser steps."""
    batch_size: PositiveInt = 100
    """Examples per step, taken in fixed order."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate."""
    eval_every: PositiveInt = 250
    """Steps between evaluations."""

    @property
    def plan(self) -> Plan:
        """The plan of training."""
        return Plan(self.n_steps, self.batch_size, self.eval_every)

    @property
    def hparams(self) -> dict[str, float]:
        """The hyper-parameters of training."""
        return {"learning_rate": self.learning_rate}
