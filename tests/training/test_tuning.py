import jax
import numpy as np
import optax
import pytest

from flylab.data import MNIST1D, fresh
from flylab.models import get_model
from flylab.training.objectives import supervised
from flylab.training.population import train_members
from flylab.training.step import Plan
from flylab.training.tuning import fit_of, trials, tuned

DATA = fresh(MNIST1D(n_train=100, n_valid=50, n_test=50))
PLAN = Plan(20, 20, eval_every=10, shuffle=True)
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("ranges", "n", "values"),
    [
        ({"a": (1e-3, 1e-1)}, 3, {"a": [1e-3, 1e-2, 1e-1]}),
        ({"a": (1e-4, 1.0)}, 1, {"a": [1e-2]}),  # the middle
        ({"a": (0.0, 1.0)}, 3, {"a": [0, 0.5, 1]}),
        ({"a": (-1.0, 1.0)}, 2, {"a": [-1, 1]}),
    ],
)
def test_one_range_is_a_grid(ranges, n, values):
    found = trials(ranges, n).values
    assert found.keys() == values.keys()
    np.testing.assert_allclose(found["a"], values["a"])


@pytest.mark.parametrize("n", [1, 5, 8, 20])
def test_several_ranges_fill_their_box(n):
    found = trials({"rate": (1e-4, 1.0), "beta": (0.5, 0.9)}, n).values
    assert [len(column) for column in found.values()] == [n, n]
    assert (found["rate"] >= 1e-4).all()
    assert (found["rate"] <= 1).all()
    assert (found["beta"] >= 0.5).all()
    assert (found["beta"] <= 0.9).all()
    # half of the trials lie in each half of each range, up to one that is left over in each power of two
    assert abs((found["rate"] < 1e-2).sum() - n / 2) <= 2
    assert abs((found["beta"] < 0.7).sum() - n / 2) <= 2


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({}, "one to 3"),
        (dict.fromkeys("abcd", (0.0, 1.0)), "one to 3"),
        ({"a": (1.0, 1.0)}, "lowest value below"),
        ({"a": (1.0, np.inf)}, "lowest value below"),
    ],
)
def test_bad_ranges_are_refused(ranges, message):
    with pytest.raises(ValueError, match=message):
        trials(ranges, 3)


def adam(hparams):
    return optax.adam(hparams["learning_rate"])


@pytest.mark.slow
def test_the_best_trial_is_trained_again_as_alone():
    """Each seed takes the trial of the highest validation accuracy, and trains as a population of it alone does."""
    objective = supervised(get_model("logistic"))
    results = tuned(fit_of(objective, adam, {"learning_rate": (1e-4, 1.0)}), DATA, PLAN, [3, 1], n_trials=3, key=KEY)
    assert results.seed.values.tolist() == [3, 1]
    tried = results.tried_learning_rate.values
    np.testing.assert_allclose(tried, [[1e-4, 1e-2, 1.0]] * 2)
    best = results.tuning_accuracy.values.argmax(1)
    np.testing.assert_array_equal(results.tuned_learning_rate.values, tried[[0, 1], best])
    for seed in (3, 1):
        rate = float(results.tuned_learning_rate.sel(seed=seed))
        alone = train_members(objective, DATA, PLAN, {"learning_rate": rate, "seed": [seed]}, key=KEY).results
        for name in ("test_loss", "valid_accuracy"):
            np.testing.assert_array_equal(results[name].sel(seed=seed), alone[name].sel(seed=seed))


def test_seeds_are_independent_of_their_company():
    fit = fit_of(supervised(get_model("logistic")), adam, {"learning_rate": (1e-4, 1.0)})
    both, alone = (
        tuned(fit, DATA, PLAN, seeds, n_trials=3, n_tuning_seeds=2, key=KEY) for seeds in ([0, 5], [5])
    )  # fmt: skip
    assert both.sel(seed=[5]).identical(alone)


@pytest.mark.slow
def test_a_trial_that_diverges_is_not_chosen():
    """A loss that overflows for the largest strength; its accuracy is chance or better."""
    objective = supervised(get_model("logistic"))
    broken = objective._replace(
        loss=lambda p, b, h, k: (objective.loss(p, b, {}, k)[0] * h["scale"] ** 100, {})  # inf, then NaN
    )
    fit = fit_of(broken, optax.sgd(1e-2), {"scale": (1.0, 100.0)})
    results = tuned(fit, DATA, PLAN, [0], n_trials=2, key=KEY)
    assert np.isnan(results.tuning_accuracy.values[0, 1])
    assert results.tuned_scale.values.tolist() == [1.0]
