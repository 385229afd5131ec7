"""Models, tasks, and how any learner is trained and tested."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import numpy as np
import xarray as xr

from flylab.base.constraints import PositiveInt
from flylab.data import MNIST1D, Dataset, Splits, fresh, shared, shuffled
from flylab.data.generator import DATA_PARAMS, endless
from flylab.data.inputs import stacked_classes
from flylab.models import get_model
from flylab.models.masks import masked
from flylab.models.tickets import load_ticket
from flylab.study import Condition, Context, SupervisedProtocol
from flylab.study.protocol import NSeeds
from flylab.training.dispatch import Progress
from flylab.training.learners import CLASSIFIERS, Learner, of_classifier, of_model
from flylab.training.training import Training

Network = Literal[
    "logistic", "mlp", "ticket", "local", "cnn", "tcn", "resnet", "gru", "lstm", "attention", "bag", "mixer"
]
Reference = Literal["neighbours", "svm", "forest", "boosting"]  # untuned classifiers of scikit-learn
NETWORKS, REFERENCES = get_args(Network), get_args(Reference)
MODELS = (*NETWORKS, *REFERENCES)
ENDS = ("mlp", "cnn")  # where the score is 0 and 1
DOUBLED = ("corr_noise_scale", "iid_noise_scale", "shear_scale", "scale_coeff", "max_translation")
N_SHIFTED = 2000  # test examples with a data parameter doubled


@dataclass(frozen=True)
class Protocol(SupervisedProtocol):
    """The protocol of `architectures`: published data, Adam, batches in fixed order."""

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    models: tuple[Network | Reference, ...] = MODELS
    """Models to compare; neighbours, svm, forest and boosting are scikit-learn's. mlp and cnn are always included: they
    define the score."""
    train_sizes: tuple[PositiveInt, ...] = ()
    """Sizes of smaller training sets to train on as well: the first examples of the plain data."""
    eval_every: PositiveInt = 1000
    """Steps between evaluations."""
    fresh_data: bool = False
    """Use a new data set per seed (generator seed 1000 + 2·seed) instead of the published one."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "models", tuple(name for name in MODELS if name in (*ENDS, *self.models)))
        is_smaller = max(self.train_sizes, default=0) < self.data.n_train
        self._require(is_smaller, "train_sizes", f"less than n_train={self.data.n_train}")
        shape, ticket = (self.data.final_seq_length, self.data.outputs), (40, 10)
        if "ticket" in self.models and shape != ticket:
            raise ValueError(f"models=ticket is for {ticket[0]} positions and {ticket[1]} classes, not {shape}: leave "
                             "it out with --models")  # fmt: skip


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return models × arrangements, and plain data with fewer examples; slowest first."""
    return [condition for model in protocol.models[::-1] for condition in conditions_of(protocol, model)]


def conditions_of(protocol: Protocol, model: str) -> list[Condition]:
    """Return the conditions of one model."""
    n_train = protocol.data.n_train
    tasks = [("plain", n_train), ("shuffled", n_train), *(("plain", n) for n in protocol.train_sizes)]
    return [{"model": model, "arrangement": arrangement, "n_train": n} for arrangement, n in tasks]


def n_steps(protocol: Protocol, **condition: Any) -> int:
    """Return the optimiser steps of one seed; classifiers count as networks do."""
    return protocol.n_steps


def training(protocol: Protocol, model: str, arrangement: str, n_train: int) -> list[Training]:
    """Return the training that a network costs; of classifiers nobody counts it."""
    if model in REFERENCES:
        return []
    data = replace(protocol.data, n_train=n_train)
    network = get_model("mlp" if model == "ticket" else model, data.final_seq_length, data.outputs)
    return [Training(network, data, protocol.plan, protocol.hparams)]


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Train one model for all seeds, and test it with one data parameter doubled at a time."""
    size, classifier = (protocol.data.final_seq_length, protocol.data.outputs), CLASSIFIERS.get(condition["model"])
    if classifier is not None and not classifier.is_random and not protocol.fresh_data:
        result = _of_any_seed(protocol, **condition)
        if context.progress is not None:
            context.progress(protocol.n_steps * len(context.seeds))
        return xr.concat([result.assign_coords(seed=[seed]) for seed in context.seeds], "seed")
    if classifier is not None:
        learner = of_classifier(classifier.build())
    elif condition["model"] == "ticket":
        learner = _ticket(context.artifacts["ticket"])
    else:
        learner = of_model(get_model(condition["model"], *size), size[:1])
    return learn(learner, protocol, condition, context.seeds, key=context.key, progress=context.progress)


@functools.lru_cache(maxsize=1)
def _of_any_seed(protocol: Protocol, **condition: Any) -> xr.Dataset:
    """Train a classifier that does not depend on the seed, once for all seeds, which share their data."""
    learner = of_classifier(CLASSIFIERS[condition["model"]].build())
    return learn(learner, protocol, condition, [0], key=0)


def learn(learner: Learner, protocol: Protocol, condition: Condition, seeds: Sequence[int], *, key,
          progress: Progress | None = None) -> xr.Dataset:  # fmt: skip
    """Train any learner in one condition.

    With all plain data the results include `robust_accuracy` over `seed` and `data_param`, the test accuracy on plain
    data with this data parameter doubled.
    """
    order = shuffled(protocol.data.final_seq_length) if condition["arrangement"] == "shuffled" else None
    config = protocol.data if order is None else replace(protocol.data, permutation=order)

    def data(seed: int) -> Splits:
        splits, n = fresh(config)(seed) if protocol.fresh_data else shared(config), condition["n_train"]
        return splits._replace(train=Dataset(splits.train.x[:n], splits.train.y[:n]))

    splits = data if protocol.fresh_data else data(0)
    fitted = learner.fit(splits, protocol.plan, protocol.learning_rate, seeds, key=key, progress=progress)
    results = fitted.results.assign(
        label=(("seed", "example"), stacked_classes([data(seed).test.y for seed in seeds])),
        n_params=("seed", np.full(len(seeds), float(learner.n_params))),
        flops=("seed", np.full(len(seeds), float(learner.flops))),
    )
    if condition["arrangement"] == "plain" and condition["n_train"] == protocol.data.n_train:
        tests = doubled(protocol.data)
        robust = [100 * (fitted.predict(test.x) == test.y).mean(1) for test in tests.values()]
        results = results.assign_coords(data_param=list(tests))
        results = results.assign(robust_accuracy=(("seed", "data_param"), np.array(robust).T))
    return results


@functools.cache
def _ticket(path: Path) -> Learner:
    """Make a learner of the committed ticket's mask; its parameters and FLOPs are those of the surviving weights."""
    ticket = load_ticket(path)
    learner = of_model(masked(ticket.model, ticket.mask), (40,))
    survivors = [int(leaf.sum()) for leaf in jax.tree.leaves(ticket.mask)]
    weights = [int(leaf.sum()) for leaf in jax.tree.leaves(ticket.mask) if leaf.ndim == 2]
    return learner._replace(n_params=sum(survivors), flops=2 * sum(weights))


@functools.lru_cache(maxsize=4)
def doubled(data: MNIST1D) -> dict[str, Dataset]:
    """Return fresh test sets: the usual one (`none`), and one with each data parameter doubled.

    The translation is doubled only as far as a signal has room. All sets come from the generator in JAX and are
    standardised by the constants of the usual data.
    """
    n_test = -(-N_SHIFTED // data.n_classes) * data.n_classes  # a multiple of the number of classes
    source = endless(replace(data, n_train=data.n_classes, n_valid=0, n_test=n_test))
    usual = {name: float(getattr(data, name)) for name in DATA_PARAMS}
    room = {"max_translation": max(data.n_points - data.template_len, data.max_translation)}
    settings = {"none": usual} | {
        name: usual | {name: min(2 * usual[name], float(room.get(name, np.inf)))} for name in DOUBLED
    }
    generate = jax.jit(lambda data_params: source.evaluation(source.prepare(usual), data_params)[1])
    return {name: Dataset(*map(np.asarray, generate(data_params))) for name, data_params in settings.items()}
