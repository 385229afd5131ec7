"""Which activation function serves a small MLP best, if each is tuned by equally many trials?

Activations, JAX's, the metalearned one and their users' (`--activation my.py:my_function`), in the published MLP under
one protocol (`flylab.study.contest`), trained by Adam, whose rate is tuned for each.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import xarray as xr
from matplotlib.figure import Figure

from flylab.data import MNIST1D
from flylab.models import activations, get_model
from flylab.results.contests import figure_of, table_of
from flylab.results.tables import Table
from flylab.study import Slot, Study
from flylab.study.contest import ContestProtocol, contest
from flylab.study.contestants import RATE, try_activation
from flylab.training.objectives import supervised
from flylab.training.tuning import Fit, fit_of

Name = Literal["relu", "leaky_relu", "tanh", "softplus", "elu", "silu", "gelu", "learned"]
FUNCTIONS = {
    "relu": jax.nn.relu, "leaky_relu": jax.nn.leaky_relu, "tanh": jnp.tanh, "softplus": jax.nn.softplus,
    "elu": jax.nn.elu, "silu": jax.nn.silu, "gelu": jax.nn.gelu, "learned": activations.learned,
}  # fmt: skip
TITLES = {"relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU", "silu": "SiLU", "gelu": "GELU"}


@dataclass(frozen=True)
class Protocol(ContestProtocol):
    """Activations in the published MLP under Adam, whose rate is tuned from 1e-4 to 1 by equally many trials."""

    models: tuple[Literal["mlp"], ...] = ("mlp",)
    """Networks to train: mlp."""
    activations: tuple[Name, ...] = get_args(Name)
    """Activation functions to compare."""


SLOTS = {"activation": Slot(
    "an elementwise function of JAX arrays", try_activation, taken=get_args(Name)
)}  # fmt: skip


def fit(protocol: Protocol, model: str, activation: Any) -> Fit:
    """Return how the MLP trains with an activation."""
    function = FUNCTIONS.get(activation, activation)  # a name, or a user's function
    network = get_model(model, protocol.data.final_seq_length, protocol.data.outputs, activation=function)
    return fit_of(supervised(network), "adam", RATE)


conditions, training, run = contest("activation", "activations", fit)


def table(results: xr.Dataset) -> Table:
    """Return accuracies, ranks and tuned hyper-parameters."""
    return table_of(results, "activation", TITLES)


def figure(results: xr.Dataset) -> Figure:
    """Plot the ranking, learning curves, and the sensitivity to the learning rate."""
    return figure_of(results, "activation", TITLES)


PRESETS = {
    "smoke": Protocol(n_seeds=2, activations=("relu", "tanh"), n_trials=3, n_steps=20, eval_every=10,
                      data=MNIST1D(n_train=200, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=5, n_trials=5, n_steps=1000),
    "paper": Protocol(tasks=("plain", "noise", "few", "shuffled")),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 1, "paper": 36}
STUDY = Study.of_module(__name__)
