"""Plain training of one network, without claims: for `flylab run train` and for sweeps."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import xarray as xr
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, published
from flylab.models import Model, get_model, list_models, model_sizes
from flylab.models.flops import training_cost
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import plus_minus
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """One network on one data set; by default the published MLP, as `architectures` trains it."""

    model: str = "mlp"
    """The network: logistic, mlp, cnn, gru, or another registered one."""
    width: PositiveInt | None = None
    """Hidden units, or channels; by default the published number. Logistic regression has none."""
    n_steps: PositiveInt = 6000
    """Optimiser steps."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-2
    """The optimiser's learning rate."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The optimiser: Adam, or gradient descent."""
    shuffle: bool = False
    """Draw a new order of the examples in each epoch."""
    eval_every: PositiveInt = 250
    """Steps between evaluations."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """The data set, shared by all seeds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.model in list_models(), "model", f"one of {', '.join(list_models())}")


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return the only condition."""
    return [{"model": protocol.model}]


def _network(protocol: Protocol) -> Model:
    size = {} if protocol.width is None or "width" not in model_sizes(protocol.model) else {"width": protocol.width}
    return get_model(protocol.model, protocol.data.final_seq_length, protocol.data.outputs, **size)


def _plan(protocol: Protocol) -> Plan:
    return Plan(protocol.n_steps, protocol.batch_size, protocol.eval_every, protocol.shuffle, protocol.optimizer)


_splits = functools.lru_cache(maxsize=4)(published)  # successive points of a sweep often share the data


def resources(protocol: Protocol, condition: Condition) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network."""
    data, n_evaluations = protocol.data, len(_plan(protocol).evaluated)
    sizes = (protocol.n_steps, protocol.batch_size, n_evaluations, data.n_train + data.n_valid + data.n_test)
    return training_cost(_network(protocol), (data.final_seq_length,), *sizes)


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
    objective, data = supervised(_network(protocol)), _splits(protocol.data)
    grid = {"learning_rate": [protocol.learning_rate], "seed": seeds}
    population = train_members(objective, data, _plan(protocol), grid, key=key, progress=progress)
    return population.results.squeeze("learning_rate", drop=True)


def table(results: xr.Dataset) -> Table:
    """Return the accuracies after the last step."""
    rows = []
    for model in results.model.values:
        last = results.sel(model=model).isel(step=-1)
        names = (f"{part}_accuracy" for part in ("train", "valid", "test"))
        rows.append([str(model), *(plus_minus(last[name]) if name in last else "–" for name in names)])
    return Table("Accuracy after the last step (%)", ["network", "training", "validation", "test"], rows)


def figure(results: xr.Dataset) -> Figure:
    """Plot training and test accuracy against steps."""
    with style():
        drawn = Figure(figsize=(6, 4))
        ax = drawn.subplots()
        for name, label, colour in (("train", "training", COLOURS[1]), ("test", "test", COLOURS[0])):
            band(ax, results[f"{name}_accuracy"].isel(model=0), label=label, color=colour)
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
