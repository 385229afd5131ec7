"""What is metalearned and tested, and what it costs."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import optax
from msgspec import Meta

from flylab.base.constraints import NonNegativeFloat, PositiveFloat, PositiveInt
from flylab.data import MNIST1D
from flylab.models import Model, activations, dense
from flylab.models.flops import METAGRADIENT
from flylab.study import BaseProtocol, Condition
from flylab.study.protocol import NSeeds
from flylab.training.step import Plan
from flylab.training.training import Training

USUAL = tuple(activations.ALL)
RATES = (2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1)


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol, with a data set and initial weights for each seed."""

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    n_outer_steps: PositiveInt = 301
    """Steps of gradient descent on the activation's weights."""
    outer_rate: PositiveFloat = 0.3
    """Learning rate of the outer gradient descent."""
    clip: PositiveFloat = 0.1
    """Bound of each component of the outer gradient, which is clipped to ± this value."""
    n_steps: PositiveInt = 301
    """Inner steps: optimiser steps of each training run."""
    window: PositiveInt = 200
    """Number of last inner steps whose mean loss is the outer loss."""
    batch_size: PositiveInt = 100
    """Examples per inner step, in fixed order."""
    width: PositiveInt = 128
    """Hidden units."""
    n_units: PositiveInt = 100
    """Hidden units of the activation's network."""
    noise: NonNegativeFloat = 0.1
    """Bound of the uniform noise on the hidden units of both networks, drawn once per forward pass, also in tests."""
    learning_rate: PositiveFloat = 1e-2
    """Learning rate of the inner optimiser, RMSProp."""
    decay: Annotated[float, Meta(ge=0, lt=1)] = 0.4
    """Decay of RMSProp's second moment, which starts at 1."""
    rates: Annotated[tuple[PositiveFloat, ...], Meta(min_length=1)] = RATES
    """Learning rates from which each usual function's best is chosen by validation accuracy."""
    n_tests: PositiveInt = 3
    """Networks to test for each seed and function, each on unseen data of its own."""
    fresh_start: bool = False
    """Draw new initial weights in each outer step (the fairer test); by default each seed keeps its initial weights."""
    fresh_noise: bool = True
    """Draw new noise in each outer step; the notebook, which sets one seed before every inner run, reuses its noise."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_train=8000, n_valid=500, n_test=500))
    """The data set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.window <= self.n_steps, "window", f"at most n_steps={self.n_steps}, the inner steps")
        if self.data.n_valid < 1:
            raise ValueError("n_valid=0 must be ≥ 1: the usual functions' rates are chosen on the validation set")

    @property
    def all_rates(self) -> tuple[float, ...]:
        """The learning rates to test, in ascending order: `rates` and the published one."""
        return tuple(sorted({*self.rates, self.learning_rate}))

    @property
    def stages(self) -> tuple[int, ...]:
        """Outer steps after which the function is saved."""
        return tuple(sorted({0, self.n_outer_steps // 10, self.n_outer_steps // 3, self.n_outer_steps}))

    def plan(self, n_evaluations: int = 1) -> Plan:
        """Return the plan of an inner run."""
        every, optimizer = -(-self.n_steps // n_evaluations), _rms(self.decay)
        return Plan(self.n_steps, self.batch_size, every, optimizer=optimizer, record_loss=n_evaluations > 1)


@functools.cache
def _rms(decay: float) -> Callable:
    return lambda hparams: optax.rmsprop(hparams["learning_rate"], decay=decay, eps=1e-8, initial_scale=1.0)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return one condition per activation: the learned one, the authors' and the usual ones."""
    return [{"activation": name} for name in ("learned", "authors", *USUAL)]


def rates_of(protocol: Protocol, activation: str) -> tuple[float, ...]:
    """Return the learning rates to test an activation at: for learned ones that which they were learned at."""
    return protocol.all_rates if activation in USUAL else (protocol.learning_rate,)


def n_steps(protocol: Protocol, activation: str) -> int:
    """Return the inner steps of one seed, tests included."""
    if activation == "learned":
        return protocol.n_steps * (protocol.n_outer_steps + protocol.n_tests)
    return protocol.n_steps * protocol.n_tests * len(rates_of(protocol, activation))


def resources(protocol: Protocol, activation: str) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network."""
    n = n_steps(protocol, activation)
    if activation == "learned":
        n += round((METAGRADIENT - 1) * protocol.n_steps * protocol.n_outer_steps)
    return Training(network(protocol), protocol.data, Plan(n, protocol.batch_size, n)).resources


def network(protocol: Protocol) -> Model:
    """Return the inner network: one hidden layer."""
    return dense.shallow(protocol.data.final_seq_length, protocol.data.outputs, protocol.width)
