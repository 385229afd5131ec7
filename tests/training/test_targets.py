"""Targets that are no classes: regression, autoencoders and several labels, against NumPy, in every layout."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import flylab
from flylab.analysis import hessian_eigenvalues, mean_loss, per_member
from flylab.data import MNIST1D, Dataset, Source, Splits, autoencoding, fresh
from flylab.models import Model
from flylab.training.metagradient import metagradient
from flylab.training.objectives import binary_cross_entropy, mean_absolute_error, mean_squared_error, supervised
from flylab.training.step import Plan
from flylab.training.train import train
from flylab.training.training import Training

key = jax.random.key(0)
RNG = np.random.default_rng(0)
TRUE = RNG.normal(size=(3, 8)).astype("f4")
GRID = {"learning_rate": [0.1], "seed": [0, 1]}


def linear(n_outputs):
    return Model(lambda key: {"w": 0.1 * jax.random.normal(key, (n_outputs, 8))}, lambda params, x: params["w"] @ x)


def splits(target, sizes=(120, 40, 60)):
    """Inputs of eight numbers, and a target of each."""
    sets = []
    for n in sizes:
        x = RNG.normal(size=(n, 8)).astype("f4")
        sets.append(Dataset(x, target(x @ TRUE.T)))
    return Splits(*sets, None, None, None)


VECTORS, NUMBERS = splits(lambda y: y), splits(lambda y: y[:, 0])
FLAGS = splits(lambda y: y > 0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# objective, data, and in NumPy: outputs and targets (n, n_outputs) → losses (n,) and gradient of their mean by outputs
CASES = {
    "regression": (
        flylab.regression(linear(3)), VECTORS,
        lambda z, y: (((z - y) ** 2).mean(1), 2 * (z - y) / z.size),
    ),
    "of one number": (
        flylab.regression(linear(1)), NUMBERS,
        lambda z, y: (((z - y) ** 2).mean(1), 2 * (z - y) / z.size),
    ),
    "absolute error": (
        flylab.regression(linear(3), "mae"), VECTORS,
        lambda z, y: (abs(z - y).mean(1), np.sign(z - y) / z.size),
    ),
    "several labels": (
        flylab.multilabel(linear(3)), FLAGS,
        lambda z, y: (-(y * np.log(sigmoid(z)) + (1 - y) * np.log(1 - sigmoid(z))).mean(1), (sigmoid(z) - y) / z.size),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [40, 50])  # 50 does not divide the set: another layout
@pytest.mark.parametrize("case", CASES)
def test_training_equals_numpy(case, batch_size):
    objective, data, reference = CASES[case]
    params, (x, y) = objective.init(key, {}), data.train
    trained = train(objective, params, data, Plan(7, batch_size, optimizer="sgd"), {"learning_rate": 0.1}, key=key)
    w, losses = np.asarray(params["w"], float), []
    for step in range(7):
        rows = np.arange(step * batch_size, (step + 1) * batch_size) % len(x)
        loss, slope = reference(x[rows] @ w.T, y.reshape(len(x), -1)[rows])
        losses.append(loss.mean())
        w -= 0.1 * slope.T @ x[rows]
    np.testing.assert_allclose(trained.history["loss"], losses, rtol=1e-4)
    np.testing.assert_allclose(trained.params["w"], w, rtol=1e-3, atol=1e-5)
    out = data.test.x @ w.T
    np.testing.assert_allclose(trained.prediction, out, rtol=1e-3, atol=1e-4)
    expected = reference(out, data.test.y.reshape(len(out), -1))[0].mean()
    np.testing.assert_allclose(trained.history["test_loss"][-1], expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_populations_have_a_loss_and_no_accuracy(case):
    objective, data, _ = CASES[case]
    population = flylab.train_members(objective, data, Plan(30, 50, eval_every=10, shuffle=True), GRID)
    results = population.results
    assert set(results.data_vars) == {"train_loss", "valid_loss", "test_loss", "prediction"}
    assert results.prediction.dims == ("learning_rate", "seed", "example", "output")
    assert (results.train_loss.isel(step=-1) < 0.9 * results.train_loss.isel(step=0)).all()
    losses = per_member(partial(mean_loss, objective), population, data.test)
    np.testing.assert_allclose(losses, results.test_loss.isel(step=-1), rtol=1e-4)


@pytest.mark.slow
def test_least_squares_ends_at_the_solution():
    """And its curvature is that of the inputs: 2/3 of their second moment, as the loss is a mean of three outputs."""
    objective = flylab.regression(linear(3))
    population = flylab.train_members(objective, VECTORS, Plan(500, 120, optimizer=optax.adam(0.1)), {"seed": [0]})
    np.testing.assert_allclose(population.params["w"][0], TRUE, atol=1e-3)
    found = per_member(partial(hessian_eigenvalues, objective), population, VECTORS.train)
    second_moment = VECTORS.train.x.T @ VECTORS.train.x / 120
    np.testing.assert_allclose(found.eigenvalue[0, 0], 2 / 3 * np.linalg.eigvalsh(second_moment)[-1], rtol=1e-4)


@pytest.mark.slow
def test_an_autoencoder_beats_the_mean():
    """Also of data for each seed, and as a `Training`, whose size is known before."""
    data = fresh(MNIST1D(n_train=200, n_valid=0, n_test=100))
    training = Training(
        flylab.get_model("mlp", n_outputs=40, width=20), lambda seed: autoencoding(data(seed)),
        Plan(300, 100, eval_every=300), {"learning_rate": 1e-2}, flylab.regression,
    )  # fmt: skip
    assert training.resources[0] > 0
    results = training.run([0, 1]).results
    variance = np.mean([np.var(data(seed).test.x) for seed in (0, 1)])
    assert float(results.test_loss.isel(step=-1).mean()) < 0.8 * variance
    assert results.sizes["output"] == 40


def example(shared, data_params, key, i):
    x = jax.random.normal(jax.random.fold_in(key, i), (8,))
    return x, TRUE[0] @ x


def evaluation(shared, data_params):
    x = jax.random.normal(jax.random.key(1), (50, 8))
    return Dataset(x[:0], x[:0] @ TRUE[0]), Dataset(x, x @ TRUE[0])


@pytest.mark.slow
def test_a_source_makes_numbers():
    source, grid = Source(lambda data_params: None, example, evaluation), {"learning_rate": [0.03], "seed": [0]}
    population = flylab.train_members(flylab.regression(linear(1)), source, Plan(300, 50), grid)
    assert population.results.test_loss.isel(step=-1).item() < 1e-2
    with pytest.raises(ValueError, match="must have one integer label for each example, not float32"):
        flylab.train_members(linear(3), source, Plan(3, 50), grid)
    labelled = source._replace(example=lambda *args: (example(*args)[0], 1))
    with pytest.raises(
        ValueError, match="the source's example must have one number or a vector for each example, not int32"
    ):
        flylab.train_members(flylab.regression(linear(1)), labelled, Plan(3, 50), grid)


@pytest.mark.slow
def test_a_population_comes_back_with_its_own_objective_only(tmp_path):
    source, grid = Source(lambda data_params: None, example, evaluation), {"learning_rate": [0.03], "seed": [0]}
    objective = flylab.regression(linear(1))
    path = flylab.train_members(objective, source, Plan(3, 50), grid).save(tmp_path / "population.safetensors")
    x = np.ones((2, 8), np.float32)
    assert flylab.Population.load(path, objective).predict(x).dims[-1] == "output"
    with pytest.raises(ValueError, match=r"learns numbers: give that, such as .*regression\(model\)"):
        flylab.Population.load(path, linear(1))


def test_a_loss_of_ones_own_may_have_other_outputs():
    """A mean and a variance for each number: the negative log likelihood of a normal distribution."""

    def likelihood(outputs, targets):
        mean, log_variance = outputs
        return 0.5 * (jnp.square(targets - mean) / jnp.exp(log_variance) + log_variance)

    noisy = splits(lambda y: y[:, 0] + 0.5 * RNG.normal(size=len(y)))
    model = Model(
        lambda key: {"w": jnp.zeros(8), "log_variance": jnp.zeros(())},
        lambda params, x: jnp.stack([params["w"] @ x, params["log_variance"]]),
    )
    objective = flylab.regression(model, likelihood)
    results = flylab.train_members(objective, noisy, Plan(400, 40), GRID | {"learning_rate": [0.03]}).results
    assert results.sizes["output"] == 2
    spread = np.exp(0.5 * results.prediction[0, 0, 0, 1])
    assert 0.35 < float(spread) < 0.65


def test_metagradients_of_regression():
    """The derivative by the learning rate equals a finite difference."""
    objective, plan = flylab.regression(linear(3)), Plan(5, 40, optimizer="sgd")
    found = metagradient(objective, VECTORS, plan, {"learning_rate": 0.1}, key=key)

    def loss(rate):
        return metagradient(objective, VECTORS, plan, {"learning_rate": rate}, key=key).value

    difference = (loss(0.11) - loss(0.09)) / 0.02
    np.testing.assert_allclose(found.gradient["learning_rate"], difference, rtol=0.02)


REFUSED = {
    "too few outputs": (
        flylab.regression(linear(1)),
        VECTORS,
        r"shape \(3,\) .* need n_outputs=3; the network has 1 outputs",
    ),
    "too many outputs": (flylab.regression(linear(3)), NUMBERS, "need n_outputs=1; the network has 3 outputs"),
    "numbers as classes": (supervised(linear(3)), NUMBERS, r"numbers are targets of flylab.regression\(model\)"),
    "vectors as classes": (supervised(linear(3)), VECTORS, r"but y has shape \(120, 3\)"),
    "numbers as flags": (flylab.multilabel(linear(3)), VECTORS, "must be 0 or 1 for each label"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_targets_that_do_not_fit_the_objective(case):
    objective, data, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        flylab.train_members(objective, data, Plan(3, 40), GRID)


def test_a_loss_of_another_name():
    with pytest.raises(ValueError, match="loss='rmse' must be one of mse, mae, or a function"):
        flylab.regression(linear(1), "rmse")


def test_the_same_arguments_give_the_same_objective():
    assert flylab.regression(linear) is flylab.regression(linear)
    assert flylab.multilabel(linear) is flylab.multilabel(linear)
    for loss in (mean_squared_error, mean_absolute_error, binary_cross_entropy):
        assert loss(jnp.zeros((3, 5)), jnp.ones((3, 5))).shape == (5,)


@pytest.mark.parametrize("loss", [lambda out, y: (out - y) ** 2, lambda out, y: ((out - y) ** 2).mean()])
def test_a_loss_has_one_number_for_each_example(loss):
    with pytest.raises(ValueError, match=r"a loss must have shape \(20,\), one number per example"):
        flylab.train_members(flylab.regression(linear(1), loss), NUMBERS, Plan(2, 20), GRID)
