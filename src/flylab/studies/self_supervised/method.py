"""Networks that learn without labels, and how their layers are probed."""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, get_args

import jax
import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, Dataset, Splits, fresh, shared
from flylab.data.views import view
from flylab.models import Model, convolutional
from flylab.studies.self_supervised.probes import maps, probe
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.protocol import NSeeds
from flylab.training.objectives import contrastive, info_nce, vicreg
from flylab.training.step import Plan
from flylab.training.training import Training

OBJECTIVES = {"simclr": info_nce, "vicreg": vicreg}
HeadName = Literal["default", "none", "deep"]
# hidden layers between the last convolution and the outputs; without a head the last convolution is the output
HEADS: dict[str, tuple[int, ...] | None] = {"default": (125,), "none": None, "deep": (125, 125, 125)}


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The notebook's protocol: Adam, batches of 100 reshuffled in each epoch, 200 epochs.

    Seeds share the published data set, so intervals cover initialisation, batches and views only, unless `fresh_data`.
    """

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    objectives: tuple[Literal["simclr", "vicreg"], ...] = ("simclr",)
    """Self-supervised objectives."""
    heads: tuple[HeadName, ...] = get_args(HeadName)
    """Layers after the last convolution: 125-16, none at all, or 125-125-125-16."""
    on: tuple[Literal["train", "all"], ...] = ("train",)
    """Signals to learn from: train, as in the notebook, or all, which adds the test signals, as in the paper's text."""
    n_epochs: PositiveInt = 200
    """Passes over the signals to learn from."""
    batch_size: PositiveInt = 100
    """Signals per step, each in two views."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate."""
    embedding_size: PositiveInt = 16
    """Outputs of a head."""
    fresh_data: bool = False
    """Use a new data set for each seed (generator seed 1000 + 2·seed) instead of the published one."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_valid=0))
    """The data set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least = self.data.outputs
        self._require(self.embedding_size >= least, "embedding_size", f"an integer ≥ {least}, one output per class")


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return objectives × signals × heads; only SimCLR learns from all choices of signals, the rest from the first."""
    return [
        {"objective": objective, "on": on, "head": head}
        for objective in protocol.objectives
        for on in (protocol.on if objective == "simclr" else protocol.on[:1])
        for head in protocol.heads
    ]


def training(protocol: Protocol, objective: str, on: str, head: str) -> Training:
    """Train one network per seed without labels."""
    n = protocol.data.n_train + (protocol.data.n_test if on == "all" else 0)
    n_steps = protocol.n_epochs * max(n // protocol.batch_size, 1)
    plan = Plan(n_steps, protocol.batch_size, n_steps, shuffle=True, record_loss=True)
    data, hparams = functools.partial(signals, protocol, on), {"learning_rate": protocol.learning_rate}
    objective_of = functools.partial(contrastive, view=view, criterion=OBJECTIVES[objective])
    return Training(network(protocol, head), data, plan, hparams, objective_of)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train the networks and probe their layers; map seed 0 of the default head by t-SNE."""
    population, seeds = context.train(training(protocol, **condition)), context.seeds
    loss = population.results["loss"].values.reshape(len(seeds), protocol.n_epochs, -1).mean(-1)
    all_params = [jax.tree.map(lambda leaf, i=i: leaf[i], population.params) for i in range(len(seeds))]
    # one thread per seed and none within, as the order of sums changes their last bits
    with threadpool_limits(1), ThreadPoolExecutor(len(jax.devices())) as pool:
        probes = pool.map(lambda seed, params: probe(splits_of(protocol, seed), params), seeds, all_params)
        linear, neighbour = np.array(list(probes), np.float32).swapaxes(0, 1)
        results = xr.Dataset(
            {
                "contrastive_loss": (("seed", "epoch"), loss.astype(np.float32)),
                "linear_accuracy": (("seed", "layer"), linear),
                "neighbour_accuracy": (("seed", "layer"), neighbour),
            },
            {"seed": list(seeds), "epoch": range(1, protocol.n_epochs + 1), "layer": range(linear.shape[1])},
        )
        if condition["head"] == "default":
            data = functools.partial(splits_of, protocol)
            results = results.merge(maps(network(protocol, "default"), data, seeds, all_params, context.key))
    return results


def network(protocol: Protocol, head: str) -> Model:
    """Return the published CNN with a head in place of its linear layer."""
    length, hidden = protocol.data.final_seq_length, HEADS[head]
    if hidden is None:
        return convolutional.backbone(length)
    return convolutional.cnn(length=length, n_outputs=protocol.embedding_size, hidden=hidden)


def splits_of(protocol: Protocol, seed: int) -> Splits:
    """Return a seed's data."""
    return fresh(protocol.data)(seed) if protocol.fresh_data else shared(protocol.data)


def signals(protocol: Protocol, on: str, seed: int) -> Splits:
    """Return the splits with the signals to learn from as the training set."""
    splits = splits_of(protocol, seed)
    if on == "train":
        return splits
    return splits._replace(train=Dataset(*map(np.concatenate, zip(splits.train, splits.test, strict=True))))
