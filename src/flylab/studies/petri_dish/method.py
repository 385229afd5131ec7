"""What is trained: architectures on real data, and on dishes and random subsets; dishes are learned before."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import jax
import numpy as np
import optax
import xarray as xr

from flylab.base.constraints import PositiveFloat, PositiveInt, refusal
from flylab.base.rng import stream
from flylab.data import MNIST1D, Dataset, Images, fresh, load_images
from flylab.data.images.load import N_VALID_DIGITS
from flylab.models.flops import METAGRADIENT, training_cost
from flylab.studies.petri_dish import dish
from flylab.studies.petri_dish.pool import CHOICES, names, network, sizes, specs
from flylab.study import BaseProtocol, Condition, Context
from flylab.study.protocol import NSeeds
from flylab.training.dispatch import run_members
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import supervised
from flylab.training.step import Member, Plan
from flylab.training.train import training_run

DatasetName = Literal["mnist1d", "digits", "mnist", "cifar10"]
SHAPES = {"mnist1d": (1, 40), "digits": (8, 8), "mnist": (28, 28), "cifar10": (96, 32)}  # channels, positions
N_DIGITS = 1200  # training examples, of 1797


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """Adam; batches of as many examples as a dish has. Columns of images are positions, rows are channels."""

    n_seeds: NSeeds = 6
    """Seeds: each has data, initial weights, a subset and a dish of its own; the pool is the same."""
    dataset: tuple[DatasetName, ...] = ("digits",)
    """Images for which dishes are learned, too, and on which the pool is ranked; MNIST-1D is always included."""
    data_dir: str | None = None
    """Folder with mnist/ and cifar10/, which hold the files. By default they are downloaded. Digits need none."""
    n_ranked: PositiveInt = 48
    """Architectures that are ranked."""
    n_taught: PositiveInt = 16
    """Other architectures, with which dishes are learned."""
    n_examples: PositiveInt = 20
    """A dish's training examples, and as many for validation; also a subset's, and those of a batch of real data."""
    n_dish_steps: PositiveInt = 10
    """Steps of training on a dish or a subset."""
    n_outer_steps: PositiveInt = 30
    """Steps in which a dish is learned."""
    outer_rate: PositiveFloat = 0.1
    """Learning rate of a dish's inputs and labels, by Adam."""
    n_held_out: PositiveInt = 80
    """Validation examples of real data, by which training that is stopped early ranks."""
    n_steps: PositiveInt = 1000
    """Steps of a whole training on real data."""
    learning_rate: PositiveFloat = 1e-2
    """Learning rate of every training, on real data and on dishes."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_train=4000, n_valid=1000, n_test=1000))
    """The data set MNIST-1D, made anew for each seed; of images, as many examples are taken where there are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kept = tuple(name for name in get_args(DatasetName) if name in ("mnist1d", *self.dataset))
        object.__setattr__(self, "dataset", kept)
        most = len(specs()["width"]) - self.n_taught
        fits = self.n_ranked <= most and self.n_ranked % self.n_taught == 0
        self._require(fits, "n_ranked", f"a multiple of n_taught={self.n_taught}, at most {most}")
        data, n_valid = self.data, N_VALID_DIGITS if "digits" in self.dataset else self.data.n_valid
        for name, holds, wanted in (
            ("final_seq_length", data.final_seq_length == SHAPES["mnist1d"][1], f"{SHAPES['mnist1d'][1]}"),
            ("n_train", data.n_train >= self.n_examples, f"at least n_examples={self.n_examples}"),
            ("random_labels", data.outputs <= 10, "at most 10, the classes of a dish"),
        ):
            if not holds:
                raise refusal(name, getattr(data, name), wanted)
        least, most = self.n_examples, min(data.n_valid, n_valid, self.cost - 3 * self.n_examples)
        self._require(least <= self.n_held_out <= most, "n_held_out", f"from {least} to {most}")

    @property
    def cost(self) -> int:
        """The forward passes that judging an architecture by a dish costs; a training step has three per example."""
        return 3 * self.n_examples * self.n_dish_steps + self.n_examples

    @property
    def equal_steps(self) -> int:
        """The steps on real data that cost as much as a dish, validation included."""
        return (self.cost - self.n_held_out) // (3 * self.n_examples)

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The steps on real data after which training may be stopped: those of equal cost, halves, doubles, and all."""
        doubled = {int(self.equal_steps * 2.0**i) for i in range(-3, 30)}
        return (*sorted(step for step in doubled if 0 < step < self.n_steps), self.n_steps)

    @property
    def costs(self) -> np.ndarray:
        """What these cost, in the cost of a dish."""
        return (3 * self.n_examples * np.array(self.evaluated) + self.n_held_out) / self.cost

    @property
    def n_all(self) -> int:
        """The number of architectures, of which those that teach come first."""
        return self.n_taught + self.n_ranked

    def images(self, name: Any, seed: int = 0) -> Images:
        """Return images as a seed divides them."""
        if name == "digits":
            return Images(name, min(self.data.n_train, N_DIGITS), seed=seed)
        return Images(name, self.data.n_train, None, self.data.n_test, seed, self.data_dir)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return the data sets."""
    return [{"dataset": name} for name in protocol.dataset]


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the image sets by their names."""
    return {name: protocol.images(name) for name in protocol.dataset if name != "mnist1d"}


@functools.lru_cache(maxsize=32)
def data_of(protocol: Protocol, name: str, seed: int) -> SplitArrays:
    """Return a seed's data in random order, with inputs (channels, positions)."""
    splits = fresh(protocol.data)(seed) if name == "mnist1d" else load_images(protocol.images(name, seed))
    rng = np.random.default_rng([seed, 1])

    def shaped(part: Dataset, n: int | None = None) -> Dataset:
        rows = rng.permutation(len(part.y))[:n]
        x = np.moveaxis(part.x[rows], 2, -1) if part.x.ndim > 2 else part.x[rows]  # columns last
        return Dataset(x.reshape(len(rows), *SHAPES[name]), part.y[rows])

    train, valid, test = shaped(splits.train), shaped(splits.valid, protocol.n_held_out), shaped(splits.test)
    return as_arrays(splits._replace(train=train, valid=valid, test=test))


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train all architectures on real data, learn a dish for each seed, and let dishes and subsets rank."""
    name, seeds, n_taught = condition["dataset"], list(context.seeds), protocol.n_taught
    data = {seed: data_of(protocol, name, seed) for seed in seeds}
    real = _on_real_data(protocol, name, data, context)
    begun = {seed: dish.begun(one, protocol.n_examples) for seed, one in data.items()}
    truth = dict(zip(seeds, real.test_accuracy.values[:, :n_taught] / 100, strict=True))
    found = metalearn(
        dish.objective(SHAPES[name], protocol.n_examples), dish.served(protocol.n_examples), _meta_plan(protocol),
        # the truth differs by seed, so it stands beside what is learned; its gradient is 0
        [lambda seed: {"dish": begun[seed], "truth": truth[seed]}], seeds, key=context.key,
        fixed={"learning_rate": protocol.learning_rate, "spec": _side_by_side(range(n_taught))},
        progress=context.progress,
    )  # fmt: skip
    learned = {seed: jax.tree.map(lambda leaf, i=i: leaf[0, i], found.hparams["dish"]) for i, seed in enumerate(seeds)}
    scores = {by: _scores(protocol, name, dishes, context) for by, dishes in (("dish", learned), ("subset", begun))}
    scores["size"] = np.broadcast_to(sizes(SHAPES[name])[n_taught : protocol.n_all], scores["dish"].shape)
    ranked = real.isel(architecture=slice(n_taught, None))
    variables = {"score": (("predictor", *ranked.test_accuracy.dims), np.stack([*scores.values()])),
                 "mismatch": (("seed", "outer_step"), found.results.outer_loss.values[0])}  # fmt: skip
    if name == "mnist1d":
        variables["dish_x"] = ("seed", "synthetic", "position"), np.stack([one["x"][:, 0] for one in learned.values()])
        variables["dish_y"] = ("seed", "synthetic", "class"), np.stack([one["y"] for one in learned.values()])
    coords = {"predictor": [*scores], "outer_step": range(protocol.n_outer_steps)}
    return ranked.assign(variables).assign_coords(coords)


def _on_real_data(protocol: Protocol, name: str, data: Mapping[int, SplitArrays], context: Context) -> xr.Dataset:
    """Train all architectures on real data; "early" is what ranks them where training is stopped."""
    plan = Plan(protocol.n_steps, protocol.n_examples, protocol.evaluated, n_train_evaluated=1)
    rate = np.float32(protocol.learning_rate)

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for seed, one in data.items():
            for i in range(protocol.n_all):
                key = jax.random.fold_in(stream(jax.random.fold_in(context.key, seed), "real"), i)
                yield one, Member(key, {"learning_rate": rate, "spec": {part: v[i] for part, v in specs().items()}})

    trained = run_members(training_run(supervised(network(SHAPES[name])), plan), members(), progress=context.progress)
    found = [(one.history["test_accuracy"][-1], -one.history["valid_loss"][1:]) for one in trained]
    dims, n_each = ("seed", "architecture"), (len(data), protocol.n_all, -1)
    accuracy, early = (np.reshape(values, n_each) for values in zip(*found, strict=True))
    return xr.Dataset({"test_accuracy": (dims, accuracy[..., 0]), "early": ((*dims, "cost"), early)},
                      {"seed": [*data], "architecture": names(protocol.n_all), "cost": protocol.costs})  # fmt: skip


def _scores(protocol: Protocol, name: str, dishes: Mapping[int, Any], context: Context) -> np.ndarray:
    """Return the scores in percent of the ranked architectures on the dish of each seed."""
    n, n_taught = protocol.n_examples, protocol.n_taught
    sets = [range(first, first + n_taught) for first in range(n_taught, protocol.n_all, n_taught)]
    truth = np.zeros(n_taught, np.float32)  # unknown, and of no effect

    def members() -> Iterator[tuple[None, Member]]:
        for seed, one in dishes.items():
            for chosen in sets:
                key = jax.random.fold_in(stream(jax.random.fold_in(context.key, seed), "ranked"), chosen[0])
                hparams = {"learning_rate": np.float32(protocol.learning_rate), "dish": one, "truth": truth}
                yield None, Member(key, hparams | {"spec": _side_by_side(chosen)})

    plan = _dish_plan(protocol)
    trained = run_members(training_run(dish.objective(SHAPES[name], n), plan, dish.served(n)), members(),
                          progress=context.progress)  # fmt: skip
    labels = [jax.nn.softmax(one["y"])[n:].T for one in dishes.values() for _ in sets]
    scores = [dish.score(one.prediction.T, y) for one, y in zip(trained, labels, strict=True)]
    return 100 * np.array(scores).reshape(len(dishes), -1)


def _side_by_side(numbers: Sequence[int]) -> dict[str, np.ndarray]:
    return {choice: values[list(numbers)] for choice, values in specs().items()}


def _dish_plan(protocol: Protocol) -> Plan:
    return Plan(protocol.n_dish_steps, protocol.n_examples, protocol.n_dish_steps, optimizer=dish.adam)


@functools.cache
def _meta_plan(protocol: Protocol) -> MetaPlan:
    return MetaPlan(_dish_plan(protocol), protocol.n_outer_steps, optax.adam(protocol.outer_rate), _last_mismatch,
                    "reverse", fresh_start=True)  # fmt: skip


def _last_mismatch(history):
    return history["test_loss"][-1]


def n_steps(protocol: Protocol, dataset: str) -> int:
    """Return the optimiser steps of one seed, of sets of architectures as many as of one."""
    ranking = 2 * protocol.n_ranked // protocol.n_taught * protocol.n_dish_steps
    return protocol.n_all * protocol.n_steps + protocol.n_outer_steps * protocol.n_dish_steps + ranking


def resources(protocol: Protocol, dataset: str) -> tuple[int, int]:
    """Return the FLOPs of one seed, and the bytes of its data and network."""
    shape, data = SHAPES[dataset], protocol.data
    model = network(shape)({"spec": {choice: np.float32(1) for choice in CHOICES}})
    on_dishes = METAGRADIENT * protocol.n_outer_steps * protocol.n_taught + 2 * protocol.n_ranked
    steps = protocol.n_all * protocol.n_steps + round(on_dishes * protocol.n_dish_steps)
    n_evaluations = protocol.n_all * len(protocol.evaluated)
    flops, _ = training_cost(model, shape, steps, protocol.n_examples, n_evaluations, protocol.n_held_out + data.n_test)
    return flops, training_cost(model, shape, 0, protocol.n_examples, 0, data.n_train + data.n_valid + data.n_test)[1]
