"""Plain training of one network: no claims, for `flylab run train` and for sweeps over anything."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import xarray as xr
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, published
from flylab.models import Model, get_model
from flylab.models.flops import training_cost
from flylab.models.registry import PUBLISHED
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import plus_minus
from flylab.study.protocol import BaseProtocol, Published
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

NETWORKS = PUBLISHED


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """One network on one data set: by default the published MLP, as `architectures` trains it."""

    model: Published = "mlp"
    """The network."""
    width: PositiveInt | None = None
    """Hidden units, or channels; by default the published number."""
    n_steps: PositiveInt = 6000
    """Optimiser steps."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-2
    """Learning rate of the optimiser."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or gradient descent."""
    shuffle: bool = False
    """Draw a new order of the examples in each epoch."""
    eval_every: PositiveInt = 250
    """Steps between evaluations."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D, one data set for all seeds."""


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """One."""
    return [{"model": protocol.model}]


def _network(protocol: Protocol) -> Model:
    size = {} if protocol.width is None or protocol.model == "logistic" else {"width": protocol.width}
    return get_model(protocol.model, protocol.data.final_seq_length, protocol.data.outputs, **size)


_splits = functools.lru_cache(maxsize=4)(published)  # a sweep asks for the same data for many points in a row


def resources(protocol: Protocol, condition: Condition) -> tuple[int, int]:
    """FLOPs of training one seed, and bytes of its data and network."""
    data, evaluated = protocol.data, Plan(protocol.n_steps, protocol.batch_size, protocol.eval_every).evaluated
    n_examples = data.n_train + data.n_valid + data.n_test
    return training_cost(
        _network(protocol), (data.final_seq_length,), protocol.n_steps, protocol.batch_size, len(evaluated), n_examples
    )


def run(
    protocol: Protocol,
    condition: Condition,
    seeds: Sequence[int],
    *,
    key,
    artifacts=None,
    progress: Progress | None = None,
    resume=None,
) -> xr.Dataset:
    """Train the network for all seeds."""
    network = _network(protocol)
    plan = Plan(protocol.n_steps, protocol.batch_size, protocol.eval_every, protocol.shuffle, protocol.optimizer)
    grid = {"learning_rate": [protocol.learning_rate], "seed": seeds}
    population = train_members(supervised(network), _splits(protocol.data), plan, grid, key=key, progress=progress)
    return population.results.squeeze("learning_rate", drop=True)


def table(results: xr.Dataset) -> Table:
    """Accuracies after the last step."""
    rows = []
    for model in results.model.values:
        last = results.sel(model=model).isel(step=-1)
        names = [f"{on}_accuracy" for on in ("train", "valid", "test")]
        found = (plus_minus(last[name].values) if name in last else "–" for name in names)
        rows.append([str(model), *found])
    return Table("Accuracy after the last step (%)", ["network", "training", "validation", "test"], rows)


def figure(results: xr.Dataset) -> Figure:
    """Training and test accuracy against steps."""
    with style():
        drawn = Figure(figsize=(6, 4))
        ax = drawn.subplots()
        for on, colour in (("train", COLOURS[1]), ("test", COLOURS[0])):
            curve = results[f"{on}_accuracy"].isel(model=0)
            band(ax, curve, label={"train": "training", "test": "test"}[on], color=colour)
        ax.set(ylabel="accuracy (%)", title=str(results.model.values[0]))
        ax.legend(loc="lower right")
    return drawn


STUDY = Study(
    question="How well does one network learn one data set?",
    presets={
        "smoke": Protocol(n_seeds=2, n_steps=100, eval_every=50),
        "quick": Protocol(),
        "paper": Protocol(n_seeds=30),
    },
    conditions=conditions,
    run=run,
    claims=(),
    figure=figure,
    table=table,
    resources=resources,
    n_steps=lambda protocol, condition: protocol.n_steps,
    minutes={"smoke": 0.1, "quick": 0.3, "paper": 0.8},
)
