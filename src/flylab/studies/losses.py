"""Which loss trains a small classifier best, if each is tuned by equally many trials?

Losses, flylab's and their users' (`--loss my.py:my_loss`, in JAX or PyTorch), train the published networks by Adam
under one protocol (`flylab.study.contest`); its rate is tuned for each. They are judged by accuracy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import xarray as xr
from matplotlib.figure import Figure

from flylab.data import MNIST1D
from flylab.results.contests import figure_of, table_of
from flylab.results.tables import Table
from flylab.study import Slot, Study
from flylab.study.contest import ContestProtocol, contest
from flylab.study.contestants import RATE, fit_of_loss, fit_of_users_loss, try_loss
from flylab.training.losses import label_smoothing
from flylab.training.objectives import cross_entropy, squared_error
from flylab.training.tuning import Fit


def focal(logits, y, gamma=2.0):
    """Compute cross-entropy that counts what is classified well less (Lin et al. 2017, eq. 4)."""
    loss = cross_entropy(logits, y)
    return (-jnp.expm1(-loss) + 1e-7) ** gamma * loss  # 0 ** gamma has no finite derivative by gamma


def hinge(logits, y):
    """Compute the multi-class hinge loss of Crammer & Singer (2001): the margin of 1 to the best wrong class."""
    is_true = jnp.arange(logits.shape[0])[:, None] == y
    right = jnp.where(is_true, logits, 0).sum(0)
    return jax.nn.relu(1 + jnp.where(is_true, -jnp.inf, logits).max(0) - right)


BASELINES: dict[str, Callable[..., jax.Array]] = {
    "cross_entropy": cross_entropy, "squared_error": squared_error, "label_smoothing": label_smoothing, "focal": focal,
    "hinge": hinge,
}  # fmt: skip
Name = Literal["cross_entropy", "squared_error", "label_smoothing", "focal", "hinge"]
TITLES = {"cross_entropy": "cross-entropy", "squared_error": "squared error", "label_smoothing": "label smoothing 0.1",
          "focal": "focal, γ = 2"}  # fmt: skip


@dataclass(frozen=True)
class Protocol(ContestProtocol):
    """Losses under Adam, whose learning rate is tuned from 1e-4 to 1 by equally many trials."""

    losses: tuple[Name, ...] = get_args(Name)
    """Losses to compare."""


SLOTS = {"loss": Slot(
    "a function of outputs and labels: in JAX (n_outputs, batch) and (batch,) → (batch,), in PyTorch as its losses are",
    try_loss, taken=get_args(Name), may_be_class=True,
)}  # fmt: skip


def fit(protocol: Protocol, model: str, loss: Any) -> Fit:
    """Return how a network trains with a loss."""
    if loss not in BASELINES:
        return fit_of_users_loss(loss, model, protocol.data)
    return fit_of_loss(BASELINES[loss], model, protocol.data, RATE)


conditions, training, run = contest("loss", "losses", fit)


def table(results: xr.Dataset) -> Table:
    """Return accuracies, ranks and tuned hyper-parameters."""
    return table_of(results, "loss", TITLES)


def figure(results: xr.Dataset) -> Figure:
    """Plot the ranking, learning curves, and the sensitivity to the learning rate."""
    return figure_of(results, "loss", TITLES)


PRESETS = {
    "smoke": Protocol(n_seeds=2, models=("logistic", "mlp"), losses=("cross_entropy", "hinge"), n_trials=3, n_steps=20,
                      eval_every=10, data=MNIST1D(n_train=200, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=5, n_trials=5, n_steps=1000, tasks=("plain", "noise")),
    "paper": Protocol(tasks=("plain", "noise", "few", "shuffled")),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 2, "paper": 52}
STUDY = Study.of_module(__name__)
