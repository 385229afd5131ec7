"""What is trained: every method on every data set, tuned by equally many trials."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import optax
import xarray as xr

from flylab.base.constraints import PositiveInt, refusal
from flylab.data import MNIST1D, Dataset, Images, Splits, load_images, shared
from flylab.models.dense import mlp
from flylab.models.flops import forward_flops
from flylab.studies.regularisation.networks import objective_of
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.contest import NTrials
from flylab.training.step import Plan
from flylab.training.training import Training
from flylab.training.tuning import Fit, Ranges, fit_of, tuned

RATES: Ranges = {"learning_rate": (1e-4, 3e-2)}
DatasetName = Literal["mnist1d", "digits", "mnist", "fashion_mnist"]


class Method(NamedTuple):
    """A regulariser: its name in figures, and the range of its strength, if it has one."""

    title: str
    strengths: tuple[float, float] | None = None


METHODS = {
    "none": Method("none"),
    "weight_decay": Method("weight decay", (1e-2, 10.0)),
    "dropout": Method("dropout", (0.05, 0.6)),
    "batch_norm": Method("batch normalisation"),
    "label_smoothing": Method("label smoothing", (0.01, 0.4)),
    "mixup": Method("mixup", (0.05, 1.0)),
    "early_stopping": Method("early stopping"),
    "augmentation": Method("shifted examples", (0.02, 0.2)),
}
TITLES = {name: method.title for name, method in METHODS.items()}
Name = Literal["none", "weight_decay", "dropout", "batch_norm", "label_smoothing", "mixup", "early_stopping",
               "augmentation"]  # fmt: skip
N_STOPS = 10  # evaluations among which early stopping chooses in tuning


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published MLP, trained by Adam with batches reshuffled in each epoch, equally many steps on every data set.

    The strength of a method and the rate are tuned together for each seed on validation data (`training/tuning.py`).
    """

    n_seeds: PositiveInt = 20
    """Seeds: independent repetitions of tuning and training on the same data; images are divided anew by each."""
    dataset: tuple[DatasetName, ...] = ("digits",)
    """Images to compare with. MNIST-1D is always included."""
    data_dir: str | None = None
    """Folder with mnist/ and fashion_mnist/, which hold the files. By default the files are downloaded."""
    regularisers: tuple[Name, ...] = get_args(Name)
    """Regularisers to compare; "none" is always included."""
    n_trials: NTrials = 8
    """Pairs of strength and rate that each method may try, for each seed; without a strength, as many rates."""
    n_steps: PositiveInt = 4000
    """Optimiser steps of every training."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    eval_every: PositiveInt = 200
    """Steps between evaluations."""
    width: PositiveInt = 100
    """Hidden units of each of the MLP's two layers."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, all_of in (("dataset", ("mnist1d", *self.dataset)), ("regularisers", ("none", *self.regularisers))):
            known = get_args(DatasetName if name == "dataset" else Name)
            object.__setattr__(self, name, tuple(item for item in known if item in all_of))
        if not self.data.n_valid:
            raise refusal("n_valid", 0, "an integer ≥ 1, since validation data choose the hyper-parameters")

    @property
    def plan(self) -> Plan:
        """The plan of every training."""
        return Plan(self.n_steps, self.batch_size, self.eval_every, shuffle=True)

    def images(self, dataset: Any, seed: int) -> Images:
        """Return the images as a seed divides them."""
        return Images(dataset, seed=seed, data_dir=self.data_dir)


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the images by their names."""
    return {name: protocol.images(name, 0) for name in protocol.dataset if name != "mnist1d"}


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return data sets × methods."""
    return [
        {"dataset": dataset, "regulariser": method} for dataset in protocol.dataset for method in protocol.regularisers
    ]


def shape_of(protocol: Protocol, dataset: str) -> tuple[int, ...]:
    """Return the positions of a signal, or the height and width of an image."""
    if dataset == "mnist1d":
        return (protocol.data.final_seq_length,)
    return (8, 8) if dataset == "digits" else (28, 28)


def data_of(protocol: Protocol, dataset: str) -> Callable[[int], Splits]:
    """Return a data set as a function of the seed; images are flat."""
    if dataset == "mnist1d":
        return lambda seed: shared(protocol.data)
    return lambda seed: _flat(protocol.images(dataset, seed))


@functools.lru_cache(maxsize=2)  # they are large
def _flat(config: Images) -> Splits:
    splits = load_images(config)
    train, valid, test = (Dataset(part.x.reshape(len(part.x), -1), part.y) for part in splits[:3])
    return splits._replace(train=train, valid=valid, test=test)


def training(protocol: Protocol, dataset: str, regulariser: str) -> list[Training]:
    """Return the trainings of one seed for an estimate of their cost; regularisers cost little beside the products."""
    network = mlp(math.prod(shape_of(protocol, dataset)), 10, protocol.width)
    data = protocol.data if dataset == "mnist1d" else data_of(protocol, dataset)
    final = Training(network, data, protocol.plan, {"learning_rate": 1e-2})
    rates = {"learning_rate": [1e-2] * protocol.n_trials}
    return [replace(final, plan=replace(protocol.plan, eval_every=protocol.n_steps), hparams=rates), final]


def fit(protocol: Protocol, dataset: str, method: str) -> Fit:
    """Return how the MLP trains with a method."""
    strengths = METHODS[method].strengths
    ranges = RATES if strengths is None else {**RATES, "strength": strengths}
    found = fit_of(
        objective_of(method, shape_of(protocol, dataset), protocol.width),
        _decayed if method == "weight_decay" else "adam", ranges,
    )  # fmt: skip
    return _stopped(found) if method == "early_stopping" else found


def _decayed(hparams: Any) -> optax.GradientTransformation:
    return optax.adamw(hparams["learning_rate"], weight_decay=hparams["strength"])


def _stopped(fit: Fit) -> Fit:
    """Return a fit whose results at each evaluation are those of the best evaluation so far, by validation loss."""

    def train(data: Callable, plan: Plan, *args: Any) -> xr.Dataset:
        often = replace(plan, eval_every=min(plan.eval_every, math.ceil(plan.n_steps / N_STOPS)))
        results = fit.train(data, often, *args)
        loss = np.where(np.isfinite(results.valid_loss), results.valid_loss, np.inf)
        axis = results.valid_loss.get_axis_num("step")
        n = np.arange(loss.shape[axis]).reshape([-1 if i == axis else 1 for i in range(loss.ndim)])
        is_best = loss <= np.minimum.accumulate(loss, axis)
        at = np.maximum.accumulate(np.where(is_best, n, 0), axis)
        place = xr.DataArray(at, results.valid_loss.coords, results.valid_loss.dims)
        found = {name: values.isel(step=place) for name, values in results.items() if "step" in values.dims}
        kept = {name: values.drop_vars("step").assign_coords(step=results.step) for name, values in found.items()}
        return results.assign(kept).sel(step=list(plan.evaluated))

    return fit._replace(train=train)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Tune a method for each seed and train with the best trial."""
    dataset, method = condition["dataset"], condition["regulariser"]
    results = tuned(fit(protocol, dataset, method), data_of(protocol, dataset), protocol.plan, context.seeds,
                    n_trials=protocol.n_trials, key=context.key, progress=context.progress)  # fmt: skip
    shape = (math.prod(shape_of(protocol, dataset)),)
    forward = forward_flops(mlp(shape[0], 10, protocol.width), shape)
    flops = 3.0 * forward * protocol.batch_size * protocol.n_steps
    results = results.drop_vars(["prediction", "example"], errors="ignore")
    return results.assign(flops=("seed", np.full(len(context.seeds), flops)))
