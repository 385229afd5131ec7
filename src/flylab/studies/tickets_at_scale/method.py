"""What is trained: the search for tickets, their training on other data, and their children."""

import functools
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax
import numpy as np
import xarray as xr
from msgspec import Meta

from flylab.analysis.connectivity import barrier
from flylab.base.constraints import NonNegativeInt, PositiveFloat, PositiveInt
from flylab.base.rng import stream
from flylab.data import MNIST1D, Dataset, Images, fresh, load_images, shuffled
from flylab.data.images.load import digest
from flylab.data.images.resize import resized
from flylab.models.dense import mlp
from flylab.models.flops import training_cost
from flylab.models.locality import clustering
from flylab.models.masks import first_layer, rewired_mask
from flylab.study import BaseProtocol, Condition, Context
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.pruning import search_tickets, train_pruned, with_mask
from flylab.training.step import Member, Plan

DatasetName = Literal["mnist1d", "mnist1d-80", "mnist1d-160", "digits", "mnist", "cifar10"]
SHAPES = {"mnist1d": (1, 40, 1), "mnist1d-80": (1, 80, 1), "mnist1d-160": (1, 160, 1), "digits": (8, 8, 1),
          "mnist": (28, 28, 1), "cifar10": (32, 32, 3)}  # height, width, channels  # fmt: skip
LONGER, IMAGES = ("mnist1d-80", "mnist1d-160"), {"digits": 1400, "mnist": 60_000, "cifar10": 50_000}  # and how many
TREATMENTS = ("dense", "ticket", "random")  # the last with the ticket's survivors of every unit and every input
ANALYSED = 92  # percent of pruned weights, of which the nearest round is taken, as in the study `lottery`
N_DISTANCES, N_POINTS = 9, 11  # of pairs of survivors; on the line between two children


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """Iterative magnitude pruning of published MLPs with rewinding; Adam, batches reshuffled in each epoch.

    A data set's base case has the first width, share and rewinding step, and plain positions. Each other condition
    differs from it in one of these.
    """

    dataset: tuple[DatasetName, ...] = ("mnist1d", "mnist1d-80", "mnist1d-160", "digits")
    """Data sets. Signals are made anew for each seed, images are divided anew."""
    data_dir: str | None = None
    """Folder with mnist/ and cifar10/, which hold the files. By default they are downloaded. Digits need none."""
    n_train: PositiveInt = 4000
    """Training examples, or all that a set has."""
    n_test: PositiveInt = 1000
    """Test examples; digits have 397."""
    widths: tuple[PositiveInt, ...] = (100, 200, 400)
    """Hidden units of each of the two layers."""
    shares: tuple[Annotated[float, Meta(gt=0, le=1)], ...] = (1.0, 0.125)
    """Shares of the training examples."""
    rewinds: tuple[NonNegativeInt, ...] = (0, 25, 100)
    """Steps of the dense training to which survivors are rewound; 0 is the initialisation."""
    n_rounds: Annotated[int, Meta(ge=2, le=100)] = 6
    """Rounds of pruning; the first trains the dense network."""
    prune_rate: Annotated[float, Meta(gt=0, lt=1)] = 0.4
    """Share of each layer's surviving weights that a round prunes."""
    n_steps: PositiveInt = 400
    """Optimiser steps of each training."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate on signals."""
    image_learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate on images."""
    null_samples: PositiveInt = 10
    """Random masks that clustering is compared with; they keep the survivors of every unit and every input."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(max(self.rewinds, default=0) <= self.n_steps, "rewinds", f"integers ≤ n_steps={self.n_steps}")
        for name in ("widths", "shares", "rewinds"):
            self._require(len(getattr(self, name)) > 0, name, "a list that begins with the base case's")
        for name in self.dataset:
            if name not in IMAGES:
                self.signals(name)  # which refuses numbers of examples that it cannot have

    @property
    def sparsities(self) -> list[float]:
        """The share of pruned weights in each round."""
        return [1 - (1 - self.prune_rate) ** i for i in range(self.n_rounds)]

    def base(self, dataset: str) -> dict[str, Any]:
        """Return the base case of a data set."""
        return {"dataset": dataset, "width": self.widths[0], "share": self.shares[0], "arrangement": "plain",
                "rewind_to": self.rewinds[0]}  # fmt: skip

    def signals(self, name: str) -> MNIST1D:
        """Return the config of signals."""
        return MNIST1D(self.n_train, 0, self.n_test, final_seq_length=SHAPES[name][1])

    def images(self, name: Any, seed: int = 0) -> Images:
        """Return images as a seed divides them."""
        n_test = None if name == "digits" else self.n_test
        return Images(name, min(self.n_train, IMAGES[name]), 0, n_test, seed, self.data_dir)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return the base case of each data set and what differs from it in one thing; longer signals are permuted only."""
    lists = {"width": protocol.widths, "share": protocol.shares, "rewind_to": protocol.rewinds}
    changes = [{name: value} for name, values in lists.items() for value in values[1:]]
    return [protocol.base(name) | change for name in protocol.dataset
            for change in ({}, {"arrangement": "permuted"}, *(() if name in LONGER else changes))]  # fmt: skip


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the image sets by their names."""
    return {name: protocol.images(name) for name in protocol.dataset if name in IMAGES}


def input_digest(protocol: Protocol) -> Callable[[Condition], str | None]:
    """Return the digest of all images, on any of which a ticket of images may be trained."""
    digests = "".join(map(digest, image_sets(protocol).values()))
    found = hashlib.sha256(digests.encode()).hexdigest()
    return lambda condition: found if condition["dataset"] in IMAGES else None


def analysed_on(protocol: Protocol, condition: Condition) -> list[str]:
    """Return the data that a ticket is trained on: in base cases its own, plain and permuted, and all other images."""
    name = condition["dataset"]
    others = [other for other in image_sets(protocol) if name in IMAGES and other != name]
    return [name, "permuted", *others] if condition == protocol.base(name) else []


def has_children(protocol: Protocol, condition: Condition) -> bool:
    """Return whether a condition differs from a base case, if at all, in the rewinding step."""
    name, rewind_to = condition["dataset"], condition["rewind_to"]
    return name not in LONGER and condition == protocol.base(name) | {"rewind_to": rewind_to}


def n_steps(protocol: Protocol, **condition: Any) -> int:
    """Return the optimiser steps of one seed, without reading images."""
    n_analysed = len(TREATMENTS) * len(analysed_on(protocol, condition)) + 4 * has_children(protocol, condition)
    return protocol.n_steps * (protocol.n_rounds + n_analysed)


def resources(protocol: Protocol, **condition: Any) -> tuple[int, int]:
    """Return the FLOPs of one seed, and the bytes of its data and network."""
    name, steps = condition["dataset"], n_steps(protocol, **condition)
    shape, n_examples = (math.prod(SHAPES[name]),), protocol.n_train + protocol.n_test
    model = mlp(*shape, 10, condition["width"])
    return training_cost(model, shape, steps, protocol.batch_size, 2 * steps // protocol.n_steps, n_examples)


@functools.lru_cache(maxsize=24)
def data_of(protocol: Protocol, name: str, like: str, seed: int, share: float, is_permuted: bool) -> SplitArrays:
    """Return a seed's data with flat inputs of the shape of another set, their pixels permuted in an own way."""
    shape = SHAPES[like]
    splits = load_images(protocol.images(name, seed)) if name in IMAGES else fresh(protocol.signals(name))(seed)
    order = list(shuffled(math.prod(shape[:2]), seed)) if is_permuted else slice(None)

    def flat(part: Dataset, n: int | None = None) -> Dataset:
        x = resized(part.x[:n].reshape(-1, *SHAPES[name]), shape).reshape(-1, math.prod(shape[:2]), shape[2])
        return Dataset(x[:, order].reshape(len(x), -1), part.y[:n])

    train = flat(splits.train, max(round(share * len(splits.train.y)), 1))
    return as_arrays(splits._replace(train=train, valid=Dataset(train.x[:0], train.y[:0]), test=flat(splits.test)))


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Search for the tickets of all seeds, train them on other data, and join their children by lines."""
    name, seeds, targets = condition["dataset"], list(context.seeds), analysed_on(protocol, condition)
    model = mlp(math.prod(SHAPES[name]), 10, condition["width"])
    plan = Plan(protocol.n_steps, protocol.batch_size, protocol.n_steps, True,
                save_params_at=(condition["rewind_to"],))  # fmt: skip
    hparams = {"learning_rate": np.float32(protocol.image_learning_rate if name in IMAGES else protocol.learning_rate)}

    def data(seed: int, target: str = "") -> SplitArrays:
        source = name if target in ("", "permuted") else target
        is_permuted = "permuted" in (target, condition["arrangement"])
        return data_of(protocol, source, name, seed, condition["share"], is_permuted)

    def begun(seed: int) -> Member:
        key = jax.random.fold_in(context.key, seed)
        return Member(key, hparams, jax.device_get(model.init(stream(key, "init"))))

    members = {seed: begun(seed) for seed in seeds}
    found = search_tickets(model, plan, [(data(seed), members[seed]) for seed in seeds], protocol.sparsities,
                           context.progress)  # fmt: skip
    at, arms = int(np.abs(100 * np.array(protocol.sparsities) - ANALYSED).argmin()), {}
    for seed, search in zip(seeds, found, strict=True):
        ticket = search.masks[at]
        masks = (search.masks[0], ticket, rewired_mask(ticket, np.random.default_rng([seed, 1]), "unit-input"))
        arms[seed] = [with_mask(members[seed], search.rewound, mask) for mask in masks]
    on = [
        [one.history["test_accuracy"][-1] for one in train_pruned(
            model, plan, ((data(seed, target), arm) for seed in seeds for arm in arms[seed]), context.progress)]
        for target in targets  # one by one, since sets differ in size
    ]  # fmt: skip
    born = ((data(seed), arm._replace(key=jax.random.fold_in(arm.key, child))) for seed in seeds
            for arm in arms[seed][:2] for child in (1, 2) if has_children(protocol, condition))  # fmt: skip
    children = train_pruned(model, plan, born, context.progress)

    height = jax.jit(lambda a, b, test: barrier(model, a, b, Dataset(*test), of="error", n_points=N_POINTS))
    heights = [height(a.params, b.params, tuple(data(seeds[i // 2]).test)) for i, (a, b) in
               enumerate(zip(children[::2], children[1::2], strict=True))]  # fmt: skip
    masks = {seed: search.masks for seed, search in zip(seeds, found, strict=True)}
    variables = _clusters(protocol, SHAPES[name], masks, range(1, protocol.n_rounds) if targets else [at], at)
    variables["search_accuracy"] = ("seed", "sparsity"), np.array([search.accuracy for search in found], np.float32)
    coords = {"seed": seeds, "sparsity": [100 * value for value in protocol.sparsities],
              "distance": range(1, N_DISTANCES + 1), "treatment": [*TREATMENTS]}  # fmt: skip
    if targets:
        accuracies = np.array(on, np.float32).reshape(len(targets), len(seeds), -1).swapaxes(0, 1)
        variables["transfer_accuracy"] = ("seed", "target", "treatment"), accuracies
        coords["target"] = targets
    if heights:
        variables["barrier"] = ("seed", "network"), np.array(heights, np.float32).reshape(len(seeds), -1)
        coords["network"] = [*TREATMENTS[:2]]
    return xr.Dataset(variables, coords)


def _clusters(
    protocol: Protocol, shape: tuple[int, int, int], masks: Mapping[int, list], rounds: Iterable[int], at: int
) -> dict[str, Any]:
    """Measure how each seed's survivors cluster, after some rounds; by distance, after the analysed one."""
    ratios, pairs = np.full((2, len(masks), protocol.n_rounds), np.nan, np.float32), []
    for i, (seed, of_rounds) in enumerate(masks.items()):
        for number in rounds:
            rng = np.random.default_rng([seed, number, 2])
            *ratios[:, i, number], by_distance = clustering(
                first_layer(of_rounds[number]), shape, rng, N_DISTANCES, protocol.null_samples
            )
            pairs += [by_distance] if number == at else []
    named = zip(("neighbours", "association"), ratios, strict=True)
    return {name: (("seed", "sparsity"), values) for name, values in named} | {
        "co_survival": (("seed", "distance"), np.array(pairs, np.float32))}  # fmt: skip
