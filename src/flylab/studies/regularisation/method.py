"""What is trained: the MLP under every regulariser on every data set, tuned by equally many trials."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import optax
import xarray as xr

from flylab.base.constraints import PositiveInt, refusal
from flylab.data import MNIST1D, Images, Splits, fresh, load_images
from flylab.data.images.flat import flat
from flylab.models.dense import mlp
from flylab.models.flops import forward_flops, training_cost
from flylab.studies.regularisation.networks import objective_of
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.contest import NTrials
from flylab.training.step import Plan
from flylab.training.tuning import Fit, fit_of, tuned


class Regulariser(NamedTuple):
    """A regulariser: its name in figures, and the range of its strength, if it has one."""

    title: str
    strengths: tuple[float, float] | None = None


Name = Literal["none", "weight_decay", "dropout", "batch_norm", "label_smoothing", "mixup", "early_stopping",
               "augmentation"]  # fmt: skip
REGULARISERS: dict[Name, Regulariser] = {
    "none": Regulariser("none"),
    "weight_decay": Regulariser("weight decay", (1e-2, 10.0)),
    "dropout": Regulariser("dropout", (0.05, 0.6)),
    "batch_norm": Regulariser("batch normalisation"),
    "label_smoothing": Regulariser("label smoothing", (0.01, 0.4)),
    "mixup": Regulariser("mixup", (0.05, 1.0)),
    "early_stopping": Regulariser("early stopping"),
    "augmentation": Regulariser("shifted examples", (0.02, 0.2)),
}
RATES = (1e-4, 3e-2)
DatasetName = Literal["mnist1d", "digits", "mnist"]
SHAPES, N_EXAMPLES = {"digits": (8, 8), "mnist": (28, 28)}, {"digits": 1797, "mnist": 70_000}
N_TRAIN_EVALUATED = 1000  # evaluating all training images would take as long as training


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published MLP, trained by Adam with batches reshuffled in each epoch, equally many steps on every data set.

    The strength of a regulariser and the rate are tuned together for each seed, see `training.tuning`.
    """

    dataset: tuple[DatasetName, ...] = ("digits",)
    """Images to compare with; they are divided anew for each seed. MNIST-1D is always included, made anew."""
    data_dir: str | None = None
    """Folder with mnist/, which holds the files. By default they are downloaded. Digits need none."""
    regularisers: tuple[Name, ...] = get_args(Name)
    """Regularisers to compare; "none" is always included."""
    n_trials: NTrials = 8
    """Pairs of strength and rate that each regulariser may try, for each seed; without a strength, as many rates."""
    n_steps: PositiveInt = 4000
    """Optimiser steps of every training."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    eval_every: PositiveInt = 200
    """Steps between evaluations, among which early stopping chooses."""
    width: PositiveInt = 100
    """Hidden units of each of the MLP's two layers."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D; its `n_valid` examples choose the hyper-parameters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, all_of, known in (("dataset", ("mnist1d", *self.dataset), DatasetName),
                                    ("regularisers", ("none", *self.regularisers), Name)):  # fmt: skip
            object.__setattr__(self, name, tuple(item for item in get_args(known) if item in all_of))
        if not self.data.n_valid:
            raise refusal("n_valid", 0, "an integer ≥ 1, since validation data choose the hyper-parameters")

    @property
    def plan(self) -> Plan:
        """The plan of every training."""
        return Plan(self.n_steps, self.batch_size, self.eval_every, True, n_train_evaluated=N_TRAIN_EVALUATED)

    def shape(self, dataset: str) -> tuple[int, ...]:
        """Return the positions of a signal, or the height and width of an image."""
        return SHAPES.get(dataset, (self.data.final_seq_length,))

    def images(self, name: Any, seed: int = 0) -> Images:
        """Return images as a seed divides them."""
        return Images(name, seed=seed, data_dir=self.data_dir)


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the image sets by their names."""
    return {name: protocol.images(name) for name in protocol.dataset if name in SHAPES}


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return data sets × regularisers."""
    return [{"dataset": dataset, "regulariser": name} for dataset in protocol.dataset for name in protocol.regularisers]


def n_steps(protocol: Protocol, **condition: Any) -> int:
    """Return the optimiser steps of one seed."""
    return (protocol.n_trials + 1) * protocol.n_steps


def resources(protocol: Protocol, dataset: str, regulariser: str) -> tuple[int, int]:
    """Return the FLOPs of one seed, and the bytes of its data and network, without reading images."""
    shape, data = (math.prod(protocol.shape(dataset)),), protocol.data
    model, n_examples = mlp(*shape, 10, protocol.width), data.n_train + data.n_valid + data.n_test
    n_evaluations = 2 * protocol.n_trials + len(protocol.plan.evaluated)
    return training_cost(model, shape, n_steps(protocol), protocol.batch_size, n_evaluations,
                         N_EXAMPLES.get(dataset, n_examples))  # fmt: skip


@functools.lru_cache(maxsize=4)  # they are large
def loaded(config: Images) -> Splits:
    """Return images with flat pixels."""
    return flat(load_images(config))


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Tune a regulariser for each seed, and train with the best trial."""
    dataset, shape = condition["dataset"], protocol.shape(condition["dataset"])
    data = (lambda seed: loaded(protocol.images(dataset, seed))) if dataset in SHAPES else fresh(protocol.data)
    results = tuned(fit(protocol, shape, condition["regulariser"]), data, protocol.plan, context.seeds,
                    n_trials=protocol.n_trials, key=context.key, progress=context.progress)  # fmt: skip
    n_inputs = math.prod(shape)
    flops = 3.0 * protocol.batch_size * forward_flops(mlp(n_inputs, 10, protocol.width), (n_inputs,))
    results = results.drop_vars(["prediction", "example"], errors="ignore")
    return results.assign(flops_per_step=("seed", np.full(len(context.seeds), flops)))


def fit(protocol: Protocol, shape: tuple[int, ...], regulariser: Name) -> Fit:
    """Return how the MLP trains with a regulariser on examples of some shape."""
    strengths = REGULARISERS[regulariser].strengths
    found = fit_of(
        objective_of(regulariser, shape, protocol.width), decayed if regulariser == "weight_decay" else "adam",
        {"learning_rate": RATES} | ({} if strengths is None else {"strength": strengths}),
    )  # fmt: skip
    return stopped(found, protocol.eval_every) if regulariser == "early_stopping" else found


def decayed(hparams: Any) -> optax.GradientTransformation:
    """Return AdamW (Loshchilov & Hutter 2019)."""
    return optax.adamw(hparams["learning_rate"], weight_decay=hparams["strength"])


def stopped(fit: Fit, every: int) -> Fit:
    """Return a fit whose results at each evaluation are those of the best one so far, by validation loss."""

    def train(data: Callable, plan: Plan, *args: Any) -> xr.Dataset:
        results = fit.train(data, replace(plan, eval_every=every), *args)
        curves = results[[name for name, values in results.items() if "step" in values.dims]]
        loss = curves.valid_loss.fillna(np.inf).transpose(..., "step")
        best = [loss.values[..., : i + 1].argmin(-1) for i in range(loss.sizes["step"])]
        kept = curves.drop_vars("step").isel(step=xr.DataArray(np.stack(best, -1), dims=loss.dims))
        return results.assign(kept).sel(step=list(plan.evaluated))

    return fit._replace(train=train)
