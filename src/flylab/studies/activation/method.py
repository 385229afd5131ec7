"""Metalearn an activation function, and test it and the usual ones."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from msgspec import Meta

from flylab.base.constraints import NonNegativeFloat, PositiveFloat, PositiveInt
from flylab.base.rng import stream
from flylab.data import MNIST1D, fresh, shared
from flylab.models import Model, activations, dense, layers
from flylab.models.flops import METAGRADIENT
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.protocol import NSeeds
from flylab.training.dispatch import run_members
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import Objective, cross_entropy, unchanged
from flylab.training.step import Member, Plan
from flylab.training.train import training_run
from flylab.training.training import Training

USUAL = tuple(activations.ALL)
RATES = (2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1)
X = np.linspace(-5, 5, 401)
UNSEEN = 100_000  # the first seed of data and initial weights that metalearning never saw


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol, with a data set and initial weights for each seed."""

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    n_outer_steps: PositiveInt = 301
    """Steps of gradient descent on the activation's weights."""
    outer_rate: PositiveFloat = 0.3
    """Learning rate of the outer gradient descent."""
    clip: PositiveFloat = 0.1
    """Bound of each component of the outer gradient, which is clipped to ± this value."""
    n_steps: PositiveInt = 301
    """Inner steps: optimiser steps of each training run."""
    window: PositiveInt = 200
    """Number of last inner steps whose mean loss is the outer loss."""
    batch_size: PositiveInt = 100
    """Examples per inner step, in fixed order."""
    width: PositiveInt = 128
    """Hidden units."""
    n_units: PositiveInt = 100
    """Hidden units of the activation's network."""
    noise: NonNegativeFloat = 0.1
    """Bound of the uniform noise on the hidden units of both networks, drawn once per forward pass, also in tests."""
    learning_rate: PositiveFloat = 1e-2
    """Learning rate of the inner optimiser, RMSProp."""
    decay: Annotated[float, Meta(ge=0, lt=1)] = 0.4
    """Decay of RMSProp's second moment, which starts at 1."""
    rates: Annotated[tuple[PositiveFloat, ...], Meta(min_length=1)] = RATES
    """Learning rates from which each usual function's best is chosen by validation accuracy."""
    n_tests: PositiveInt = 3
    """Networks to test for each seed and function, each on unseen data of its own."""
    fresh_start: bool = False
    """Draw new initial weights in each outer step (the fairer test); by default each seed keeps its initial weights."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_train=8000, n_valid=500, n_test=500))
    """The data set."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.window <= self.n_steps, "window", f"at most n_steps={self.n_steps}, the inner steps")
        if self.data.n_valid < 1:
            raise ValueError("n_valid=0 must be ≥ 1: the usual functions' rates are chosen on the validation set")

    @property
    def all_rates(self) -> tuple[float, ...]:
        """The learning rates to test, in ascending order: `rates` and the published one."""
        return tuple(sorted({*self.rates, self.learning_rate}))

    @property
    def stages(self) -> tuple[int, ...]:
        """Outer steps after which the function is saved."""
        return tuple(sorted({0, self.n_outer_steps // 10, self.n_outer_steps // 3, self.n_outer_steps}))

    def plan(self, n_evaluations: int = 1) -> Plan:
        """Return the plan of an inner run."""
        every, optimizer = -(-self.n_steps // n_evaluations), _rms(self.decay)
        return Plan(self.n_steps, self.batch_size, every, optimizer=optimizer, record_loss=n_evaluations > 1)


@functools.cache
def _rms(decay: float) -> Callable:
    return lambda hparams: optax.rmsprop(hparams["learning_rate"], decay=decay, eps=1e-8, initial_scale=1.0)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return one condition per activation: the learned one and the usual ones."""
    return [{"activation": name} for name in ("learned", *USUAL)]


def n_steps(protocol: Protocol, activation: str) -> int:
    """Return the inner steps of one seed, tests included."""
    if activation == "learned":
        return protocol.n_steps * (protocol.n_outer_steps + protocol.n_tests)
    return protocol.n_steps * protocol.n_tests * len(protocol.all_rates)


def resources(protocol: Protocol, activation: str) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network."""
    n = n_steps(protocol, activation)
    if activation == "learned":
        n += round((METAGRADIENT - 1) * protocol.n_steps * protocol.n_outer_steps)
    return Training(_network(protocol), protocol.data, Plan(n, protocol.batch_size, n)).resources


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Metalearn and test the function of each seed, or test a usual one, on data that metalearning never saw."""
    if condition["activation"] != "learned":
        return _tested(protocol, condition["activation"], {}, protocol.all_rates, context)
    weights, descent = metalearned(protocol, context)
    return descent.merge(_tested(protocol, "learned", weights, (protocol.learning_rate,), context))


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
    plan, objective = protocol.plan(n_evaluations=3), _objective(name, protocol)

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
    coords = {"seed": list(context.seeds), "learning_rate": list(rates), "step": list(plan.evaluated)}
    return xr.Dataset(shaped, coords).mean("repeat")


@functools.cache
def _outer(protocol: Protocol) -> MetaPlan:
    descent = optax.chain(optax.clip(protocol.clip), optax.sgd(protocol.outer_rate))

    def outer(history):
        return history["loss"][-protocol.window :].mean()

    return MetaPlan(protocol.plan(), protocol.n_outer_steps, descent, outer, fresh_start=protocol.fresh_start,
                    save_hparams_at=protocol.stages)  # fmt: skip


def _network(protocol: Protocol) -> Model:
    return dense.shallow(protocol.data.final_seq_length, protocol.data.outputs, protocol.width)


def _objective(name: str, protocol: Protocol) -> Objective:
    return _noisy(name, _network(protocol).init, protocol.width, protocol.n_units, protocol.noise)


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
            h = activations.ALL[name](z)
        h = h + jax.random.uniform(hidden_key, (width, 1), z.dtype, -noise, noise)
        return layers.affine(params["output"]["w"], params["output"]["b"], h)

    def loss(params, batch, hparams, key):
        return cross_entropy(predict(params, batch.x, hparams, key), batch.y).mean(), {}

    def prepare(hparams):
        return hparams | {"table": activations.table(hparams["activation"])}

    return Objective(lambda key, hparams: init(key), loss, predict, prepare=prepare if name == "learned" else unchanged)
