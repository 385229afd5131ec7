"""What learns to classify, whatever it is written in: networks of ours, scikit-learn's classifiers, others by adapters.

A study that compares them asks each the same: fit these data under this plan for these seeds, and predict.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float, UInt8
from numpy import ndarray
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from flylab.base.types import Key
from flylab.data.splits import SETS, Splits
from flylab.models import Model, model_title, n_params, outputs
from flylab.models.flops import forward_flops
from flylab.training.objectives import supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

Data = Splits | Callable[[int], Splits]  # the same for all seeds, or by seed


class Classifier(NamedTuple):
    """A scikit-learn classifier to compare networks with: how figures write its name, and its constructor."""

    title: str
    build: Callable[[], BaseEstimator]


CLASSIFIERS = {  # untuned: chosen beforehand
    "neighbours": Classifier("10 nearest neighbours", lambda: KNeighborsClassifier(n_neighbors=10)),
    "sklearn_logistic": Classifier("logistic regression (scikit-learn)", lambda: LogisticRegression(max_iter=1000)),
    "svm": Classifier("RBF-SVM", lambda: SVC()),
    "forest": Classifier("random forest", lambda: RandomForestClassifier(n_jobs=-1)),
    "boosting": Classifier("gradient boosting", lambda: HistGradientBoostingClassifier()),
}


def learner_title(name: str) -> str:
    """How figures and tables write the name of a network or of a classifier of `CLASSIFIERS`.

    Raises:
        ValueError: for an unknown name.

    >>> learner_title("gru"), learner_title("svm")
    ('GRU', 'RBF-SVM')
    """
    return CLASSIFIERS[name].title if name in CLASSIFIERS else model_title(name)


class Fitted(NamedTuple):
    """A learner after training.

    Attributes:
        results: `{train,valid,test}_accuracy` in percent over `seed` and `step`, the last predictions of the test set,
            `prediction`, over `seed` and `example`, and, where there is a loss, `{train,valid,test}_loss`.
        predict: signals `(n, length)` → predicted classes of every seed's network `(n_seeds, n)`.
    """

    results: xr.Dataset
    predict: Callable[[Float[ndarray, "n length"]], UInt8[ndarray, "n_seeds n"]]


class Learner(NamedTuple):
    """How to train something for several seeds.

    Attributes:
        fit: (data, plan, learning rate, seeds, *, key, progress) → `Fitted`. Adam, batches in fixed order.
        n_params: trained numbers; NaN where there is no such thing.
        flops: operations of an example's forward pass (see `models.flops`); NaN where unknown.
    """

    fit: Callable[..., Fitted]
    n_params: float = float("nan")
    flops: float = float("nan")


def of_model(model: Model, shape: tuple[int, ...]) -> Learner:
    """A network as two pure functions, trained as a population; `shape` is that of an example."""

    def fit(
        data: Data,
        plan: Plan,
        learning_rate: float,
        seeds: Sequence[int],
        *,
        key: Key | int = 0,
        progress: Progress | None = None,
    ) -> Fitted:
        grid = {"learning_rate": [learning_rate], "seed": seeds}
        population = train_members(supervised(model), data, plan, grid, key=key, progress=progress)
        params = jax.tree.map(lambda leaf: leaf[0], population.params)
        results = population.results.squeeze("learning_rate", drop=True)
        return Fitted(results, lambda x: np.asarray(_classes(model)(params, jnp.asarray(x, jnp.float32))))

    return Learner(fit, n_params(model), forward_flops(model, shape))


@functools.cache
def _classes(model: Model) -> Callable:
    def classes(params, x):
        return jax.lax.map(lambda one: outputs(model, one, jnp.moveaxis(x, 0, -1)).argmax(0).astype(jnp.uint8), params)

    return jax.jit(classes)


def of_classifier(classifier: Any) -> Learner:
    """A scikit-learn classifier or pipeline, unfitted; every `random_state` in it is the seed.

    The plan's steps and rate do not apply: it learns as it learns, and stands at the last step.
    """

    def fit(data: Data, plan: Plan, learning_rate: float, seeds: Sequence[int], *, key=0, progress=None) -> Fitted:
        fitted, found = [], []
        for seed in seeds:
            splits = data(seed) if callable(data) else data
            fitted.append(seeded(classifier, seed).fit(splits.train.x, splits.train.y))
            found.append({name: fitted[-1].predict(getattr(splits, name).x) for name in SETS if _size(splits, name)})
            found[-1] |= {f"{name}_accuracy": 100 * np.mean(classes == getattr(splits, name).y)
                          for name, classes in found[-1].items()}  # fmt: skip
            if progress is not None:
                progress(plan.n_steps)
        variables: dict[str, Any] = {
            name: (("seed", "step"), np.array([[one[name]] for one in found], np.float32))
            for name in found[0] if name.endswith("_accuracy")
        }  # fmt: skip
        variables["prediction"] = (("seed", "example"), np.array([one["test"] for one in found], np.uint8))
        results = xr.Dataset(variables, {"seed": list(seeds), "step": [plan.n_steps]})
        return Fitted(results, lambda x: np.stack([one.predict(x).astype(np.uint8) for one in fitted]))

    return Learner(fit)


def _size(splits: Splits, name: str) -> int:
    return len(getattr(splits, name).y)


def seeded(classifier: Any, seed: int) -> Any:
    """A fresh copy of a scikit-learn estimator, every `random_state` in it set to `seed`."""
    copy: Any = clone(classifier)
    random = [name for name in copy.get_params() if name == "random_state" or name.endswith("__random_state")]
    return copy.set_params(**dict.fromkeys(random, seed))
