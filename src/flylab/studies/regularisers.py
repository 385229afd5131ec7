"""Which penalty on the weights helps a small network generalise, if each is tuned by equally many trials?

Regularisers, flylab's and their users' (`--regulariser my.py:my_penalty`), are added to the loss of the published
networks under one protocol (`flylab.study.contest`). Their strength and Adam's rate are tuned together. Which data set
tells regularisers of all kinds apart is asked by the study `regularisation`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import xarray as xr
from matplotlib.figure import Figure

from flylab.data import MNIST1D
from flylab.results.contests import figure_of, table_of
from flylab.results.tables import Table
from flylab.study import Slot, Study
from flylab.study.contest import ContestProtocol, NTrials, contest
from flylab.study.contestants import fit_of_regulariser, try_regulariser
from flylab.training.tuning import Fit


def nothing(params):
    """Return 0: no regulariser."""
    return 0.0


def squares(params):
    """Sum the squares of all parameters."""
    return sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(params))


def magnitudes(params):
    """Sum the magnitudes of all parameters (Tibshirani 1996)."""
    return sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(params))


class Baseline(NamedTuple):
    """A regulariser: its name in figures, and parameters → penalty."""

    title: str
    penalty: Callable[[Any], Any]


BASELINES = {
    "none": Baseline("none", nothing),
    "l2": Baseline("sum of squares (L2)", squares),
    "l1": Baseline("sum of magnitudes (L1)", magnitudes),
}
Name = Literal["none", "l2", "l1"]
TITLES = {name: baseline.title for name, baseline in BASELINES.items()}


@dataclass(frozen=True)
class Protocol(ContestProtocol):
    """Penalties times a strength from 1e-6 to 0.1, tuned together with Adam's rate by equally many trials."""

    regularisers: tuple[Name, ...] = get_args(Name)
    """Regularisers to compare."""
    n_trials: NTrials = 16
    """Pairs of strength and rate that each contestant may try, for each seed; none has as many rates."""


SLOTS = {"regulariser": Slot("a function of the parameters that returns a penalty", try_regulariser,
                             taken=get_args(Name))}  # fmt: skip


def fit(protocol: Protocol, model: str, regulariser: Any) -> Fit:
    """Return how a network trains with a penalty."""
    penalty = BASELINES[regulariser].penalty if regulariser in BASELINES else regulariser
    return fit_of_regulariser(penalty, model, protocol.data, is_tuned=regulariser != "none")


conditions, training, run = contest("regulariser", "regularisers", fit)


def table(results: xr.Dataset) -> Table:
    """Return accuracies, ranks and tuned hyper-parameters."""
    return table_of(results, "regulariser", TITLES)


def figure(results: xr.Dataset) -> Figure:
    """Plot the ranking, learning curves, and the sensitivity to the learning rate."""
    return figure_of(results, "regulariser", TITLES)


PRESETS = {
    "smoke": Protocol(n_seeds=2, models=("logistic", "mlp"), regularisers=("none", "l2"), n_trials=4, n_steps=20,
                      eval_every=10, data=MNIST1D(n_train=200, n_valid=100, n_test=100)),
    "quick": Protocol(n_seeds=5, n_trials=8, n_steps=1000, tasks=("plain", "few")),
    "paper": Protocol(tasks=("plain", "noise", "few", "shuffled")),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 2, "paper": 54}
STUDY = Study.of_module(__name__)
