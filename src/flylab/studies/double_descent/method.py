"""Networks of growing width on several kinds of labels, and how they are trained."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
import xarray as xr
from msgspec import Meta

from flylab.base.constraints import MOST, PositiveFloat, PositiveInt
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
    labels: Literal["noisy", "strict", "random", "merged"]
    per_example_loss: Callable | None = None
    label_noise: float | None = None
    """The share of training labels that are redrawn, if it is not the data's."""
    rate: float = 1.0
    """The learning rate, in units of the protocol's."""


TreatmentName = Literal["mlp-noise", "mlp-clean", "cnn-noise", "mlp-mse", "mlp-noise-5", "mlp-noise-10", "mlp-noise-30",
                        "mlp-strict", "random-nll", "random-mse", "merged-nll", "merged-mse", "random-nll-fast",
                        "random-mse-fast"]  # fmt: skip
TREATMENTS = {
    "mlp-noise": Treatment("MLP, label noise", MLP, "noisy"),
    "mlp-clean": Treatment("MLP, no label noise", MLP, "noisy", label_noise=0.0),
    "cnn-noise": Treatment("CNN, label noise", CNN, "noisy"),
    "mlp-mse": Treatment("MLP, label noise, squared error", MLP, "noisy", squared_error),
    "mlp-noise-5": Treatment("MLP, 5 % label noise", MLP, "noisy", label_noise=0.05),
    "mlp-noise-10": Treatment("MLP, 10 % label noise", MLP, "noisy", label_noise=0.1),
    "mlp-noise-30": Treatment("MLP, 30 % label noise", MLP, "noisy", label_noise=0.3),
    "mlp-strict": Treatment("MLP, label noise without repeats", MLP, "strict"),
    "random-nll": Treatment("cross-entropy, random labels", MLP, "random"),
    "random-mse": Treatment("squared error, random labels", MLP, "random", squared_error),
    "merged-nll": Treatment("cross-entropy, merged classes", MLP, "merged"),
    "merged-mse": Treatment("squared error, merged classes", MLP, "merged", squared_error),
    "random-nll-fast": Treatment("cross-entropy, random labels, 3 × the rate", MLP, "random", rate=3.0),
    "random-mse-fast": Treatment("squared error, random labels, 3 × the rate", MLP, "random", squared_error, rate=3.0),
}
CURVES, THRESHOLDS, FAST = (get_args(TreatmentName)[part] for part in (slice(8), slice(8, 12), slice(12, None)))
DOSES = {0: "mlp-clean", 5: "mlp-noise-5", 10: "mlp-noise-10", 15: "mlp-noise", 30: "mlp-noise-30"}  # in percent


def with_labels(data: MNIST1D, labels: str, n_outputs: int, label_noise: float | None = None) -> MNIST1D:
    """Return the data's config with labels of one kind.

    "merged" classes are the ten templates with the labels 0 … n_outputs − 1 in turn: signals and the number of wrong
    labels do not depend on the number of classes. (To read two classes by more outputs would not do: all outputs but
    two then learn a constant, which takes no parameters, so that a threshold at n·K is ruled out by construction.)
    """
    if label_noise is not None:
        data = replace(data, label_noise=label_noise)
    if labels == "random":
        return replace(data, label_noise=0.0, random_labels=n_outputs)
    if labels == "merged":
        labels_of = tuple(row % n_outputs for row in range(data.n_classes))
        # redrawing with repeats would make fewer labels wrong, the fewer classes there are
        return replace(data, templates=replace(data.patterns, y=labels_of), classes=None, label_noise_repeats=False)
    return replace(data, label_noise_repeats=False) if labels == "strict" else data


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The notebook's protocol, on fresh data per seed: SGD with momentum, batches reshuffled in each epoch."""

    n_seeds: NSeeds = 6
    """Seeds: independent repetitions."""
    treatments: tuple[TreatmentName, ...] = tuple(name for name in get_args(TreatmentName) if name != "mlp-strict")
    """Networks, labels and losses to compare; mlp-strict, where a noisy label is never the true one, is left out."""
    widths: tuple[PositiveInt, ...] = WIDTHS
    """Hidden units of the MLPs."""
    channels: tuple[PositiveInt, ...] = CHANNELS
    """Channels of the CNNs."""
    sample_sizes: tuple[PositiveInt, ...] = (500, 1000, 2000, 8000)
    """Further training-set sizes for mlp-noise and mlp-noise-30."""
    sample_widths: tuple[PositiveInt, ...] = (16, 27, 47)
    """Hidden units of the MLPs at those sizes."""
    threshold_sizes: tuple[PositiveInt, ...] = (250, 500, 1000)
    """Training-set sizes for random-* and merged-*, with the largest number of outputs."""
    threshold_outputs: tuple[Annotated[int, Meta(ge=2, le=MOST)], ...] = (2, 5, 10)
    """Numbers of outputs for random-* and merged-*, with the middle training-set size."""
    threshold_ratios: tuple[PositiveFloat, ...] = tuple(round(0.3 * 1.25**i, 2) for i in range(10))
    """Parameters of the MLPs for *-nll, in units of the n·log₂K bits of random labels; for *-mse 1.8 times as many."""
    n_epochs: PositiveInt = 500
    """Epochs of `n_train` examples; networks on other training-set sizes train for as many steps."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-2
    """SGD's learning rate."""
    momentum: float = 0.9
    """SGD's momentum."""
    n_evaluations: PositiveInt = 18
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
    """Return treatments × widths, at each treatment's training-set sizes and numbers of outputs."""
    usual = (protocol.data.n_train, protocol.data.outputs)
    designs = []
    for treatment in protocol.treatments:
        if treatment in CURVES:
            is_cnn = TREATMENTS[treatment].network is CNN
            designs += itertools.product([treatment], [usual], protocol.channels if is_cnn else protocol.widths)
            if treatment in ("mlp-noise", "mlp-noise-30"):
                others = [(n, usual[1]) for n in protocol.sample_sizes if n != usual[0]]
                designs += itertools.product([treatment], others, protocol.sample_widths)
        elif protocol.threshold_sizes and protocol.threshold_outputs:
            centre, sizes = _threshold_sizes(protocol)
            for size in [centre] if treatment in FAST else sizes:
                designs += itertools.product([treatment], [size], _threshold_widths(protocol, treatment, *size))
    return [{"treatment": treatment, "n_train": n_train, "n_outputs": n_outputs, "width": width}
            for treatment, (n_train, n_outputs), width in designs]  # fmt: skip


def _threshold_sizes(protocol: Protocol) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Return the central pair of examples and outputs, and all pairs in which one of them is the central one."""
    centre = sorted(protocol.threshold_sizes)[len(protocol.threshold_sizes) // 2], max(protocol.threshold_outputs)
    pairs = itertools.product(protocol.threshold_sizes, protocol.threshold_outputs)
    return centre, [pair for pair in pairs if pair[0] == centre[0] or pair[1] == centre[1]]


def _threshold_widths(protocol: Protocol, treatment: str, n_train: int, n_outputs: int) -> list[int]:
    """Return the widths at which the MLP has nearest to each ratio's number of parameters, without repeats."""
    scale = 1.8 if TREATMENTS[treatment].per_example_loss is squared_error else 1.0  # where its thresholds lie
    n_params = scale * n_train * np.log2(n_outputs) * np.array(protocol.threshold_ratios)
    half = (protocol.data.final_seq_length + 2 + n_outputs) / 2  # it has w² + 2·half·w + n_outputs parameters
    widths = np.sqrt(half**2 + np.maximum(n_params - n_outputs, 0)) - half
    return np.unique(np.maximum(widths.round().astype(int), 1)).tolist()


def _network(protocol: Protocol, treatment: str, n_outputs: int, width: int) -> Model:
    return TREATMENTS[treatment].network.build(width, n_outputs, protocol.data.final_seq_length)


def training(protocol: Protocol, treatment: str, n_train: int, n_outputs: int, width: int) -> Training:
    """Train one network per seed by its bucket's program."""
    trained = TREATMENTS[treatment]
    config = replace(with_labels(protocol.data, trained.labels, n_outputs, trained.label_noise), n_train=n_train)
    bucket = next((bucket for bucket in trained.network.buckets if width <= bucket), width)
    network, wide = (_network(protocol, treatment, n_outputs, n) for n in (width, bucket))
    steps = np.geomspace(protocol.epoch, protocol.n_steps, protocol.n_evaluations).round().astype(int)
    plan = Plan(protocol.n_steps, protocol.batch_size, tuple(steps.tolist()), shuffle=True, optimizer="sgd")
    return Training(
        wide, fresh(config) if protocol.fresh_data else config, plan,
        {"learning_rate": protocol.learning_rate * trained.rate, "momentum": protocol.momentum},
        functools.partial(supervised, per_example_loss=trained.per_example_loss),
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
