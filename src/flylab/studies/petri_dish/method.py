"""What is trained: the pool on real data, on random subsets of them, and on dishes, which are learned first."""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import numpy as np
import optax
import xarray as xr

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.base.rng import stream
from flylab.data import MNIST1D, Dataset, Images, fresh, load_images
from flylab.models.flops import METAGRADIENT, forward_flops
from flylab.studies.petri_dish import dish
from flylab.studies.petri_dish.pool import CHOICES, FAMILIES, names, network, specs
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.protocol import NSeeds
from flylab.training.dispatch import run_members
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import supervised
from flylab.training.step import Member, Plan
from flylab.training.train import training_run

SHAPES = {"mnist1d": (1, 40), "digits": (8, 8), "mnist": (28, 28), "cifar10": (96, 32)}  # channels, positions
N_TRAIN = {"digits": 1200, "mnist": 60_000 - 5000, "cifar10": 50_000 - 5000}


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """Adam; batches of as many examples as a dish has. Columns of images are positions, rows are channels."""

    n_seeds: NSeeds = 6
    """Seeds: each has data, initial weights, a subset and a dish of its own; the pool is the same."""
    dataset: tuple[Literal["digits", "mnist", "cifar10"], ...] = ("digits",)
    """Images on which the pool is ranked, too."""
    data_dir: str | None = None
    """Folder with mnist/ and cifar10/, which hold the files. By default they are downloaded. Digits need none."""
    n_ranked: PositiveInt = 24
    """Architectures of each family, MLPs and CNNs, that are ranked."""
    n_taught: PositiveInt = 6
    """Other architectures of each family, with which dishes are learned."""
    n_examples: PositiveInt = 30
    """A dish's training examples, and as many for validation; also a subset's, and those of a batch."""
    n_dish_steps: PositiveInt = 10
    """Steps of training on a dish."""
    dish_rate: PositiveFloat = 2e-2
    """Learning rate of training on a dish and on a subset."""
    n_outer_steps: PositiveInt = 40
    """Steps in which a dish is learned."""
    outer_rate: PositiveFloat = 0.03
    """Learning rate of a dish's inputs and labels, by Adam."""
    n_held_out: PositiveInt = 120
    """Validation examples of real data, by which a subset and an early stop rank."""
    n_steps: PositiveInt = 1152
    """Steps of a whole training on real data."""
    learning_rate: PositiveFloat = 5e-3
    """Learning rate of a whole training."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_train=4000, n_valid=1000, n_test=1000))
    """The data set MNIST-1D, made anew for each seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        most = min(len(names(family)) for family in FAMILIES)
        self._require(self.n_ranked + self.n_taught <= most, "n_ranked", f"at most {most} with n_taught")
        enough = self.cost > self.n_held_out and self.n_held_out <= self.data.n_valid
        self._require(
            enough, "n_held_out", f"fewer than {self.cost}, a dish's cost, and data.n_valid={self.data.n_valid}"
        )

    @property
    def cost(self) -> int:
        """The forward passes that judging an architecture by a dish costs; a training step has three per example."""
        return 3 * self.n_examples * self.n_dish_steps + self.n_examples

    @property
    def equal_steps(self) -> float:
        """The steps on real data that cost as much as a dish, validation included."""
        return (self.cost - self.n_held_out) / (3 * self.n_examples)

    def costs(self, steps: Sequence[int]) -> np.ndarray:
        """Return what training on real data for some steps costs, validation included, in a dish's cost."""
        return (3 * self.n_examples * np.array(steps) + self.n_held_out) / self.cost

    def evaluated(self, n_steps: int) -> tuple[int, ...]:
        """Return steps that cost ¼, ½, 1, 2, … of a dish, as nearly as whole steps can, and the last one."""
        doubled = {max(1, math.floor(self.equal_steps * 2.0**i)) for i in range(-2, 30)}
        return tuple(sorted({step for step in doubled if step < n_steps} | {n_steps}))

    def images(self, name: Any, seed: int = 0) -> Images:
        """Return images as a seed divides them."""
        n_train = min(self.data.n_train, N_TRAIN[name])
        return Images(name, n_train, None, None if name == "digits" else self.data.n_test, seed, self.data_dir)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return what the pool is trained on."""
    return [{"dataset": name} for name in ("mnist1d", "subset", "dish", *dict.fromkeys(protocol.dataset))]


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the image sets by their names."""
    return {name: protocol.images(name) for name in protocol.dataset}


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train the ranked architectures on real data, on a subset of them, or on dishes, after these are learned."""
    name, ranked = condition["dataset"], slice(protocol.n_taught, protocol.n_taught + protocol.n_ranked)
    results = _judged(protocol, ranked, context) if name == "dish" else _trained(protocol, name, ranked, context)
    labels = [label for family in FAMILIES for label in names(family)[ranked]]
    return results.assign_coords(seed=list(context.seeds), architecture=labels)


def _trained(protocol: Protocol, name: str, chosen: slice, context: Context) -> xr.Dataset:
    """Train architectures on real data, with validation along the way."""
    n_steps = steps_on(protocol, name)
    steps = protocol.evaluated(n_steps)
    plan = Plan(n_steps, protocol.n_examples, steps, n_train_evaluated=1)
    rate = np.float32(protocol.dish_rate if name == "subset" else protocol.learning_rate)
    shape, data = SHAPES.get(name, SHAPES["mnist1d"]), {seed: data_of(protocol, name, seed) for seed in context.seeds}

    def members(family: str) -> Iterator[tuple[SplitArrays, Member]]:
        for seed in context.seeds:
            for i, spec in _numbered(family, chosen):
                key = jax.random.fold_in(stream(jax.random.fold_in(context.key, seed), name), i)
                yield data[seed], Member(key, {"learning_rate": rate, "spec": spec})

    found: dict[str, list] = {"test_accuracy": [], "valid_accuracy": [], "valid_loss": []}
    for family in FAMILIES:
        run_ = training_run(supervised(network(family, shape)), plan)
        histories = [one.history for one in run_members(run_, members(family), progress=context.progress)]
        for kind, parts in found.items():
            parts.append(np.array([one[kind][1:] for one in histories]).reshape(len(context.seeds), -1, len(steps)))
    dims = ("seed", "architecture", "cost")
    return xr.Dataset({kind: (dims, np.concatenate(parts, 1)) for kind, parts in found.items()},
                      {"cost": protocol.costs(steps)})  # fmt: skip


def _numbered(family: str, chosen: slice) -> list[tuple[int, dict[str, np.float32]]]:
    numbers = range(*chosen.indices(len(names(family))))
    return [(i, {choice: values[i] for choice, values in specs(family).items()}) for i in numbers]


@functools.lru_cache(maxsize=32)
def data_of(protocol: Protocol, name: str, seed: int) -> SplitArrays:
    """Return a seed's data, of inputs (channels, positions); a subset has as many training examples as a dish."""
    splits = load_images(protocol.images(name, seed)) if name in N_TRAIN else fresh(protocol.data)(seed)
    rng, shape = np.random.default_rng([seed, 1]), SHAPES.get(name, SHAPES["mnist1d"])

    def shaped(part: Dataset, n: int) -> Dataset:
        rows = rng.permutation(len(part.y))[:n]
        x = np.moveaxis(part.x[rows], 2, 3) if part.x.ndim == 4 else part.x[rows]  # channels beside rows
        return Dataset(x.reshape(len(rows), *shape), part.y[rows])

    is_subset = name == "subset"
    train = shaped(splits.train, protocol.n_examples if is_subset else len(splits.train.y))
    valid = shaped(splits.valid, protocol.n_held_out)
    test = shaped(splits.test, 10 if is_subset else len(splits.test.y))  # a subset only ranks
    return as_arrays(splits._replace(train=train, valid=valid, test=test))


def _judged(protocol: Protocol, ranked: slice, context: Context) -> xr.Dataset:
    """Learn a dish for each seed from how the taught architectures do on its data, and train the ranked ones on it."""
    seeds, n, n_taught = list(context.seeds), protocol.n_examples, protocol.n_taught
    taught = _trained(protocol, "mnist1d", slice(n_taught), context).test_accuracy.isel(cost=-1).values
    real = [data_of(protocol, "subset", seed) for seed in seeds]
    # the truth differs by seed, so it stands beside what is learned; its gradient is 0
    starts = {seed: {"dish": dish.begun(data.train, data.valid, n), "truth": truth / 100}
              for seed, data, truth in zip(seeds, real, taught, strict=True)}  # fmt: skip
    objective, source, rate = dish.objective(SHAPES["mnist1d"], n), dish.served(n), np.float32(protocol.dish_rate)
    found = metalearn(objective, source, _meta_plan(protocol), [starts.__getitem__], seeds, key=context.key,
                      fixed={"learning_rate": rate, "spec": _side_by_side(range(n_taught))},
                      progress=context.progress)  # fmt: skip
    dishes = jax.tree.map(lambda leaf: leaf[0], found.hparams["dish"])  # of the only start
    numbers = range(ranked.start, ranked.stop)
    sets = np.resize(numbers, (_n_sets(protocol), n_taught))  # the last one is filled up with the first architectures

    def members() -> Iterator[tuple[None, Member]]:
        for i, seed in enumerate(seeds):
            own = jax.tree.map(lambda leaf, i=i: leaf[i], dishes)
            for chosen in sets:
                key = jax.random.fold_in(stream(jax.random.fold_in(context.key, seed), "judged"), int(chosen[0]))
                hparams = {"learning_rate": rate, "spec": _side_by_side(chosen), "dish": own, "truth": taught[i] / 100}
                yield None, Member(key, hparams)

    trained = run_members(training_run(objective, _dish_plan(protocol, protocol.n_dish_steps), source), members(),
                          progress=context.progress)  # fmt: skip
    y = jax.nn.softmax(dishes["y"])[:, n:]
    scores = np.array([dish.score(one.prediction.T, y[i // len(sets)].T) for i, one in enumerate(trained)])
    scores = scores.reshape(len(seeds), len(sets), len(FAMILIES), n_taught).swapaxes(1, 2)
    scores = scores.reshape(len(seeds), len(FAMILIES), -1)[..., : len(numbers)].reshape(len(seeds), -1)
    return xr.Dataset({
        "score": (("seed", "architecture"), 100 * scores),
        "mismatch": (("seed", "outer_step"), found.results.outer_loss.values[0]),
        "dish_x": (("seed", "synthetic", "position"), dishes["x"][:, :, 0]),
        "dish_y": (("seed", "synthetic", "class"), np.array(jax.nn.softmax(dishes["y"]))),
    }, {"outer_step": range(protocol.n_outer_steps)})  # fmt: skip


def _n_sets(protocol: Protocol) -> int:
    return -(-protocol.n_ranked // protocol.n_taught)


def _side_by_side(numbers: Sequence[int] | np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    return {family: {choice: values[list(numbers)] for choice, values in specs(family).items()} for family in FAMILIES}


def _dish_plan(protocol: Protocol, n_steps: int) -> Plan:
    return Plan(n_steps, protocol.n_examples, n_steps, optimizer=dish.adam)


@functools.cache
def _meta_plan(protocol: Protocol) -> MetaPlan:
    # a step records what was before it, so that the mismatch after the last one needs one more
    inner = _dish_plan(protocol, protocol.n_dish_steps + 1)
    return MetaPlan(inner, protocol.n_outer_steps, optax.adam(protocol.outer_rate), _last_mismatch, "reverse", True)


def _last_mismatch(history):
    return history["mismatch"][-1]


def steps_on(protocol: Protocol, dataset: str) -> int:
    """Return the steps of one architecture on real data; on a subset, those that cost eight times a dish."""
    return min(protocol.n_steps, math.floor(8 * protocol.equal_steps)) if dataset == "subset" else protocol.n_steps


def n_steps(protocol: Protocol, dataset: str) -> int:
    """Return the optimiser steps of one seed, of sets of architectures as many as of one."""
    if dataset != "dish":
        return len(FAMILIES) * protocol.n_ranked * steps_on(protocol, dataset)
    learned = protocol.n_outer_steps * (protocol.n_dish_steps + 1)
    return len(FAMILIES) * protocol.n_taught * protocol.n_steps + learned + _n_sets(protocol) * protocol.n_dish_steps


def resources(protocol: Protocol, dataset: str) -> tuple[int, int]:
    """Return the FLOPs of one seed, and the bytes of its data, which are much more than those of its networks."""
    shape = SHAPES.get(dataset, SHAPES["mnist1d"])
    hparams = {"spec": {choice: np.float32(1) for choice in CHOICES["cnn"]}}
    passes = sum(forward_flops(network(family, shape)(hparams), shape) for family in FAMILIES)
    n_test, n_each = protocol.data.n_test, 3 * protocol.n_examples
    real = n_each * steps_on(protocol, dataset) + len(protocol.evaluated(protocol.n_steps)) * (
        protocol.n_held_out + n_test
    )
    flops = passes * protocol.n_ranked * real
    if dataset == "dish":
        learned = METAGRADIENT * protocol.n_outer_steps * protocol.n_taught + protocol.n_ranked
        flops = passes * (protocol.n_taught * real + learned * protocol.cost)
    return int(flops), 4 * math.prod(shape) * (protocol.data.n_train + protocol.n_held_out + n_test)
