"""Signals and images, the networks that learn them, and the references without a network."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, get_args

import numpy as np
import xarray as xr
from msgspec import Meta

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, Dataset, Images, Splits, fresh, shared, shuffled
from flylab.data.inputs import stacked_classes
from flylab.models import get_model
from flylab.models.registry import PUBLISHED
from flylab.studies.architectures import images
from flylab.study import Condition, Context, SupervisedProtocol
from flylab.training.learners import CLASSIFIERS, published_logistic
from flylab.training.training import Training

NETWORKS = PUBLISHED
IMAGE_NETWORKS = tuple(images.MODELS)
REFERENCES = ("neighbours", "sklearn_logistic", "svm")  # untuned classifiers of scikit-learn
DatasetName = Literal["mnist1d", "digits", "mnist", "fashion_mnist", "cifar10"]
# "shuffled" by the published permutation, "reshuffled" by one of its own for each seed
ARRANGEMENTS = {"plain": "plain", "shuffled": "shuffled", "reshuffled": "shuffled in its own way by each seed"}
NAMES = get_args(DatasetName)
N_REFERENCE = 2000  # training images for scikit-learn's classifiers: with all images some would take hours


@dataclass(frozen=True)
class Protocol(SupervisedProtocol):
    """The published protocol (Greydanus & Kobak 2024, table 1), with more seeds.

    On images none was published, so networks are tuned there, modestly: each seed trains at every learning rate of a
    small grid, and takes the rate and the evaluation with the best validation accuracy. Sizes (MLP of 256 units, CNN of
    16, 32 and 32 channels, ResNet of 8, 16 and 32), rates and steps were fixed before any test accuracy was seen.
    """

    fresh_data: bool = False
    """Also train every network on a new data set per seed (generator seed 1000 + 2·seed)."""
    own_permutations: bool = False
    """Also shuffle the positions by another permutation for each seed, `RandomState(seed)`; those of images only so."""
    dataset: tuple[DatasetName, ...] = ("mnist1d",)
    """Data sets to train on. MNIST-1D is always included, for comparison."""
    data_dir: str | None = None
    """Folder with mnist/, fashion_mnist/ and cifar10/, which hold the files. By default the files are downloaded."""
    image_n_train: PositiveInt | None = None
    """Training images. By default, all but the validation set."""
    image_learning_rates: Annotated[tuple[PositiveFloat, ...], Meta(min_length=1)] = (1e-3, 3e-3)
    """Adam's learning rates to try on images."""
    image_n_steps: PositiveInt = 2200
    """Optimiser steps on images, at each rate: four epochs of MNIST."""
    image_eval_every: PositiveInt = 550
    """Steps between evaluations on images, among which tuning chooses: an epoch of MNIST."""
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
    on_images = [
        {"dataset": name, "model": model, "arrangement": arrangement, "source": "published"}
        for name in protocol.dataset[1:]
        for arrangement in ("plain", "reshuffled" if protocol.own_permutations else "shuffled")
        for model in (IMAGE_NETWORKS if arrangement == "plain" else images.SHUFFLED)[::-1]
    ]
    easy = [name for name in protocol.dataset if name != "cifar10"]  # whose raw pixels take hours and tell little
    references = [(name, model, "fresh") for name in dict.fromkeys((*easy, "digits"))
                  for model in REFERENCES if model != "svm" or name != "mnist1d"]  # fmt: skip
    references += [("mnist1d", model, "published") for model in REFERENCES[:2]]
    return [*signals, *on_images] + [
        {"dataset": name, "model": model, "arrangement": "plain", "source": source}
        for name, model, source in references
    ]


def image_sets(protocol: Protocol) -> dict[str, Images]:
    """Return the image sets by their names."""
    return {name: _config(protocol, name) for name in protocol.dataset[1:]}


def training(protocol: Protocol, dataset: str, model: str, arrangement: str, source: str) -> Training | list[Training]:
    """Train a network with Adam on batches in fixed order, on images at each rate; the references need no training."""
    if model in REFERENCES:
        return []
    if dataset == "mnist1d":
        network = get_model(model, protocol.data.final_seq_length, protocol.data.outputs)
        return Training(network, _signals(protocol, arrangement, source), protocol.plan, protocol.hparams)
    plan = replace(protocol.plan, n_steps=protocol.image_n_steps, eval_every=protocol.image_eval_every)
    return images.training(_config(protocol, dataset), model, arrangement, plan, protocol.image_learning_rates)


def n_steps(protocol: Protocol, dataset: str, model: str, **others: str) -> int:
    """Return the optimiser steps of one seed, at all learning rates, without reading images."""
    if model in REFERENCES:
        return 0
    return protocol.n_steps if dataset == "mnist1d" else protocol.image_n_steps * len(protocol.image_learning_rates)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train one network for all seeds, or fit one reference for each seed."""
    dataset, model, arrangement, source = (condition[name] for name in ("dataset", "model", "arrangement", "source"))
    if model in IMAGE_NETWORKS and dataset != "mnist1d":
        described = training(protocol, **condition)
        assert isinstance(described, Training)
        return images.run(described, arrangement, context)
    signals = _signals(protocol, arrangement, source)

    def data(seed: int) -> Splits:
        if dataset == "mnist1d":
            return shared(signals) if isinstance(signals, MNIST1D) else signals(seed)
        return images.loaded(replace(_config(protocol, dataset), seed=1 + seed))[1]  # of the references

    if model in REFERENCES:
        n_train, build = None if dataset == "mnist1d" else N_REFERENCE, CLASSIFIERS[model].build
        if (dataset, model) == ("mnist1d", "sklearn_logistic"):
            build = functools.partial(published_logistic, protocol.data.n_train)
        return _references(protocol, build, data, n_train, context.seeds)
    labels = stacked_classes([data(seed).test.y for seed in context.seeds])
    described = training(protocol, **condition)
    assert isinstance(described, Training)
    cost = images.flops_per_step(described)
    return context.train(described).results.assign(
        label=(("seed", "example"), labels), flops_per_step=("seed", np.full(len(context.seeds), cost))
    )


def _signals(protocol: Protocol, arrangement: str, source: str) -> MNIST1D | Callable[[int], Splits]:
    if arrangement == "reshuffled":
        return functools.partial(_reshuffled, protocol.data)
    order = shuffled(protocol.data.final_seq_length) if arrangement == "shuffled" else protocol.data.permutation
    config = replace(protocol.data, permutation=order)
    return fresh(config) if source == "fresh" else config


def _reshuffled(config: MNIST1D, seed: int) -> Splits:
    order, splits = list(shuffled(config.final_seq_length, seed)), shared(config)
    train, valid, test = (Dataset(part.x[:, order], part.y) for part in splits[:3])
    return splits._replace(train=train, valid=valid, test=test)


def _config(protocol: Protocol, name: Any) -> Images:
    return Images(name, n_train=protocol.image_n_train, data_dir=protocol.data_dir)


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
