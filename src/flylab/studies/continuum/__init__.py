"""Where do architectures stand on the continuum of spatial priors between the MLP and the CNN?

"Models with more moderate spatial priors would sit somewhere along the continuum between the MLP and CNN benchmarks"
(Greydanus 2020). Each model learns MNIST-1D, plain and with the positions shuffled by one fixed permutation, by the
protocol of `architectures`. The accuracy that shuffling costs a model measures its assumptions about positions. The
**spatial-prior score** is this cost on a scale where the published MLP stands at 0 and the published CNN at 1.

Read the score beside the accuracy: a model too weak to learn has nothing to lose and scores near 0, and so may one
whose prior is wrong for these data, for example that the halves of a signal are alike. The ticket is one mask, found by
the study `lottery` on the training signals of this very data set; its weights are initialised anew for each seed.
"""

from collections.abc import Callable
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from flylab.data import MNIST1D
from flylab.models.tickets import TICKET
from flylab.results.claims import Claim, independent
from flylab.results.effects import Effect
from flylab.results.tables import Table, over_seeds
from flylab.studies.continuum.drawing import figure_of
from flylab.studies.continuum.measures import (
    REFERENCE,
    Row,
    by_score,
    condensed,
    cost_of_shuffling,
    count,
    details,
    last,
    load_reference,
    place,
    rows,
    save_reference,
    score,
    table_of,
)
from flylab.studies.continuum.method import (
    DOUBLED,
    ENDS,
    MODELS,
    NETWORKS,
    Protocol,
    conditions,
    conditions_of,
    doubled,
    learn,
    n_steps,
    run,
    training,
)
from flylab.study import Study
from flylab.training.learners import CLASSIFIERS, learner_title

__all__ = [
    "CLAIMS", "CLASSIFIERS", "DOUBLED", "ENDS", "MODELS", "NETWORKS", "REFERENCE", "STUDY", "Protocol", "Row",
    "by_score", "condensed", "conditions", "conditions_of", "cost_of_shuffling", "count", "details", "doubled",
    "figure", "figure_of", "last", "learn", "load_reference", "n_steps", "place", "rows", "run", "save_reference",
    "score", "table", "table_of", "training",
]  # fmt: skip


DATA, BOTH = "this data set", "this data set and permutation"  # which all seeds share


def _claim(id_: str, statement: str, source: str, unit: str, effect: Callable, *models: str, **region: Any) -> Claim:
    return Claim(id_, statement, source, "–", unit, Effect(effect, {"model": (*ENDS, *models)}), **region)


def _between(model: str) -> Claim:
    statement = f"{learner_title(model)}: its accuracy lies between the MLP's and the CNN's"
    source = "here" if model in ("tcn", "lstm") else "blog"  # it speaks of "more moderate" priors than the CNN's
    return _claim(f"between-{model}", statement, source, "of MLP … CNN", lambda r: place(r, model), model,
                  within=(0, 1), on=_shared(DATA, model))  # fmt: skip


def _score(id_: str, model: str, statement: str, **region: Any) -> Claim:
    statement = f"{learner_title(model)}: {statement}"
    return _claim(f"{id_}-{model}", statement, "here", "", lambda r: score(r, model), model, on=_shared(BOTH, model),
                  **region)  # fmt: skip


def _shared(what: str, model: str) -> str:
    """Return what all seeds share; they all prune by one mask, that of the committed ticket."""
    return f"{what.replace(' and', ',')} and ticket" if model == "ticket" else what


CLAIMS = independent(["models", "train_sizes", "eval_every"], (
    *map(_between, ("ticket", "local", "tcn", "lstm", "attention", "mixer")),
    *(_score("moderate", model, "its prior is weaker than the CNN's and stronger than the MLP's", within=(0, 1))
      for model in ("ticket", "local", "attention", "mixer")),
    *(_score("equivariant", model, "what treats all positions alike has at least half of the CNN's prior", above=0.5)
      for model in ("tcn", "resnet", "gru", "lstm", "bag")),
    *(_score("none", model, "has no spatial prior (score within ± 0.1)", within=(-0.1, 0.1),
             is_sanity_check=True)
      for model in ("logistic", "neighbours", "svm", "forest", "boosting")),
    _claim("deeper", "the ResNet reaches more than the CNN", "here", "points",
           lambda r: last(r, "resnet") - last(r, "cnn"), "resnet", above=0, on=DATA),
    _claim("sharing", "sharing weights over positions is worth more than 5 points: CNN − locally connected", "here",
           "points", lambda r: last(r, "cnn") - last(r, "local"), "local", above=5, on=DATA),
))  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Tabulate every model, the highest score first."""
    return table_of(rows(results), over_seeds(results, "Spatial priors"))


def figure(results: xr.Dataset) -> Figure:
    """Plot plain against shuffled accuracy, the sorted scores, and accuracy against several sizes if there are any."""
    return figure_of(rows(results))


_TINY = MNIST1D(n_train=200, n_valid=100, n_test=100)
PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=10, eval_every=5, data=_TINY, train_sizes=(100,),
                      models=("logistic", "local", "ticket", "forest")),
    "quick": Protocol(n_seeds=4, n_steps=2000),
    "paper": Protocol(n_seeds=10, train_sizes=(1000,)),
}  # fmt: skip
MINUTES = {"smoke": 0.5, "quick": 2.9, "paper": 36}
ARTIFACTS = {"ticket": TICKET}
STUDY = Study.of_module(__name__)
