import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from flylab.adapters.estimator import FlylabClassifier
from flylab.adapters.sklearn import load_mnist1d
from flylab.models import get_model


@pytest.fixture(scope="module")
def data():
    return load_mnist1d(return_X_y=True)


@pytest.mark.long
@parametrize_with_checks([FlylabClassifier("mlp", size={"width": 20}, n_steps=200, batch_size=20, random_state=0)])
def test_it_is_an_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
def test_it_learns_and_members_vote(data):
    X, y = data
    one, five = (FlylabClassifier(n_steps=300, n_members=n, random_state=0).fit(X[:4000], y[:4000]) for n in (1, 5))
    assert one.score(X[4000:], y[4000:]) > 0.5
    assert five.score(X[4000:], y[4000:]) > one.score(X[4000:], y[4000:]) - 0.02
    probabilities = five.predict_proba(X[4000:4010])
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert five.population_.results.sizes["seed"] == 5


@pytest.mark.slow
def test_equal_states_give_equal_networks_and_pickles(data):
    X, y = data
    fits = [FlylabClassifier("logistic", n_steps=20, random_state=s).fit(X[:200], y[:200]) for s in (1, 1, 2)]
    first, same, other = (fit.predict_proba(X[:20]) for fit in fits)
    assert (first == same).all()
    assert (first != other).any()
    assert (pickle.loads(pickle.dumps(fits[0])).predict_proba(X[:20]) == first).all()


def test_labels_of_any_kind(data):
    X, y = data
    names = np.array([f"digit {label}" for label in y])
    classifier = FlylabClassifier("logistic", n_steps=20, random_state=0).fit(X[:200], names[:200])
    assert set(classifier.predict(X[:50])) <= set(names)


@pytest.mark.slow
def test_grid_searches_and_pipelines(data):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), FlylabClassifier("logistic", n_steps=20, random_state=0))
    search = GridSearchCV(pipeline, {"flylabclassifier__learning_rate": [1e-5, 1e-1]}, cv=2).fit(X[:200], y[:200])
    assert search.best_params_ == {"flylabclassifier__learning_rate": 1e-1}


def test_a_model_of_ones_own(data):
    X, y = data
    own, named = (FlylabClassifier(m, n_steps=20, random_state=0) for m in (get_model("logistic"), "logistic"))
    predicted = [classifier.fit(X[:200], y[:200]).predict_proba(X[:20]) for classifier in (clone(own), named)]
    np.testing.assert_array_equal(*predicted)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model": "mpl"}, "did you mean"), ({"n_steps": -1}, "n_steps"), ({"size": {"depth": 3}}, "no size"),
     ({"n_members": 0}, "seed"), ({"learning_rate": "fast"}, "learning_rate")],
)  # fmt: skip
def test_invalid_parameters_are_refused(data, change, message):
    X, y = data
    with pytest.raises(ValueError, match=message):
        FlylabClassifier(**change).fit(X[:50], y[:50])
