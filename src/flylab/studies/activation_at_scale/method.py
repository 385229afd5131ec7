"""Learn activation functions on each target, and train every target with every function."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import numpy as np
import optax
import xarray as xr

from flylab.base.constraints import NonNegativeFloat, PositiveFloat, PositiveInt, refusal
from flylab.base.rng import stream
from flylab.data import MNIST1D, Images, Splits, fresh, load_images
from flylab.data.images.flat import flat
from flylab.models import Model, activations, convolutional, layers
from flylab.models.batched import conv1d, from_batch, readout
from flylab.models.flops import METAGRADIENT, training_cost
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.protocol import NSeeds
from flylab.training.activated import activated
from flylab.training.dispatch import run_members
from flylab.training.evolution import Evolution
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import Objective, supervised
from flylab.training.step import Member, Plan
from flylab.training.train import training_run

USUAL = tuple(activations.ALL)
TARGETS = {"mnist1d": ("mlp", "cnn"), "mnist": ("cnn2d",)}  # by data set
X = np.linspace(-5, 5, 201)
UNSEEN = 100_000  # the first seed of data, initial weights and order that metalearning never saw
N_POINTS = 40  # of a signal
N_UNITS = 8  # of a learned function's network: as few hyper-parameters as evolution can follow
IMAGES = {"n_train": 2000, "n_valid": 500, "n_test": 2000}


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """Deeper and convolutional targets, trained by Adam in batches that are reshuffled in each epoch.

    Functions are learned for one of three goals. "early" is the essay's: mean training loss, here over the first epoch.
    "final" is validation loss after as many steps, by truncated unrolls: through a whole training gradients explode.
    "evolved" is validation loss after a whole training, by evolution strategies, which need the extra "evolution".
    """

    n_seeds: NSeeds = 6
    """Seeds: each learns functions of its own, and tests them on data and initial weights that it never saw."""
    dataset: tuple[Literal["mnist1d", "mnist"], ...] = ("mnist1d",)
    """The data of the targets: MNIST-1D, of a deep MLP and a CNN; MNIST, of a CNN in two dimensions."""
    data_dir: str | None = None
    """Folder whose subfolder mnist/ has the images' files; by default they are downloaded."""
    goals: tuple[Literal["early", "final", "evolved"], ...] = ("early", "final")
    """What functions are learned for."""
    n_outer_steps: PositiveInt = 60
    """Steps of metalearning."""
    outer_rate: PositiveFloat = 0.1
    """Learning rate of metalearning, by Adam on clipped gradients."""
    clip: PositiveFloat = 0.1
    """Bound of each component of a metagradient, as published."""
    n_pairs: PositiveInt = 8
    """Pairs of trainings in each step of evolution."""
    sigma: PositiveFloat = 0.1
    """Standard deviation of evolution's deviates."""
    n_steps: PositiveInt = 200
    """Steps of a whole training."""
    n_early: PositiveInt = 40
    """First steps, whose mean training loss is the early one; as many are unrolled."""
    batch_size: PositiveInt = 50
    """Examples per step."""
    learning_rate: PositiveFloat = 3e-3
    """Adam's learning rate, the same for all functions and targets."""
    eps_root: NonNegativeFloat = 1e-8
    """What Adam adds under its square root, whose derivative at 0 would be infinite."""
    width: PositiveInt = 64
    """Units of each of the MLP's three hidden layers; the CNNs' three convolutions have an eighth as many channels."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_train=2000, n_valid=500, n_test=1000))
    """The data set MNIST-1D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.n_early <= self.n_steps, "n_early", f"at most n_steps={self.n_steps}")
        self._require(self.width >= 8, "width", "at least 8: a CNN has an eighth as many channels")
        self._require(bool(self.dataset), "dataset", "one or two data sets")
        self._require(bool(self.goals), "goals", "one to three goals")
        data = self.data
        for name, holds, wanted in (
            ("n_valid", data.n_valid > 0, "an integer ≥ 1: functions are learned and chosen by validation data"),
            ("final_seq_length", data.final_seq_length == N_POINTS, f"{N_POINTS}, which the targets read"),
            ("random_labels", data.outputs <= 10, "at most 10, which the targets have outputs for"),
        ):
            if not holds:
                raise refusal(name, getattr(data, name), wanted)

    def plan(self, n_steps: int, record_loss: bool = False) -> Plan:
        """Return the plan of a training of so many steps."""
        return Plan(n_steps, self.batch_size, n_steps, True, _adam(self.eps_root), record_loss=record_loss)


@functools.cache
def _adam(eps_root: float) -> Callable:
    return lambda hparams: optax.adam(hparams["learning_rate"], eps_root=eps_root)


def targets(protocol: Protocol) -> list[str]:
    """Return the networks of the protocol's data sets."""
    return [target for dataset in dict.fromkeys(protocol.dataset) for target in TARGETS[dataset]]


def learned(protocol: Protocol) -> list[str]:
    """Return the learned functions' names, "source.goal"; "published" are those of the study `activation`."""
    names = [f"{source}.{goal}" for source in targets(protocol) for goal in dict.fromkeys(protocol.goals)]
    return ["published", *names]


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return one condition for each kind of learned function and each usual one."""
    return [{"activation": name} for name in (*learned(protocol), *USUAL)]


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Learn a function for each seed, or take it from the artifact, and train every target with it."""
    name, weights, descent = condition["activation"], None, xr.Dataset()
    if name == "published":
        functions = activations.load_functions(context.artifacts["activation"])
        weights = {part: leaf[np.array(context.seeds) % len(leaf)] for part, leaf in functions.items()}
    elif name not in USUAL:
        source, goal = name.split(".")
        weights, descent = _metalearned(protocol, source, goal, context)
    tested = xr.concat([_tested(protocol, target, name, weights, context) for target in targets(protocol)], "target")
    if weights is not None:
        value = jax.device_get(jax.vmap(lambda one: activations.learnable(one, X.astype(np.float32)))(weights))
        descent = descent.assign(value=(("seed", "x"), value)).assign_coords(x=X)
    return tested.assign_coords(target=targets(protocol)).merge(descent)


def _metalearned(protocol: Protocol, source: str, goal: str, context: Context) -> tuple[dict, xr.Dataset]:
    """Return the weights of each seed's function, and the outer loss."""

    def start(seed: int) -> dict:
        key = stream(jax.random.fold_in(context.key, seed), "activation")
        return {"activation": jax.device_get(activations.network_init(key, N_UNITS))}

    found = metalearn(
        activated(_network(source, protocol.width)), _data(protocol, source), _meta_plan(protocol, goal), [start],
        context.seeds, fixed={"learning_rate": protocol.learning_rate}, key=context.key, progress=context.progress,
    )  # fmt: skip
    weights = {name: leaf[0] for name, leaf in found.hparams["activation"].items()}
    return weights, found.results[["outer_loss"]].squeeze("start", drop=True)


@functools.cache
def _meta_plan(protocol: Protocol, goal: str) -> MetaPlan:
    descent = optax.chain(optax.clip(protocol.clip), optax.adam(protocol.outer_rate))
    is_whole = goal == "evolved"
    inner = protocol.plan(protocol.n_steps if is_whole else protocol.n_early)
    mode = Evolution(protocol.n_pairs, protocol.sigma) if is_whole else "reverse"
    outer = _mean_training_loss if goal == "early" else _last_validation_loss
    return MetaPlan(inner, protocol.n_outer_steps, descent, outer, mode, fresh_start=True)


def _mean_training_loss(history):
    return history["loss"].mean()


def _last_validation_loss(history):
    return history["valid_loss"][-1]


def _tested(protocol: Protocol, target: str, name: str, weights: dict | None, context: Context) -> xr.Dataset:
    """Train a target on data, from weights and in an order that are the same for every function."""
    plan, objective = protocol.plan(protocol.n_steps, record_loss=True), _objective(target, protocol.width, name)
    data = _data(protocol, target)

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for i, seed in enumerate(context.seeds):
            hparams: dict[str, Any] = {"learning_rate": np.float32(protocol.learning_rate)}
            if weights:
                hparams["activation"] = {part: leaf[i] for part, leaf in weights.items()}
            yield as_arrays(data(UNSEEN + seed)), Member(jax.random.fold_in(context.key, UNSEEN + seed), hparams)

    trained = run_members(training_run(objective, plan), members(), progress=context.progress)
    histories = [network.history for network in trained]
    results = {name: [h[name][-1] for h in histories] for name in ("test_loss", "test_accuracy", "valid_accuracy")}
    results["early_loss"] = [h["loss"][: protocol.n_early].mean() for h in histories]
    return xr.Dataset({name: ("seed", np.array(values)) for name, values in results.items()},
                      {"seed": list(context.seeds)})  # fmt: skip


@functools.cache
def _objective(target: str, width: int, name: str) -> Objective:
    network = _network(target, width)
    return supervised(network(activations.ALL[name])) if name in USUAL else _learned(target, width)


def _learned(target: str, width: int) -> Objective:
    return activated(_network(target, width))  # one for all learned functions of as many units


@functools.cache
def _network(target: str, width: int) -> Callable[[Callable], Model]:
    """Return the function that makes a target of an activation, which may be traced, so that nothing keeps it."""
    if target == "cnn2d":
        return functools.partial(convolutional.cnn2d.__wrapped__, (28, 28, 1), 10, width // 8)
    return functools.partial(_mlp if target == "mlp" else _cnn, width)


def _mlp(width: int, activation: Callable) -> Model:
    """Build an MLP of three hidden layers."""
    sizes = {"hidden1": (N_POINTS, width), "hidden2": (width, width), "hidden3": (width, width), "output": (width, 10)}

    def init(key):
        return {name: layers.linear_init(stream(key, name), *size) for name, size in sizes.items()}

    def apply_batch(params, x):
        for name in ("hidden1", "hidden2", "hidden3"):
            x = activation(layers.linear_batch(params[name], x))
        return layers.linear_batch(params["output"], x)

    return from_batch(init, apply_batch)


def _cnn(width: int, activation: Callable) -> Model:
    """Build the published CNN, three strided convolutions, of fewer channels and with any activation."""
    channels, kernels = width // 8, {"conv1": 5, "conv2": 3, "conv3": 3}

    def init(key):
        params = {
            name: layers.conv1d_init(stream(key, name), channels if i else 1, channels, kernel)
            for i, (name, kernel) in enumerate(kernels.items())
        }
        return params | {"output": layers.linear_init(stream(key, "output"), 5 * channels, 10)}

    def apply_batch(params, x):
        h = x[None]
        for name in kernels:
            h = activation(conv1d(params[name], h, stride=2))
        return readout(params["output"], h)

    return from_batch(init, apply_batch)


def _data(protocol: Protocol, target: str) -> Callable[[int], Splits]:
    """Return the function from a seed to its data: a set of its own, or MNIST as the seed divides it."""
    if target != "cnn2d":
        return fresh(protocol.data)
    return functools.partial(_flat, _images(protocol))


def _images(protocol: Protocol) -> Images:
    return Images("mnist", data_dir=protocol.data_dir, **IMAGES)


@functools.lru_cache(maxsize=16)
def _flat(config: Images, seed: int) -> Splits:
    return flat(load_images(replace(config, seed=seed)))


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the images by their names."""
    return {"mnist": _images(protocol)} if "mnist" in protocol.dataset else {}


def n_steps(protocol: Protocol, activation: str) -> int:
    """Return the training steps of one seed, tests included; of evolution, those of its unperturbed runs."""
    n_tests = protocol.n_steps * len(targets(protocol))
    if "." not in activation:
        return n_tests
    return n_tests + _meta_plan(protocol, activation.split(".")[1]).inner.n_steps * protocol.n_outer_steps


def resources(protocol: Protocol, activation: str) -> tuple[int, int]:
    """Return the FLOPs of one seed, and the bytes of its largest data and network."""

    def cost(target: str, n: float) -> tuple[int, int]:
        data = protocol.data
        shape, n_examples = (784,), sum(IMAGES.values())
        if target != "cnn2d":
            shape, n_examples = (N_POINTS,), data.n_train + data.n_valid + data.n_test
        model = _network(target, protocol.width)(jax.nn.elu)
        return training_cost(model, shape, round(n), protocol.batch_size, 2, n_examples)

    costs = [cost(target, protocol.n_steps) for target in targets(protocol)]
    if "." in activation:
        source, goal = activation.split(".")
        times = 2 * protocol.n_pairs + 1 if goal == "evolved" else METAGRADIENT
        costs.append(cost(source, times * _meta_plan(protocol, goal).inner.n_steps * protocol.n_outer_steps))
    return sum(flops for flops, _ in costs), max(n_bytes for _, n_bytes in costs)
