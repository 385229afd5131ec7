"""What was published about networks on images, beside those on MNIST-1D (Greydanus 2020).

Accuracies are those of the evaluation with the best validation accuracy, on images at the best of the rates tried.
"""

from typing import Any

import numpy as np
import xarray as xr

from flylab.results.claims import Claim
from flylab.results.effects import Effect, merged
from flylab.studies.architectures.measures import stopped, training_flops
from flylab.training.learners import learner_title

TIMES = 5  # as widely as on MNIST
COST = 20  # times the FLOPs
BOTH = "MNIST-1D and MNIST"


def _tuned(model: str, dataset: str, arrangement: str = "plain") -> Effect:
    requires = {"model": model, "arrangement": arrangement, "source": "published"}
    requires |= {} if dataset == "mnist1d" else {"dataset": dataset}
    return Effect(lambda results: stopped(results, model, arrangement, dataset=dataset), requires)


def _gap(better: str, worse: str, dataset: str) -> Effect:
    return _tuned(better, dataset) - _tuned(worse, dataset)


def _level(model: str, published: str, **region: Any) -> Claim:
    statement = f"on 28×28 MNIST the {learner_title(model)}, tuned on validation data, reaches {published} %"
    return Claim(f"mnist-{model}", statement, "blog", published, "%", _tuned(model, "mnist"),
                 needs="needs --dataset mnist", on="MNIST", **region)  # fmt: skip


def _wider(id_: str, worse: str, published: str) -> Claim:
    """Return the claim that MNIST-1D spreads accuracies from a network to the CNN as much more widely as published."""
    gaps = _gap("cnn", worse, "mnist1d"), _gap("cnn", worse, "mnist")
    statement = f"from {learner_title(worse)} to CNN accuracies spread at least {TIMES} × as widely as on 28×28 MNIST"
    return Claim(id_, f"{statement} (spread − {TIMES} × MNIST's ≥ 0)", "blog", published, "points",
                 gaps[0] - gaps[1].then(lambda points: TIMES * points), above=0,
                 needs="needs --dataset mnist", on=BOTH)  # fmt: skip


def _cost(model: str) -> Claim:
    """Return the claim that one network costs so many times more on MNIST; seconds belong to a machine."""

    def ratio(results: xr.Dataset) -> xr.DataArray:
        ours, theirs = (training_flops(results, model, dataset) for dataset in ("mnist", "mnist1d"))
        return xr.apply_ufunc(np.log10, ours / theirs)

    statement = (f"training the {learner_title(model)} to its best validation accuracy takes at least {COST} × "
                 f"({np.log10(COST):.2f} decades) the FLOPs on 28×28 MNIST")  # fmt: skip
    requires = merged(_tuned(model, "mnist").requires, {"dataset": ("mnist1d", "mnist")})
    return Claim(f"cost-{model}", statement, "blog", f"{COST} ×", "decades", Effect(ratio, requires),
                 above=float(np.log10(COST)), needs="needs --dataset mnist", on=BOTH)  # fmt: skip


def _cifar10(id_: str, better: str, worse: str) -> Claim:
    statement = f"CIFAR-10 separates the {learner_title(worse)} from the {learner_title(better)} better than MNIST"
    return Claim(id_, statement, "blog", "yes", "points",
                 _gap(better, worse, "cifar10") - _gap(better, worse, "mnist"), above=0,
                 needs="needs --dataset mnist cifar10", on="MNIST and CIFAR-10")  # fmt: skip


ON_IMAGES = (
    _level("logistic", "94", within=(93.5, 94.5)),
    _level("mlp", "99+", above=99),
    _level("cnn", "99+", above=99),
    _wider("discriminates", "logistic", "62 vs 5"),
    _wider("discriminates-cnn", "mlp", "26 vs 0"),
    *map(_cost, ("logistic", "mlp", "cnn")),
    Claim("fashion-harder", "Fashion-MNIST is a bit harder than MNIST for the CNN", "blog", "yes", "points",
          _tuned("cnn", "mnist") - _tuned("cnn", "fashion_mnist"), above=0,
          needs="needs --dataset mnist fashion_mnist", on="MNIST and Fashion-MNIST"),
    _cifar10("cifar-discriminates", "cnn", "mlp"),
    _cifar10("cifar-discriminates-resnet", "resnet", "cnn"),
    Claim("reshuffle-mnist", "on 28×28 MNIST another order of the pixels for each seed costs the CNN at least a point",
          "here", "–", "points", _tuned("cnn", "mnist") - _tuned("cnn", "mnist", "reshuffled"), above=1,
          needs="needs the preset images", on="MNIST"),
)  # fmt: skip
