"""Learners: one interface to fit networks and scikit-learn classifiers, for studies that compare them.

Adapters provide learners for other libraries.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float, UInt
from numpy import ndarray
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from flylab.base.rng import seeded_globals
from flylab.base.types import Key
from flylab.base.usercode import RefusedError
from flylab.data.inputs import class_dtype, stacked_classes, trainable
from flylab.data.splits import SETS, Splits
from flylab.models import Model, model_title, n_params, outputs
from flylab.models.flops import forward_flops
from flylab.training.dispatch import Progress
from flylab.training.inputs import as_seeds
from flylab.training.objectives import supervised
from flylab.training.population import train_members
from flylab.training.step import Plan

Data = Splits | Callable[[int], Splits]  # the same for all seeds, or a function of the seed


class Classifier(NamedTuple):
    """A scikit-learn classifier to compare networks with.

    Attributes:
        title: its name in figures.
        build: its constructor.
        is_random: whether it depends on the seed.
    """

    title: str
    build: Callable[[], BaseEstimator]
    is_random: bool = False


CLASSIFIERS = {  # chosen beforehand and not tuned
    "neighbours": Classifier("10 nearest neighbours", lambda: KNeighborsClassifier(n_neighbors=10)),
    "sklearn_logistic": Classifier("logistic regression (scikit-learn)", lambda: LogisticRegression(max_iter=1000)),
    "svm": Classifier("RBF-SVM", lambda: SVC()),
    "forest": Classifier("random forest", lambda: RandomForestClassifier(n_jobs=-1), is_random=True),
    "boosting": Classifier("gradient boosting", lambda: HistGradientBoostingClassifier()),
}


def published_logistic(n_train: int) -> Pipeline:
    """Make the notebooks' logistic regression on standardised features, as far converged as it was there.

    Their `tol` of 1e-2 bounds the gradient of a sum over examples, since scikit-learn 1.4 that of the mean.

    >>> float(published_logistic(4000)[-1].tol)
    2.5e-06
    """
    return make_pipeline(StandardScaler(), LogisticRegression(tol=1e-2 / n_train, max_iter=1000))


def learner_title(name: str) -> str:
    """Return the name of a network or of a classifier in `CLASSIFIERS` as figures and tables write it.

    Raises:
        ValueError: for an unknown name.

    >>> learner_title("gru"), learner_title("svm")
    ('GRU', 'RBF-SVM')
    """
    return CLASSIFIERS[name].title if name in CLASSIFIERS else model_title(name)


class Fitted(NamedTuple):
    """A learner after training.

    Attributes:
        results: `{train,valid,test}_accuracy`, in percent, over `seed` and `step`; `prediction`, the last predicted
            classes of the test set, over `seed` and `example`; and, for learners with a loss,
            `{train,valid,test}_loss`.
        predict: signals `(n, length)` → classes predicted by each seed's network `(n_seeds, n)`.
        models: what has been trained: of networks a `Population` over `seed`; otherwise a list, one for each seed, of
            PyTorch modules (in the mode `eval`) or classifiers.
    """

    results: xr.Dataset
    predict: Callable[[Float[ndarray, "n length"]], UInt[ndarray, "n_seeds n"]]
    models: Any = None


class Learner(NamedTuple):
    """A learner that can be trained for several seeds.

    Attributes:
        fit: (data, plan, learning rate, seeds, *, key, progress) → `Fitted`, trained by Adam on batches in fixed order.
        n_params: number of trained parameters; NaN if undefined.
        flops: floating-point operations of one example's forward pass (see `models.flops`); NaN if unknown.
    """

    fit: Callable[..., Fitted]
    n_params: float = float("nan")
    flops: float = float("nan")


def of_model(model: Model, shape: tuple[int, ...]) -> Learner:
    """Make a learner of a network, trained as a population; `shape` is the shape of one example."""

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
        members = population.isel(learning_rate=0)
        results = population.results.squeeze("learning_rate", drop=True)

        def predict(x: Any) -> np.ndarray:
            return np.asarray(_classes(model)(members.params, jnp.asarray(x, jnp.float32)))

        return Fitted(results, predict, members)

    return Learner(fit, n_params(model), forward_flops(model, shape))


@functools.cache
def _classes(model: Model) -> Callable:
    def classes(params, x):
        def of_seed(seed_params):
            logits = outputs(model, seed_params, jnp.moveaxis(x, 0, -1))
            return logits.argmax(0).astype(class_dtype(len(logits)))

        return jax.lax.map(of_seed, params)

    return jax.jit(classes)


def of_classifier(classifier: Any) -> Learner:
    """Make a learner of an unfitted scikit-learn classifier or pipeline.

    Every `random_state` in it becomes the seed, and so do Python's, NumPy's and PyTorch's global generators while it is
    used. Its training ignores the plan and the learning rate. Results have one step, the plan's last.
    """

    def fit(data: Data, plan: Plan, learning_rate: float, seeds: Sequence[int], *, key=0, progress=None) -> Fitted:
        fitted, accuracies, predictions, seeds = [], [], [], as_seeds(seeds)
        for seed in seeds:
            splits = trainable(data(seed) if callable(data) else data)
            with seeded_globals(seed):
                fitted.append(seeded(classifier, seed).fit(splits.train.x, splits.train.y))
            sets = {name: getattr(splits, name) for name in SETS if len(getattr(splits, name).y)}
            classes = {name: _predicted(fitted[-1], dataset.x, seed) for name, dataset in sets.items()}
            accuracies.append({name: 100 * np.mean(classes[name] == dataset.y) for name, dataset in sets.items()})
            predictions.append(classes["test"])
            if progress is not None:
                progress(plan.n_steps)
        variables: dict[str, Any] = {
            f"{name}_accuracy": (("seed", "step"), np.array([[by_set[name]] for by_set in accuracies], np.float32))
            for name in accuracies[0]
        }
        variables["prediction"] = (("seed", "example"), stacked_classes(predictions))
        results = xr.Dataset(variables, {"seed": seeds, "step": [plan.n_steps]})
        pairs = list(zip(fitted, seeds, strict=True))
        return Fitted(results, lambda x: stacked_classes([_predicted(copy, x, seed) for copy, seed in pairs]), fitted)

    return Learner(fit)


def _predicted(classifier: Any, x: Any, seed: int) -> np.ndarray:
    """Return the classes that a fitted classifier predicts, one for each example."""
    with seeded_globals(seed):
        classes = np.asarray(classifier.predict(x))
    if classes.shape != (len(x),) or classes.dtype.kind not in "biu" or classes.min(initial=0) < 0:
        got = f"{classes.dtype} of shape {classes.shape}" + ", some negative" * (classes.dtype.kind == "i")
        raise RefusedError(f"{type(classifier).__name__}.predict must return a class from 0 for each of {len(x)} "
                           f"examples, not {got}")  # fmt: skip
    return classes


def seeded(classifier: Any, seed: int) -> Any:
    """Return an unfitted copy of a scikit-learn estimator with every `random_state` in it set to `seed`."""
    copy: Any = clone(classifier)
    random_states = [name for name in copy.get_params() if name == "random_state" or name.endswith("__random_state")]
    return copy.set_params(**dict.fromkeys(random_states, seed))
