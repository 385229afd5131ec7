"""Networks on images, at sizes that a practitioner would take, each tuned by its validation set."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from flylab.base.types import Hparams
from flylab.data import Images, Splits, load_images
from flylab.data.images.flat import flat
from flylab.models import convolutional, get_model
from flylab.models.flops import forward_flops
from flylab.models.model import Model
from flylab.study import Context
from flylab.training.objectives import Objective, supervised
from flylab.training.step import Plan
from flylab.training.training import Training

Shape = tuple[int, int, int]
MODELS: Mapping[str, Callable[[Shape], Model]] = {  # CNN and ResNet have about as many parameters
    "logistic": lambda shape: get_model("logistic", math.prod(shape)),
    "mlp": lambda shape: get_model("mlp", math.prod(shape), width=256),
    "cnn": lambda shape: convolutional.cnn2d(shape, width=(16, 32, 32)),
    "resnet": lambda shape: convolutional.resnet2d(shape, width=(8, 16, 32)),
}
SHUFFLED = ("cnn",)  # to the first two any order is alike, by symmetry, and the ResNet would tell the same as the CNN
PERMUTATION = 42  # the number of the pixels' order that all seeds share
N_TRAIN_EVALUATED = 1000  # evaluating on all training images would take as long as training


@functools.lru_cache(maxsize=1)  # they are large
def loaded(config: Images) -> tuple[Shape, Splits]:
    """Return the images' shape, and their `Splits` with flat pixels: see `convolutional.cnn2d`."""
    splits = load_images(config)
    return splits.train.x.shape[1:], flat(splits)


def training(config: Images, model: str, arrangement: str, plan: Plan, rates: Sequence[float]) -> Training:
    """Describe a network at every learning rate tried; the order of shuffled pixels is a hyper-parameter.

    Args:
        config: the images.
        model: a name in `MODELS`.
        arrangement: "plain"; or "shuffled", and "reshuffled", where `run` gives each seed an order of its own.
        plan: steps and evaluations.
        rates: learning rates.
    """
    shape, splits = loaded(config)
    hparams = {"learning_rate": list(rates)} | ({} if arrangement == "plain" else {"permutation": PERMUTATION})
    objective = supervised if arrangement == "plain" else functools.partial(_shuffling, shape)
    plan = replace(plan, n_train_evaluated=N_TRAIN_EVALUATED)
    return Training(MODELS[model](shape), splits, plan, hparams, objective)


def run(described: Training, arrangement: str, context: Context) -> xr.Dataset:
    """Train at every rate, and return for each seed what it found at the rate with its best validation accuracy.

    Returns:
        Metrics and predictions, `tuned_learning_rate`, and `flops_per_step`.
    """
    if arrangement == "reshuffled":
        runs = []
        for seed in context.seeds:  # an order is a number in one program, and no copy of the images
            own = replace(described, hparams={**described.hparams, "permutation": seed})
            runs.append(replace(context, seeds=[seed]).train(own).results)
        tried = xr.concat(runs, "seed")
    else:
        tried = context.train(described).results
    best = tried.valid_accuracy.fillna(-1).max("step").argmax("learning_rate")
    results = tried.isel(learning_rate=best)
    assert isinstance(described.data, Splits)
    labels = np.tile(described.data.test.y, (len(context.seeds), 1))
    return results.drop_vars("learning_rate").assign(
        tuned_learning_rate=("seed", results.learning_rate.values),
        flops_per_step=("seed", np.full(len(context.seeds), flops_per_step(described))),
        label=(("seed", "example"), labels.astype(results.prediction.dtype)),
    )


def flops_per_step(described: Training) -> float:
    """Return the FLOPs of one step, counted as in `models.flops.training_cost`."""
    return float(3 * described.plan.batch_size * forward_flops(described.model, described.shape))


@functools.cache
def _shuffling(shape: Shape, model: Model) -> Objective:
    """Return classification by a network that sees pixels in the order whose number is `permutation`."""
    n_pixels, n_channels = shape[0] * shape[1], shape[2]

    def of_order(hparams: Hparams) -> Model:
        if "order" not in hparams:  # at the start
            return model

        def reordered(x):
            return x.reshape(n_pixels, n_channels, *x.shape[1:])[hparams["order"]].reshape(x.shape)

        def apply(params, x):
            return model.apply(params, reordered(x))

        def apply_batch(params, x):
            assert model.apply_batch is not None
            return model.apply_batch(params, reordered(x))

        return Model(model.init, apply, apply_batch)

    def prepare(hparams: Hparams) -> Hparams:
        number = jnp.asarray(hparams["permutation"]).astype(jnp.int32)
        return hparams | {"order": jax.random.permutation(jax.random.key(number), n_pixels)}

    return supervised(of_order)._replace(prepare=prepare, options=supervised(model).options)
