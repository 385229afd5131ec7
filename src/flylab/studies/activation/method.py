"""Metalearn an activation function, and test it and the usual ones."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from flylab.base.rng import stream
from flylab.data import fresh, shared
from flylab.models import activations, layers
from flylab.studies.activation.protocol import Protocol, network, rates_of
from flylab.study import Condition, Context
from flylab.training.dispatch import run_members
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import Objective, cross_entropy, unchanged
from flylab.training.step import Member
from flylab.training.train import training_run

X = np.linspace(-5, 5, 401)
UNSEEN = 100_000  # the first seed of data and initial weights that metalearning never saw
N_EVALUATIONS = 6  # of a tested network, after the start
# the authors' piecewise-linear approximation of the function that they learned: from each place on, slope and offset
_PIECES = ((-2.0, -0.25, 0.1), (-1.0, -1.2, -0.85), (-0.25, -0.5, -0.75), (0.1, 0.2, -0.85), (0.6, 1.2, -1.4))


def authors(x):
    """Compute the authors' piecewise-linear activation (their notebook `metalearn-activation-function`).

    >>> [round(float(y), 3) for y in authors(jnp.array([-3.0, -1.5, 0.0, 1.0]))]
    [0.45, 0.475, -0.75, -0.2]
    """
    y = 0.15 * x + 0.9
    for place, slope, offset in _PIECES:
        y = jnp.where(x > place, slope * x + offset, y)
    return y


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Metalearn and test the function of each seed, or test another one, on data that metalearning never saw."""
    name = condition["activation"]
    weights, descent = metalearned(protocol, context) if name == "learned" else ({}, xr.Dataset())
    return descent.merge(_tested(protocol, name, weights, rates_of(protocol, name), context))


def metalearned(protocol: Protocol, context: Context) -> tuple[dict, xr.Dataset]:
    """Return the weights over seeds, and the outer descent with the function at its stages."""

    def start(seed: int) -> dict:
        init_key = stream(jax.random.fold_in(context.key, seed), "activation")
        return {"activation": jax.device_get(activations.network_init(init_key, protocol.n_units))}

    learned = metalearn(
        _objective("learned", protocol), fresh(protocol.data), _outer(protocol), [start], context.seeds,
        fixed={"learning_rate": protocol.learning_rate}, key=context.key, progress=context.progress,
    )  # fmt: skip
    saved = jax.tree.map(lambda leaf: leaf[0], learned.saved_hparams["activation"])  # over seed, stage
    over_x = jax.vmap(lambda p: jax.vmap(jax.value_and_grad(lambda x: activations.learnable(p, x)))(jnp.float32(X)))
    value, slope = jax.device_get(jax.jit(jax.vmap(over_x))(saved))
    curves = {"value": (("seed", "stage", "x"), value), "slope": (("seed", "stage", "x"), slope)}
    last = {name: leaf[0] for name, leaf in learned.hparams["activation"].items()}
    weights = {f"weight_{name}": (("seed", "unit")[: leaf.ndim], leaf) for name, leaf in last.items()}
    functions = xr.Dataset(curves | weights, {"stage": list(protocol.stages), "x": X})
    return last, learned.results.squeeze("start", drop=True).merge(functions)


def _tested(protocol: Protocol, name: str, weights: dict, rates: Sequence[float], context: Context) -> xr.Dataset:
    """Train networks with this activation on data and from initial weights that are the same for every activation."""
    plan, objective = protocol.plan(N_EVALUATIONS), _objective(name, protocol)

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for i, seed in enumerate(context.seeds):
            hparams = {"activation": {part: leaf[i] for part, leaf in weights.items()}} if weights else {}
            for repeat in range(protocol.n_tests):
                unseen = UNSEEN + seed * protocol.n_tests + repeat
                data = as_arrays(shared(replace(protocol.data, seed=unseen)))
                for rate in rates:
                    own = hparams | {"learning_rate": np.float32(rate)}
                    yield data, Member(jax.random.fold_in(context.key, unseen), own)

    sizes = {"seed": len(context.seeds), "repeat": protocol.n_tests, "learning_rate": len(rates)}
    trained = run_members(training_run(objective, plan), members(), progress=context.progress)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(network.history for network in trained))
    variables = {metric: stacked[metric] for metric in ("valid_accuracy", "test_accuracy", "test_loss")}
    variables |= {"loss_last": stacked["loss"][:, -protocol.window :].mean(1), "loss_all": stacked["loss"].mean(1)}
    shaped = {
        name: ((*sizes, "step")[: len(sizes) + v.ndim - 1], v.reshape(*sizes.values(), *v.shape[1:]))
        for name, v in variables.items()
    }
    losses = stacked["loss"].reshape(*sizes.values(), -1)[:, :, list(rates).index(protocol.learning_rate)]
    shaped["loss"] = (("seed", "repeat", "update"), losses)  # of all steps, at the published rate
    coords = {"seed": list(context.seeds), "learning_rate": list(rates), "step": list(plan.evaluated)}
    return xr.Dataset(shaped, coords).mean("repeat")


@functools.cache
def _outer(protocol: Protocol) -> MetaPlan:
    descent = optax.chain(optax.clip(protocol.clip), optax.sgd(protocol.outer_rate))

    def outer(history):
        return history["loss"][-protocol.window :].mean()

    return MetaPlan(protocol.plan(), protocol.n_outer_steps, descent, outer, fresh_start=protocol.fresh_start,
                    fresh_noise=protocol.fresh_noise, save_hparams_at=protocol.stages)  # fmt: skip


def _objective(name: str, protocol: Protocol) -> Objective:
    return _noisy(name, network(protocol).init, protocol.width, protocol.n_units, protocol.noise)


@functools.cache
def _noisy(name: str, init: Callable, width: int, n_units: int, noise: float) -> Objective:
    """Make the objective of one hidden layer with noise on its units and on those of a learned activation's network."""

    def predict(params, x, hparams, key):
        activation_key, hidden_key = jax.random.split(key)
        z = layers.affine(params["hidden"]["w"], params["hidden"]["b"], x)  # (width, batch)
        if name == "learned":
            unit_noise = jax.random.uniform(activation_key, (n_units,), z.dtype, -noise, noise)
            h = activations.learnable(hparams["table"], z) + activations.SHARE * hparams["activation"]["v"] @ unit_noise
        else:
            h = (authors if name == "authors" else activations.ALL[name])(z)
        h = h + jax.random.uniform(hidden_key, (width, 1), z.dtype, -noise, noise)
        return layers.affine(params["output"]["w"], params["output"]["b"], h)

    def loss(params, batch, hparams, key):
        return cross_entropy(predict(params, batch.x, hparams, key), batch.y).mean(), {}

    def prepare(hparams):
        return hparams | {"table": activations.table(hparams["activation"])}

    return Objective(lambda key, hparams: init(key), loss, predict, prepare=prepare if name == "learned" else unchanged)
