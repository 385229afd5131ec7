"""Programs as users write them: a regression, and one network that learns the classes of MNIST-1D task by task."""

import jax
import numpy as np
import pytest
import xarray as xr

import flylab
from flylab import analysis


@pytest.mark.slow
def test_a_regression():
    """How far is a signal shifted? A point on the circle, learnt by two networks at two rates."""

    def shifted(n, seed):
        rng = np.random.default_rng(seed)
        phase = 2 * np.pi * rng.random(n)
        x = np.sin(np.linspace(0, 6 * np.pi, 30) + phase[:, None]) + 0.3 * rng.normal(size=(n, 30))
        return flylab.Dataset(x, np.stack([np.cos(phase), np.sin(phase)], 1))

    splits = flylab.Splits(shifted(300, 0), shifted(100, 1), shifted(200, 2), None, None, None)
    best = {}
    for name in ("mlp", "logistic"):
        objective = flylab.regression(flylab.get_model(name, length=30, n_outputs=2))
        grid = {"learning_rate": [1e-3, 1e-2], "seed": range(2)}
        population = flylab.train_members(objective, splits, flylab.Plan(150, eval_every=50), grid)
        last = population.results.isel(step=-1)
        best[name] = last.valid_loss.mean("seed").idxmin("learning_rate")
        chosen = last.sel(learning_rate=best[name])
        angle = np.arctan2(*chosen.prediction.values[..., ::-1].T).T
        true = np.arctan2(*splits.test.y[:, ::-1].T)
        error = np.abs(np.angle(np.exp(1j * (angle - true))))
        assert error.mean() < 0.3  # radians; chance is π / 2
        np.testing.assert_allclose(
            chosen.test_loss, np.square(chosen.prediction - splits.test.y).mean(("example", "output")), rtol=1e-4
        )
    assert float(best["logistic"]) == 1e-2


@pytest.mark.slow
def test_continual_learning():
    """Two classes after two others, by one network: it forgets what it knew; trained on all at once, it knows more."""
    config = flylab.MNIST1D(n_train=400, n_valid=0, n_test=200)
    tasks, seeds, model = flylab.class_splits(5, config), [3, 8], flylab.get_model("mlp", width=50)
    grid = {"learning_rate": 3e-3, "seed": seeds}

    def after(params):
        """The function from the seed to where its training goes on."""
        return lambda seed: jax.tree.map(lambda leaf: leaf[seeds.index(seed)], params)

    def accuracies(population):
        rows = [
            analysis.per_member(lambda p, data: analysis.accuracy(model, p, data), population, t.test) for t in tasks
        ]
        return xr.concat(rows, "task")

    population = flylab.train_members(model, tasks[0], flylab.Plan(0), grid)
    rows = [accuracies(population)]
    for task in tasks:
        population = flylab.train_members(model, task, flylab.Plan(60), grid, params=after(population.params))
        rows.append(accuracies(population))
    accuracy = xr.concat(rows, "learnt")
    assert accuracy.sizes == {"learnt": 6, "task": 5, "seed": 2}
    found = analysis.continual(accuracy)
    assert found.seed.values.tolist() == seeds
    assert (found.forgetting > 50).all()  # it knows the classes of the last task only
    assert (found.average_accuracy < 40).all()
    np.testing.assert_allclose(found.average_accuracy, accuracy[-1].mean("task"))
    together = flylab.train_members(model, flylab.published(config), flylab.Plan(300), grid)
    assert (accuracies(together).mean("task") > found.average_accuracy + 10).all()
