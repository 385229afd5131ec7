"""Which optimiser trains a small network best, if each is tuned by equally many trials?

Optimisers of optax and of their users (`--optimizer my.py:MyOptimizer`, in JAX or PyTorch) train the published networks
under one protocol (`flylab.study.contest`), as Schmidt et al. (2021) ask for. A choice among flylab's baselines is
not a claim about other networks or budgets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import optax
import xarray as xr
from matplotlib.figure import Figure

from flylab.data import MNIST1D
from flylab.models.registry import get_model
from flylab.results.contests import figure_of, table_of
from flylab.results.tables import Table
from flylab.study import Slot, Study
from flylab.study.contest import ContestProtocol, contest
from flylab.study.contestants import by_name, fit_of_optimizer, try_optimizer
from flylab.training.objectives import supervised
from flylab.training.tuning import RATES, Fit, fit_of


class Baseline(NamedTuple):
    """An optimiser of optax: its name in figures, what makes it of a learning rate, and the range of that."""

    title: str
    make: Callable[..., optax.GradientTransformation]
    rates: tuple[float, float] = RATES


def _momentum(learning_rate):
    return optax.sgd(learning_rate, momentum=0.9)


def _nesterov(learning_rate):
    return optax.sgd(learning_rate, momentum=0.9, nesterov=True)


def _adamw(learning_rate):
    return optax.adamw(learning_rate, weight_decay=1e-2)  # PyTorch's default; optax's is 1e-4


def _schedule_free(learning_rate):
    return optax.contrib.schedule_free_adamw(learning_rate)


BASELINES = {
    "sgd": Baseline("SGD", optax.sgd, (1e-3, 10.0)),
    "momentum": Baseline("SGD, momentum 0.9", _momentum),
    "nesterov": Baseline("SGD, Nesterov 0.9", _nesterov),
    "adagrad": Baseline("Adagrad", optax.adagrad),
    "rmsprop": Baseline("RMSProp", optax.rmsprop),
    "adam": Baseline("Adam", optax.adam),
    "nadam": Baseline("NAdam", optax.nadam),
    "adamw": Baseline("AdamW", _adamw),
    "lion": Baseline("Lion", optax.lion),
    "muon": Baseline("Muon", optax.contrib.muon),
    "ademamix": Baseline("AdEMAMix", optax.contrib.ademamix),
    "schedule_free": Baseline("schedule-free AdamW", _schedule_free),
}
Name = Literal[
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "nadam", "adamw", "lion", "muon", "ademamix",
    "schedule_free",
]  # fmt: skip
TITLES = {name: baseline.title for name, baseline in BASELINES.items()}


@dataclass(frozen=True)
class Protocol(ContestProtocol):
    """Optimisers tuned by equally many trials of their learning rates, from 1e-4 to 1; those of SGD from 1e-3 to 10."""

    optimizers: tuple[Name, ...] = get_args(Name)
    """Optimisers to compare."""


SLOTS = {"optimizer": Slot(
    "a torch.optim.Optimizer class, a function of the learning rate that returns an optax transformation, or a "
    "training loop",
    try_optimizer, taken=get_args(Name), may_be_class=True,
)}  # fmt: skip


def fit(protocol: Protocol, model: str, optimizer: Any) -> Fit:
    """Return how an optimiser trains a network."""
    if optimizer not in BASELINES:
        return fit_of_optimizer(optimizer, model, protocol.data)
    network = get_model(model, protocol.data.final_seq_length, protocol.data.outputs)
    baseline = BASELINES[optimizer]
    return fit_of(supervised(network), by_name(baseline.make), {"learning_rate": baseline.rates})


conditions, training, run = contest("optimizer", "optimizers", fit)


def table(results: xr.Dataset) -> Table:
    """Return accuracies, ranks and tuned hyper-parameters."""
    return table_of(results, "optimizer", TITLES)


def figure(results: xr.Dataset) -> Figure:
    """Plot the ranking, learning curves, and the sensitivity to the learning rate."""
    return figure_of(results, "optimizer", TITLES)


PRESETS = {
    "smoke": Protocol(n_seeds=2, models=("logistic", "mlp"), optimizers=("sgd", "adam"), n_trials=3, n_steps=20,
                      eval_every=10, data=MNIST1D(n_train=200, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=5, optimizers=("sgd", "momentum", "adam", "adamw", "lion", "muon"), n_trials=5,
                      n_steps=1000),
    "paper": Protocol(models=("mlp", "cnn", "gru")),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 1, "paper": 86}
STUDY = Study.of_module(__name__)
