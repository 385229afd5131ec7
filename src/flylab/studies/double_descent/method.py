"""Networks of growing width on several kinds of labels, and how they are trained."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import xarray as xr

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, fresh
from flylab.models import Model, convolutional, dense, n_params
from flylab.models.padding import padded
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.protocol import NSeeds
from flylab.training.objectives import squared_error, supervised
from flylab.training.step import Plan
from flylab.training.training import Training

WIDTHS = tuple(np.unique(np.geomspace(2, 300, 20, dtype=int)).tolist())
CHANNELS = (*range(2, 30, 2), *range(30, 101, 5))


def _mlp(width: int, n_outputs: int, length: int) -> Model:
    return dense.mlp(length, n_outputs, width, residual=False)


def _cnn(width: int, n_outputs: int, length: int) -> Model:
    return convolutional.cnn(length, n_outputs, width)


class Network(NamedTuple):
    """A network by width, outputs and length; each width up to the last bucket shares the next bucket's program."""

    build: Callable[[int, int, int], Model]
    buckets: tuple[int, ...]


MLP = Network(_mlp, (8, 16, 32, 64, 112))
CNN = Network(_cnn, (8, 12, 16, 20, 24, 28, 32))


class Treatment(NamedTuple):
    """Networks of growing width on one kind of labels, see `with_labels`."""

    title: str
    network: Network
    labels: Literal["noisy", "clean", "strict", "random", "two-class"]
    per_example_loss: Callable | None = None


TreatmentName = Literal["mlp-noise", "mlp-clean", "mlp-strict", "cnn-noise", "random-nll", "two-class-nll",
                        "random-mse", "two-class-mse"]  # fmt: skip
TREATMENTS = {
    "mlp-noise": Treatment("MLP, label noise", MLP, "noisy"),
    "mlp-clean": Treatment("MLP, no label noise", MLP, "clean"),
    "mlp-strict": Treatment("MLP, label noise without repeats", MLP, "strict"),
    "cnn-noise": Treatment("CNN, label noise", CNN, "noisy"),
    "random-nll": Treatment("cross-entropy, random labels", MLP, "random"),
    "two-class-nll": Treatment("cross-entropy, two classes", MLP, "two-class"),
    "random-mse": Treatment("squared error, random labels", MLP, "random", squared_error),
    "two-class-mse": Treatment("squared error, two classes", MLP, "two-class", squared_error),
}
CURVES, THRESHOLDS = get_args(TreatmentName)[:4], get_args(TreatmentName)[4:]


def with_labels(data: MNIST1D, labels: str, n_outputs: int) -> MNIST1D:
    """Return the data's config with labels of one kind."""
    changes = {
        "noisy": {}, "clean": {"label_noise": 0.0}, "strict": {"label_noise_repeats": False},
        "random": {"label_noise": 0.0, "random_labels": n_outputs},
        # redrawing with repeats would halve the noise on two labels
        "two-class": {"classes": (0, 1), "n_outputs": n_outputs, "label_noise_repeats": False},
    }  # fmt: skip
    return replace(data, **changes[labels])


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The notebook's protocol, on fresh data per seed: SGD with momentum, batches reshuffled in each epoch."""

    n_seeds: NSeeds = 6
    """Seeds: independent repetitions."""
    treatments: tuple[TreatmentName, ...] = CURVES
    """Networks, labels and losses to compare."""
    widths: tuple[PositiveInt, ...] = WIDTHS
    """Hidden units of the MLPs."""
    channels: tuple[PositiveInt, ...] = CHANNELS
    """Channels of the CNNs."""
    sample_sizes: tuple[PositiveInt, ...] = ()
    """Further training-set sizes for mlp-noise."""
    sample_widths: tuple[PositiveInt, ...] = (21, 27, 36, 47, 61, 80)
    """Hidden units of the MLPs at those sizes."""
    threshold_sizes: tuple[PositiveInt, ...] = (500, 1000, 2000, 4000)
    """Training-set sizes for random-* and two-class-*."""
    threshold_outputs: tuple[PositiveInt, ...] = (2, 5, 10)
    """Numbers of outputs for random-* and two-class-*."""
    n_epochs: PositiveInt = 500
    """Epochs of `n_train` examples; networks on other training-set sizes train for as many steps."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-2
    """SGD's learning rate."""
    momentum: float = 0.9
    """SGD's momentum."""
    n_evaluations: PositiveInt = 24
    """Evaluations, at steps in a geometric series from the end of the first epoch."""
    fresh_data: bool = True
    """Use a new data set per seed (generator seed 1000 + 2·seed); else all seeds share one data set and label noise."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_valid=0, n_test=12000, label_noise=0.15))
    """The data set."""

    @property
    def n_steps(self) -> int:
        """Optimiser steps of each network."""
        return self.n_epochs * self.epoch

    @property
    def epoch(self) -> int:
        """Optimiser steps of an epoch of `n_train` examples."""
        return max(self.data.n_train // self.batch_size, 1)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return treatments × training-set sizes × outputs × widths."""
    n_train, n_outputs = protocol.data.n_train, protocol.data.outputs
    designs = []
    for treatment in protocol.treatments:
        is_threshold, is_cnn = treatment in THRESHOLDS, TREATMENTS[treatment].network is CNN
        sizes = (protocol.threshold_sizes, protocol.threshold_outputs) if is_threshold else ([n_train], [n_outputs])
        designs += itertools.product([treatment], *sizes, protocol.channels if is_cnn else protocol.widths)
        if treatment == "mlp-noise":
            other_sizes = [n for n in protocol.sample_sizes if n != n_train]
            designs += itertools.product([treatment], other_sizes, [n_outputs], protocol.sample_widths)
    return [dict(zip(("treatment", "n_train", "n_outputs", "width"), design, strict=True)) for design in designs]


def _network(protocol: Protocol, treatment: str, n_outputs: int, width: int) -> Model:
    return TREATMENTS[treatment].network.build(width, n_outputs, protocol.data.final_seq_length)


def training(protocol: Protocol, treatment: str, n_train: int, n_outputs: int, width: int) -> Training:
    """Train one network per seed by its bucket's program."""
    labels, buckets = TREATMENTS[treatment].labels, TREATMENTS[treatment].network.buckets
    config = replace(with_labels(protocol.data, labels, n_outputs), n_train=n_train)
    bucket = next((bucket for bucket in buckets if width <= bucket), width)
    network, wide = (_network(protocol, treatment, n_outputs, n) for n in (width, bucket))
    steps = np.geomspace(protocol.epoch, protocol.n_steps, protocol.n_evaluations).round().astype(int)
    plan = Plan(protocol.n_steps, protocol.batch_size, tuple(steps.tolist()), shuffle=True, optimizer="sgd")
    return Training(
        wide, fresh(config) if protocol.fresh_data else config, plan,
        {"learning_rate": protocol.learning_rate, "momentum": protocol.momentum},
        functools.partial(supervised, per_example_loss=TREATMENTS[treatment].per_example_loss),
        padded(network, wide).init,
    )  # fmt: skip


def n_steps(protocol: Protocol, **condition: Any) -> int:
    """Return the optimiser steps of one seed, without making the plan, which lists all evaluations."""
    return protocol.n_steps


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Return errors and losses along the way."""
    history = context.train(training(protocol, **condition)).results
    results = {f"{name}_error": 100 - history[f"{name}_accuracy"] for name in ("train", "test")}
    results |= {name: history[name] for name in ("train_loss", "test_loss")}
    network = _network(protocol, condition["treatment"], condition["n_outputs"], condition["width"])
    sizes = np.full(len(context.seeds), n_params(network), np.float32)
    return xr.Dataset(results).assign(n_params=("seed", sizes))
