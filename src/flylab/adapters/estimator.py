"""Networks as a scikit-learn classifier, for pipelines, grid searches and cross-validation."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from flylab.data.splits import Dataset, Splits
from flylab.models import Model, get_model, outputs
from flylab.training.population import train_members
from flylab.training.step import Plan


class FlylabClassifier(ClassifierMixin, BaseEstimator):
    """A network of the registry, or several that vote, as a scikit-learn classifier.

    Inputs are not standardised: put a `StandardScaler` in front. Members are trained as one population, by Adam on
    cross-entropy, on all cores.

    Args:
        model: a name in `flylab.list_models()`, or a `flylab.Model` for signals of the length of `X`.
        size: further sizes of a registered network, such as `{"width": 200}`.
        n_members: networks of different initial weights and batches; `predict_proba` is the mean of theirs.
        n_steps: optimiser steps.
        batch_size: examples per step, in a new order in each epoch; the whole training set if it has fewer.
        learning_rate: Adam's learning rate.
        random_state: an integer, for results that repeat, a `RandomState`, or None.

    Attributes:
        classes_: the labels.
        population_: the trained `Population`; its results have the loss and accuracy on the training set.
        n_features_in_: positions of a signal.

    >>> from flylab.adapters.sklearn import load_mnist1d
    >>> X, y = load_mnist1d(return_X_y=True)
    >>> classifier = FlylabClassifier("logistic", n_steps=50, random_state=0).fit(X[:500], y[:500])
    >>> classifier.predict(X[:3]).shape, classifier.predict_proba(X[:3]).shape
    ((3,), (3, 10))
    """

    n_features_in_: int

    def __init__(
        self,
        model: str | Model = "mlp",
        *,
        size: dict[str, Any] | None = None,
        n_members: int = 1,
        n_steps: int = 2000,
        batch_size: int = 100,
        learning_rate: float = 1e-2,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.size = size
        self.n_members = n_members
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "FlylabClassifier":
        """Train the networks on signals `X (n, length)` and any labels `y (n,)`.

        Raises:
            ValueError: if the inputs are not finite, the labels are not classes or only one, or a parameter is invalid.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes; the data have one class")
        train = Dataset(X, labels.astype(np.int32))
        few = Dataset(X[:1], labels[:1].astype(np.int32))  # a population evaluates a test set; there is none here
        splits = Splits(train, Dataset(X[:0], labels[:0].astype(np.int32)), few, np.arange(X.shape[1]), None, None)
        plan = Plan(self.n_steps, min(self.batch_size, len(X)), max(self.n_steps, 1), shuffle=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        grid = {"learning_rate": self.learning_rate, "seed": range(self.n_members)}
        population = train_members(self._network(), splits, plan, grid, key=seed)
        kept = population.results[["train_loss", "train_accuracy"]]
        self.population_ = population._replace(results=kept)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each of `classes_`, `(n, n_classes)`: the mean over members.

        Raises:
            NotFittedError: before `fit`.
            ValueError: for signals of another length, or that are not finite.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        compute = _probabilities(self._network())
        return np.asarray(compute(self.population_.params, jnp.asarray(X.T)), np.float64).T

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each signal `(n,)`; errors as of `predict_proba`."""
        likely = self.predict_proba(X).argmax(1)  # first, since it says so where nothing is fitted
        return self.classes_[likely]

    def _network(self) -> Model:
        if isinstance(self.model, Model):
            return self.model
        return get_model(self.model, self.n_features_in_, len(self.classes_), **(self.size or {}))


@functools.cache
def _probabilities(model: Model) -> Any:
    def of_members(params: Any, x: jax.Array) -> jax.Array:
        def of_one(params: Any) -> jax.Array:
            return jax.nn.softmax(outputs(model, params, x), axis=0)

        return jax.lax.map(of_one, params).mean(0)

    return jax.jit(of_members)
