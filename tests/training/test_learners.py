"""All kinds of learners pass the same tests: our networks, scikit-learn's classifiers, PyTorch's modules."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from flylab.adapters.torch_training import dtype_of, from_torch, logits_of
from flylab.data import MNIST1D, Dataset, published
from flylab.evaluation.load import user_model
from flylab.models import dense, n_params, outputs
from flylab.training.learners import of_classifier, of_model, seeded
from flylab.training.objectives import supervised
from flylab.training.population import train_members
from flylab.training.step import Plan

PLAN = Plan(20, 50, 10)
KINDS = {
    "ours": lambda: of_model(dense.logistic(), (40,)),
    "scikit-learn": lambda: of_classifier(make_pipeline(StandardScaler(), RandomForestClassifier(5))),
    "torch": lambda: from_torch(lambda: nn.Linear(40, 10), (40,)),
    "torch with channels": lambda: from_torch(lambda: nn.Sequential(nn.Flatten(), nn.Linear(40, 10)), (1, 40)),
    "torch as it comes": lambda: from_torch(AsItComes, (40, 1)),
}
SHAPES = {"torch": (40,), "torch with channels": (1, 40), "torch as it comes": (40, 1)}
EACH = pytest.mark.parametrize("kind", KINDS)


class AsItComes(nn.Module):
    """Lazy, of double precision, with dropout and batch normalisation; it returns a pair."""

    def __init__(self):
        super().__init__()
        self.norm, self.dropout, self.output = nn.LazyBatchNorm1d(), nn.Dropout(0.2), nn.LazyLinear(10)
        self.double()

    def forward(self, x):
        h = self.dropout(self.norm(x.flatten(1)))
        return self.output(h), {"hidden": h}


def fit(kind, data, seeds, progress=None):
    return KINDS[kind]().fit(data, PLAN, 1e-2, seeds, key=jax.random.key(0), progress=progress)


@EACH
def test_results_and_predictions(kind, tiny):
    done = []
    fitted = fit(kind, tiny, [3, 5], done.append)
    results = fitted.results
    assert results.seed.values.tolist() == [3, 5]
    assert results.step.values.tolist() == ([20] if kind == "scikit-learn" else [0, 10, 20])
    assert {"train_accuracy", "valid_accuracy", "test_accuracy"} <= set(results.data_vars)
    assert sum(done) == 2 * 20
    predicted = fitted.predict(tiny.test.x)
    assert predicted.dtype == np.uint8
    np.testing.assert_array_equal(predicted, results.prediction.transpose("seed", "example"))
    accuracy = 100 * (predicted == tiny.test.y).mean(1)
    np.testing.assert_allclose(results.test_accuracy.isel(step=-1), accuracy, rtol=1e-5)
    assert (predicted[0] != predicted[1]).any()  # seeds start differently
    models = fitted.models
    if kind == "ours":
        np.testing.assert_array_equal(models.sel(seed=5).predict(tiny.test.x), predicted[1])
    elif kind == "scikit-learn":
        np.testing.assert_array_equal(models[1].predict(tiny.test.x), predicted[1])
    else:
        kept = logits_of(models[1](torch.tensor(tiny.test.x, dtype=dtype_of(models[1])).reshape(-1, *SHAPES[kind])))
        np.testing.assert_array_equal(kept.argmax(1), predicted[1])
        assert not models[1].training


@EACH
def test_a_seed_is_the_same_alone(kind, tiny):
    both, alone = fit(kind, tiny, [3, 5]), fit(kind, tiny, [5])
    assert both.results.sel(seed=[5]).identical(alone.results)
    np.testing.assert_array_equal(both.predict(tiny.test.x)[1:], alone.predict(tiny.test.x))


@EACH
def test_data_by_seed(kind):
    def data(seed):
        return published(MNIST1D(n_train=200, n_valid=0, n_test=100, seed=seed))

    results = fit(kind, data, [3, 5]).results
    assert "valid_accuracy" not in results
    same = fit(kind, data(3), [3]).results
    np.testing.assert_array_equal(results.prediction.sel(seed=[3]), same.prediction)


def test_size_and_work():
    for kind, learner in KINDS.items():
        others = {"scikit-learn": (np.nan, np.nan), "torch as it comes": (410 + 2 * 40, 800)}
        expected = others.get(kind, (410, 800))
        np.testing.assert_equal((learner().n_params, learner().flops), expected)


def test_every_random_state_is_the_seed():
    pipeline = seeded(make_pipeline(StandardScaler(), RandomForestClassifier()), 7)
    assert pipeline[-1].random_state == 7
    neighbours = KNeighborsClassifier()
    assert seeded(neighbours, 7) is not neighbours


# ── PyTorch ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_pytorch_loop_is_our_training(tiny):
    """The same weights, batches and optimiser give the same curves."""
    model, start = dense.mlp(), {}

    class Mlp(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden1, self.hidden2, self.output = nn.Linear(40, 100), nn.Linear(100, 100), nn.Linear(100, 10)

        def forward(self, x):
            h = self.hidden1(x).relu()
            return self.output(h + self.hidden2(h).relu())

    def make():
        module = Mlp()
        start["params"] = {
            name: {"w": layer.weight.detach().numpy().copy(), "b": layer.bias.detach().numpy().copy()}
            for name, layer in module.named_children()
        }
        return module

    theirs = from_torch(make, (40,)).fit(tiny, PLAN, 1e-2, [0])
    grid = {"learning_rate": [1e-2], "seed": [0]}
    ours = train_members(supervised(model), tiny, PLAN, grid, params=lambda seed: start["params"]).results
    for name in ("train_loss", "valid_loss", "test_loss"):
        np.testing.assert_allclose(theirs.results[name].values, ours[name].values[0], rtol=2e-3)


def test_pytorchs_random_state_is_left_alone(tiny):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    learner = from_torch(lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(40, 10)), (40,))
    torch.random.set_rng_state(before)
    first = learner.fit(tiny, PLAN, 1e-2, [0])
    assert torch.equal(before, torch.random.get_rng_state())
    second = learner.fit(tiny, PLAN, 1e-2, [0])
    np.testing.assert_array_equal(first.results.prediction, second.results.prediction)
    np.testing.assert_array_equal(first.predict(tiny.test.x), first.predict(tiny.test.x))  # dropout is off


# ── Equinox ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_an_equinox_module_is_a_model(tiny):
    import equinox as eqx

    from flylab.adapters.equinox import from_equinox

    class Net(eqx.Module):
        layer: eqx.nn.MLP
        scale: float = eqx.field(static=True)

        def __init__(self, key):
            self.layer = eqx.nn.MLP(40, 10, 8, 1, activation=lambda x: jax.nn.relu(x), key=key)
            self.scale = 2.0

        def __call__(self, x):
            return self.scale * self.layer(x)

    model = from_equinox(Net)
    assert n_params(model) == 41 * 8 + 9 * 10
    key, x = jax.random.key(3), np.asarray(tiny.test.x[:5], np.float32)
    np.testing.assert_allclose(outputs(model, model.init(key), jnp.asarray(x.T)).T, jax.vmap(Net(key))(x), rtol=1e-5,
                               atol=1e-6)  # sums that cancel have float32's error of their terms  # fmt: skip
    fitted = of_model(model, (40,)).fit(tiny, PLAN, 1e-2, [0, 1])
    assert (fitted.results.train_loss.isel(step=-1) < fitted.results.train_loss.isel(step=0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("needs_key", [True, False])
def test_an_equinox_module_with_dropout_and_batch_normalisation(needs_key, tiny):
    import equinox as eqx

    from flylab.adapters.equinox import from_equinox

    class Net(eqx.Module):
        layer: eqx.nn.Linear
        norm: eqx.nn.BatchNorm
        dropout: eqx.nn.Dropout
        output: eqx.nn.Linear

        def __init__(self, key):
            first, second = jax.random.split(key)
            self.layer = eqx.nn.Linear(40, 20, key=first)
            self.norm = eqx.nn.BatchNorm(20, axis_name="batch", mode="ema")
            self.dropout = eqx.nn.Dropout(0.2)
            self.output = eqx.nn.Linear(20, 10, key=second)

        def __call__(self, x, state, key):
            h, state = self.norm(self.layer(x), state)
            return self.output(self.dropout(jax.nn.relu(h), key=jax.random.split(key)[0])), state

    class WithDefault(Net):
        def __call__(self, x, state, *, key=None):
            h, state = self.norm(self.layer(x), state)
            return self.output(self.dropout(jax.nn.relu(h), key=key)), state

    model = from_equinox(Net if needs_key else WithDefault)
    assert n_params(model) == 41 * 20 + 40 + 21 * 10
    fitted = of_model(model, (40,)).fit(tiny, Plan(60, 50, 20), 1e-2, [0, 1])
    assert (fitted.results.train_loss.isel(step=-1) < fitted.results.train_loss.isel(step=0)).all()
    np.testing.assert_array_equal(fitted.predict(tiny.test.x), fitted.results.prediction)  # nothing is drawn
    assert user_model(Net if needs_key else WithDefault, "Net", tiny.train.x, 10).learner.n_params == n_params(model)


def test_an_equinox_module_without_a_key_is_refused():
    import equinox as eqx

    from flylab.adapters.equinox import from_equinox

    with pytest.raises(ValueError, match="takes no key"):
        from_equinox(lambda: eqx.nn.MLP(40, 10, 8, 1, key=jax.random.key(0)))


# ── global generators ────────────────────────────────────────────────────────────────────────────────────────────────


class Draws(nn.Module):
    """A module that draws from all three global generators, wherever it can."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(40, 10)
        self.start = random.random() + np.random.random()

    def forward(self, x):
        drawn = np.random.random(x.shape) + random.random() + torch.rand(1).item()
        return self.layer(self.start * x + 5 * torch.tensor(drawn, dtype=x.dtype))


class Guesses(GaussianNB):
    """A classifier that draws from them."""

    def fit(self, X, y):
        self.guess_ = np.random.random() + random.random()
        return super().fit(X, y)

    def predict(self, X):
        return (10 * (self.guess_ * np.random.random(len(X)) + random.random() + torch.rand(1).item())).astype(int)


DRAWING = {"torch": lambda: from_torch(Draws, (40,)), "scikit-learn": lambda: of_classifier(Guesses())}


@pytest.mark.parametrize("kind", DRAWING)
def test_global_generators_are_seeded_and_put_back(kind, tiny):
    def found(seeds):
        fitted = DRAWING[kind]().fit(tiny, PLAN, 1e-2, seeds)
        return fitted.results, fitted.predict(tiny.test.x)

    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    first, predicted = found([3, 5])
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1][1])
    assert torch.equal(torch.random.get_rng_state(), states[2])
    random.random(), np.random.random(), torch.rand(1)
    again, predicted_again = found([3, 5])
    assert again.identical(first)
    np.testing.assert_array_equal(predicted_again, predicted)
    assert found([5])[0].identical(first.sel(seed=[5]))
    assert not first.sel(seed=5, drop=True).identical(first.sel(seed=3, drop=True))


# ── what is predicted ────────────────────────────────────────────────────────────────────────────────────────────────


def many(tiny, label=300):
    return tiny._replace(train=Dataset(tiny.train.x, np.full(200, label)), test=Dataset(tiny.test.x, [label] * 100))


@pytest.mark.slow
def test_many_classes_are_predicted_whole(tiny):
    data = many(tiny)._replace(train=Dataset(tiny.train.x, np.arange(200) % 2 * 300))
    for learner in (
        of_classifier(KNeighborsClassifier(1)),
        from_torch(lambda: nn.Linear(40, 301), (40,)),
        of_model(dense.logistic(n_outputs=301), (40,)),
    ):
        fitted = learner.fit(data, Plan(40, 50), 1e-1, [0])
        predicted = fitted.results.prediction.isel(seed=0)
        assert predicted.dtype == fitted.predict(data.test.x).dtype == np.uint16
        accuracy = fitted.results.test_accuracy.isel(seed=0, step=-1).item()
        assert accuracy == pytest.approx(100 * (predicted == 300).mean().item(), rel=1e-5)
        assert accuracy > 10


@pytest.mark.parametrize(
    ("predict", "got"),
    [
        (lambda x: np.zeros((len(x), 1), int), r"int64 of shape \(\d+, 1\)"),
        (lambda x: np.zeros(1, int), r"of shape \(1,\)"),
        (lambda x: np.full(len(x), 0.5), "float64 of shape"),
        (lambda x: ["a"] * len(x), "<U1"),
        (lambda x: np.full(len(x), -1), "some negative"),
    ],
)
def test_predictions_that_are_no_classes(predict, got, tiny):
    classifier = type("Odd", (GaussianNB,), {"predict": lambda self, x: predict(x)})()
    with pytest.raises(ValueError, match=rf"Odd.predict must return a class from 0 for each of 200 .*{got}"):
        of_classifier(classifier).fit(tiny, PLAN, 1e-2, [0])


def test_a_module_without_a_row_for_each_example_is_refused():
    with pytest.raises(ValueError, match=r"must give outputs \(1, n_outputs\) for one example, not \(1, 1, 10\)"):
        from_torch(lambda: nn.Linear(40, 10), (1, 40))
