"""Contests: optimisers, losses, regularisers or activations compared fairly, as one kind of study.

Each contestant trains the same networks on the same data from the same initial weights. Its hyper-parameters are tuned
for each seed by equally many trials on validation data (`training/tuning.py`), and it is trained again with the best.
A study says what its contestants are and how a network trains with each (`Fit`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import xarray as xr
from msgspec import Meta

from flylab.base.constraints import PositiveInt, refusal
from flylab.data import MNIST1D, fresh
from flylab.data.arrangements import shuffled
from flylab.models.registry import get_model
from flylab.study.context import Context
from flylab.study.protocol import BaseProtocol, NSeeds, Published
from flylab.study.study import Condition
from flylab.training.step import Plan
from flylab.training.training import Training
from flylab.training.tuning import Fit, tuned

Task = Literal["plain", "noise", "few", "shuffled"]
NTrials = Annotated[int, Meta(ge=1, le=1000)]
N_FEW, NOISE = 500, 0.15
RATE = {"learning_rate": 1e-2}  # of the trainings by which costs are estimated


@dataclass(frozen=True)
class ContestProtocol(BaseProtocol):
    """The protocol of a contest: data of its own for each seed, a new order of the examples in each epoch."""

    n_seeds: NSeeds = 20
    """Seeds: independent repetitions of tuning and training, each with data and initial weights of its own."""
    models: tuple[Published, ...] = ("mlp", "cnn")
    """Networks to train: logistic, mlp, cnn, gru."""
    tasks: tuple[Task, ...] = ("plain",)
    """Data: plain, noise (15 % of the training labels redrawn), few (500 training examples), shuffled (positions)."""
    n_trials: NTrials = 9
    """Values of the hyper-parameters that each contestant may try, for each seed."""
    n_tuning_seeds: NTrials = 1
    """Trainings of each trial, of which the mean validation accuracy counts."""
    n_steps: PositiveInt = 2000
    """Optimiser steps of every training."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    eval_every: PositiveInt = 100
    """Steps between evaluations."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D; its `n_valid` examples choose the hyper-parameters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data.n_valid:
            raise refusal("n_valid", 0, "an integer ≥ 1, since validation data choose the hyper-parameters")

    @property
    def plan(self) -> Plan:
        """The plan of every training."""
        return Plan(self.n_steps, self.batch_size, self.eval_every, shuffle=True)


def config_of(protocol: ContestProtocol, task: str) -> MNIST1D:
    """Return the data set of a task."""
    config = protocol.data
    if task == "noise":
        return replace(config, label_noise=NOISE)
    if task == "few":
        return replace(config, n_train=min(N_FEW, config.n_train))
    return replace(config, permutation=shuffled(config.final_seq_length)) if task == "shuffled" else config


def contest(kind: str, contestants: str, fit: Callable[..., Fit]) -> tuple[Callable, Callable, Callable]:
    """Return `conditions`, `training` and `run` of a study that is a contest.

    Args:
        kind: what is compared, the axis of the results: "optimizer".
        contestants: the protocol's field that lists them: "optimizers".
        fit: (protocol, network's name, contestant) → how it trains. A contestant is its name, or a user's function.
    """

    def conditions(protocol: Any) -> list[Condition]:
        return [
            {"model": model, "task": task, kind: contestant}
            for model in protocol.models for task in protocol.tasks for contestant in getattr(protocol, contestants)
        ]  # fmt: skip

    def training(protocol: Any, model: str, task: str, **_: Any) -> list[Training]:
        config = config_of(protocol, task)
        network = get_model(model, config.final_seq_length, config.outputs)
        final = Training(network, config, protocol.plan, RATE)
        rates = {"learning_rate": [1e-2] * (protocol.n_trials * protocol.n_tuning_seeds)}
        return [replace(final, plan=replace(protocol.plan, eval_every=protocol.n_steps), hparams=rates), final]

    def run(protocol: Any, condition: Condition, context: Context) -> xr.Dataset:
        results = tuned(
            fit(protocol, condition["model"], condition[kind]), fresh(config_of(protocol, condition["task"])),
            protocol.plan, context.seeds, n_trials=protocol.n_trials, n_tuning_seeds=protocol.n_tuning_seeds,
            key=context.key, progress=context.progress,
        )  # fmt: skip
        return results.drop_vars(["prediction", "example"], errors="ignore")

    return conditions, training, run
