"""Signals and images, the networks that learn them, and the references without a network."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, Dataset, Images, Splits, fresh, load_images, shared, shuffled
from flylab.data.inputs import stacked_classes
from flylab.models import convolutional, get_model
from flylab.models.registry import PUBLISHED
from flylab.study import Condition, Context, SupervisedProtocol
from flylab.training.learners import CLASSIFIERS, published_logistic
from flylab.training.training import Training

NETWORKS = PUBLISHED
IMAGE_NETWORKS = ("logistic", "mlp", "cnn")
REFERENCES = ("neighbours", "sklearn_logistic", "svm")  # untuned classifiers of scikit-learn
DatasetName = Literal["mnist1d", "digits", "mnist", "fashion_mnist", "cifar10"]
# "shuffled" by the published permutation, "reshuffled" by one of its own for each seed
ARRANGEMENTS = {"plain": "plain", "shuffled": "shuffled", "reshuffled": "shuffled in its own way by each seed"}
NAMES = get_args(DatasetName)
N_REFERENCE = 2000  # training images for scikit-learn's classifiers: with all images some would take hours


@dataclass(frozen=True)
class Protocol(SupervisedProtocol):
    """The published protocol (Greydanus & Kobak 2024, table 1), with more seeds."""

    fresh_data: bool = False
    """Also train every network on a new data set per seed (generator seed 1000 + 2·seed)."""
    own_permutations: bool = False
    """Also shuffle the positions by another permutation for each seed, `RandomState(seed)`."""
    dataset: tuple[DatasetName, ...] = ("mnist1d",)
    """Data sets to train on. MNIST-1D is always included, for comparison."""
    data_dir: str | None = None
    """Folder with mnist/, fashion_mnist/ and cifar10/, which hold the files. By default the files are downloaded."""
    image_n_train: PositiveInt | None = None
    """Training images. By default, all but the validation set."""
    image_learning_rate: PositiveFloat = 1e-3
    """Adam's learning rate on images: its default, since no published protocol gives one."""
    image_eval_every: PositiveInt = 1500
    """Steps between evaluations on images: evaluating on all of MNIST takes about as long as a thousand steps."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "dataset", tuple(name for name in NAMES if name in ("mnist1d", *self.dataset)))


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return data sets × networks × arrangements (× sources), slowest first, then the references."""
    sources = ("published", "fresh") if protocol.fresh_data else ("published",)
    signals = [
        {"dataset": "mnist1d", "model": model, "arrangement": arrangement, "source": source}
        for source in sources
        for model in NETWORKS[::-1]
        for arrangement in ("plain", "shuffled")
    ]
    if protocol.own_permutations:
        signals += [
            {"dataset": "mnist1d", "model": model, "arrangement": "reshuffled", "source": "published"}
            for model in NETWORKS[::-1]
        ]
    images = [
        {"dataset": name, "model": model, "arrangement": arrangement, "source": "published"}
        for name in protocol.dataset[1:]
        for arrangement in ("plain", "shuffled")
        for model in IMAGE_NETWORKS[::-1]
    ]
    references = [(name, model, "fresh") for name in dict.fromkeys((*protocol.dataset, "digits"))
                  for model in REFERENCES if model != "svm" or name != "mnist1d"]  # fmt: skip
    references += [("mnist1d", model, "published") for model in REFERENCES[:2]]
    return [*signals, *images] + [
        {"dataset": name, "model": model, "arrangement": "plain", "source": source}
        for name, model, source in references
    ]


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the image sets by their names."""
    return {name: _config(protocol, name) for name in protocol.dataset[1:]}


def training(protocol: Protocol, dataset: str, model: str, arrangement: str, source: str) -> Training | list[Training]:
    """Train a network with Adam on batches in fixed order; the references need no training."""
    if model in REFERENCES:
        return []
    if dataset == "mnist1d":
        network = get_model(model, protocol.data.final_seq_length, protocol.data.outputs)
        return Training(network, _signals(protocol, arrangement, source), protocol.plan, protocol.hparams)
    config = _config(protocol, dataset)
    shape, plan = (
        _loaded(config, arrangement).train.x.shape[1:],
        replace(protocol.plan, eval_every=protocol.image_eval_every),
    )
    network = convolutional.cnn2d(shape) if model == "cnn" else get_model(model, math.prod(shape))
    return Training(network, _flat(config, arrangement), plan, {"learning_rate": protocol.image_learning_rate})


def n_steps(protocol: Protocol, model: str, **others: str) -> int:
    """Return the optimiser steps of one seed, without reading images."""
    return protocol.n_steps if model in NETWORKS else 0


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train one network for all seeds, or fit one reference for each seed."""
    dataset, model, arrangement, source = (condition[name] for name in ("dataset", "model", "arrangement", "source"))
    signals = _signals(protocol, arrangement, source)

    def data(seed: int) -> Splits:
        if dataset == "mnist1d":
            return shared(signals) if isinstance(signals, MNIST1D) else signals(seed)
        config = _config(protocol, dataset)
        return _flat(replace(config, seed=1 + seed) if source == "fresh" else config, arrangement)

    if model in REFERENCES:
        n_train, build = None if dataset == "mnist1d" else N_REFERENCE, CLASSIFIERS[model].build
        if (dataset, model) == ("mnist1d", "sklearn_logistic"):
            build = functools.partial(published_logistic, protocol.data.n_train)
        return _references(protocol, build, data, n_train, context.seeds)
    labels = stacked_classes([data(seed).test.y for seed in context.seeds])
    described = training(protocol, **condition)
    assert isinstance(described, Training)
    return context.train(described).results.assign(label=(("seed", "example"), labels))


def _signals(protocol: Protocol, arrangement: str, source: str) -> MNIST1D | Callable[[int], Splits]:
    if arrangement == "reshuffled":
        return functools.partial(_reshuffled, protocol.data)
    order = shuffled(protocol.data.final_seq_length) if arrangement == "shuffled" else protocol.data.permutation
    config = replace(protocol.data, permutation=order)
    return fresh(config) if source == "fresh" else config


def _reshuffled(config: MNIST1D, seed: int) -> Splits:
    order = list(shuffled(config.final_seq_length, seed))
    return _reshaped(shared(config), lambda x: x[:, order])


def _config(protocol: Protocol, name: Any) -> Images:
    return Images(name, n_train=protocol.image_n_train, data_dir=protocol.data_dir)


@functools.lru_cache(maxsize=1)  # they are large
def _loaded(config: Images, arrangement: str) -> Splits:
    def permuted(x: np.ndarray) -> np.ndarray:
        pixels = x.reshape(len(x), -1, x.shape[-1])
        return pixels[:, list(shuffled(pixels.shape[1]))].reshape(x.shape)

    splits = load_images(config)
    return _reshaped(splits, permuted) if arrangement == "shuffled" else splits


def _reshaped(splits: Splits, change: Callable[[np.ndarray], np.ndarray]) -> Splits:
    train, valid, test = (Dataset(change(part.x), part.y) for part in splits[:3])
    return splits._replace(train=train, valid=valid, test=test)


def _flat(config: Images, arrangement: str) -> Splits:
    """Return images with flat pixels: see `convolutional.cnn2d`."""
    return _reshaped(_loaded(config, arrangement), lambda x: x.reshape(len(x), -1))


def _references(
    protocol: Protocol, build: Callable, data: Callable, n_train: int | None, seeds: Sequence[int]
) -> xr.Dataset:
    accuracies, predictions, labels = [], [], []
    for seed in seeds:
        train, _, test = data(seed)[:3]
        predictions.append(build().fit(train.x[:n_train], train.y[:n_train]).predict(test.x))
        accuracies.append([100 * (predictions[-1] == test.y).mean()])
        labels.append(test.y)
    variables = {
        "test_accuracy": (("seed", "step"), np.array(accuracies, np.float32)),
        "prediction": (("seed", "example"), stacked_classes(predictions)),
        "label": (("seed", "example"), stacked_classes(labels)),
    }
    return xr.Dataset(variables, {"seed": list(seeds), "step": [protocol.n_steps]})
