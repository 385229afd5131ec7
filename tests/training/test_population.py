"""Populations: bit-identical in any company, on any number of devices and in any chunks; nothing compiles twice."""

import re
import subprocess
import sys
import textwrap
from dataclasses import replace

import jax
import numpy as np
import pytest

from flylab.base import runtime
from flylab.data import MNIST1D, Dataset, published
from flylab.data.generator import endless
from flylab.models import dense
from flylab.models.registry import PUBLISHED, get_model
from flylab.training import dispatch
from flylab.training.objectives import supervised
from flylab.training.population import train_members, watch_members
from flylab.training.step import Plan

key = jax.random.key(0)
PLAN = Plan(40, 50, eval_every=15)
EACH_MODEL = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name == "gru" else ()) for name in PUBLISHED]
)


def population(name, splits, seeds, rates=(1e-2,), plan=PLAN):
    return train_members(
        supervised(get_model(name)), splits, plan, {"learning_rate": list(rates), "seed": seeds}, key=key
    )


def same_bits(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual.params, expected.params)
    for variable in actual.results:
        np.testing.assert_array_equal(actual.results[variable], expected.results[variable])


def picked(population, seeds):
    at = [population.results.seed.values.tolist().index(seed) for seed in seeds]
    params = jax.tree.map(lambda leaf: leaf[:, at], population.params)
    return population._replace(params=params, results=population.results.sel(seed=seeds))


@pytest.mark.slow
@EACH_MODEL
def test_a_member_is_the_same_alone_and_in_company(name, tiny):
    together = population(name, tiny, range(5))
    for seed in (0, 3, 4):
        same_bits(population(name, tiny, [seed]), picked(together, [seed]))


@pytest.mark.slow
@EACH_MODEL
def test_the_same_on_one_device_or_two(name, tiny, monkeypatch):
    both = population(name, tiny, range(3))
    one_device = runtime.devices()[:1]
    monkeypatch.setattr(runtime, "devices", lambda: one_device)
    same_bits(population(name, tiny, range(3)), both)


@pytest.mark.slow
@EACH_MODEL
def test_the_same_in_any_chunking_and_with_other_evaluations(name, tiny, monkeypatch):
    whole = population(name, tiny, [0, 1])
    monkeypatch.setattr(dispatch, "_next_chunk", lambda *_: 7)
    same_bits(population(name, tiny, [0, 1]), whole)
    monkeypatch.undo()
    rare = population(name, tiny, [0, 1], plan=Plan(40, 50, eval_every=40))
    jax.tree.map(np.testing.assert_array_equal, rare.params, whole.params)


def test_more_seeds_compile_nothing(tiny):
    population("mlp", tiny, range(2))
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    )
    try:
        population("mlp", tiny, range(7), rates=(1e-3, 3e-3))
    finally:
        jax.monitoring.clear_event_listeners()
    assert compiled == []


def test_axes_and_paired_seeds(tiny):
    result = population("logistic", tiny, [4, 9], rates=(1e-3, 1e-1)).results
    assert dict(result.test_accuracy.sizes) == {"learning_rate": 2, "seed": 2, "step": 4}
    assert result.step.values.tolist() == [0, 15, 30, 40]
    np.testing.assert_array_equal(*result.test_loss.isel(step=0))  # one initialisation for both rates
    assert (result.test_loss.isel(step=-1).diff("learning_rate") != 0).all()


@pytest.mark.slow
def test_fresh_data_per_seed():
    def data(seed):
        return published(MNIST1D(n_train=100, n_test=50, n_valid=50, seed=seed))

    both = train_members(supervised(dense.logistic()), data, PLAN, {"learning_rate": [1e-2], "seed": [3, 8]}, key=key)
    alone = train_members(supervised(dense.logistic()), data(8), PLAN, {"learning_rate": [1e-2], "seed": [8]}, key=key)
    same_bits(picked(both, [8]), alone)


def test_zero_steps_evaluates_the_initialisation(tiny):
    result = population("logistic", tiny, [0], plan=Plan(0)).results
    assert result.step.values.tolist() == [0]
    assert 0 < float(result.test_accuracy.squeeze()) < 40


@pytest.mark.parametrize(
    ("grid", "message"), [({"seed": []}, "'seed' is empty"), ({"learning_rate": [1]}, "no axis 'seed'")]
)
def test_refuses_bad_grids(grid, message, tiny):
    with pytest.raises(ValueError, match=message):
        train_members(supervised(dense.logistic()), tiny, PLAN, grid, key=key)


def test_progress_counts_every_step(tiny):
    done = []
    grid = {"learning_rate": [1e-2], "seed": range(3)}
    train_members(supervised(dense.logistic()), tiny, PLAN, grid, key=key, progress=done.append)
    assert sum(done) == 3 * 40


@pytest.mark.long
def test_memory_is_bounded(tiny):
    """A thousand CNNs in one population stay within 4 GB."""
    code = """
        from pathlib import Path
        from flylab.data import MNIST1D, Dataset, published
        from flylab.training.population import train_members
        from flylab.models import get_model
        from flylab.training.objectives import supervised
        from flylab.training.step import Plan
        grid = {"learning_rate": [1e-2], "seed": range(1000)}
        train_members(supervised(get_model("cnn")), published(), Plan(2, eval_every=2), grid)
        status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
        print(int(status["VmHWM"].split()[0]) / 2**20)  # (ru_maxrss would count the forking test process)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 4


@pytest.mark.slow
def test_works_where_jax_has_started():
    """Results are the same, and a warning names `flylab.initialise`."""
    code = """
        import warnings, jax
        jax.numpy.zeros(1).block_until_ready()
        from flylab.data import MNIST1D, Dataset, published
        from flylab.training.population import train_members
        from flylab.models import get_model
        from flylab.training.objectives import supervised
        from flylab.training.step import Plan
        splits = published(MNIST1D(n_train=100, n_test=50, n_valid=50))
        grid = {"learning_rate": [1e-2], "seed": range(3)}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = train_members(supervised(get_model("mlp")), splits, Plan(20, 50), grid)
        n_warnings = sum("flylab.initialise()" in str(w.message) for w in caught)
        print(n_warnings, result.params["output"]["w"].tobytes().hex())
    """

    command = [sys.executable, "-c", textwrap.dedent(code)]
    hints, started = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    splits = published(MNIST1D(n_train=100, n_test=50, n_valid=50))
    grid = {"learning_rate": [1e-2], "seed": range(3)}  # here flylab has started JAX, and without a warning
    here = train_members(supervised(get_model("mlp")), splits, Plan(20, 50), grid).params
    assert started == here["output"]["w"].tobytes().hex()
    if len(runtime.devices()) > 1:
        assert int(hints) == 1


def test_a_hyper_parameter_that_nothing_reads_is_refused(tiny):
    for axis in ({"learning_rte": [0.1]}, {"iid_noise_scale": [0.0, 5.0]}, {"momentum": [0.9]}):
        with pytest.raises(ValueError, match=f"{next(iter(axis))!r} is read by nothing"):
            train_members(supervised(dense.logistic()), tiny, Plan(2), {"learning_rate": [0.1], **axis, "seed": [0]})


@pytest.mark.parametrize("name", ["step", "example", "update", "prediction", "test_loss"])
def test_axes_with_names_of_results_are_refused(name, tiny):
    objective = supervised(lambda hparams: get_model("logistic"))
    loss = objective._replace(loss=lambda *args: (objective.loss(*args)[0] * args[2][name], {}))
    with pytest.raises(ValueError, match=f"'{name}' cannot be an axis"):
        train_members(loss, tiny, Plan(2), {name: [1.0], "learning_rate": [0.1], "seed": [0]})


@pytest.mark.parametrize("width", [10**6, 2**31 - 1])
def test_networks_that_do_not_fit_into_memory_are_refused(width, tiny):
    with pytest.raises(ValueError, match="training a network of this size needs at least"):
        train_members(supervised(get_model("mlp", width=width)), tiny, Plan(2), {"learning_rate": [0.1], "seed": [0]})


OUTPUTS = {
    "float32 of shape (2,)": lambda out: out.sum(0),
    "float32 of shape (10, 1, 2)": lambda out: out[:, None],
    "float32 of shape (2, 10)": lambda out: out.T,
    "int32 of shape (10, 2)": lambda out: out.astype("int32"),
    "dict": lambda out: {"logits": out},
}


@pytest.mark.parametrize("given", OUTPUTS)
def test_outputs_that_are_no_scores_of_classes_are_refused(given, tiny):
    objective = supervised(get_model("logistic"))
    other = objective._replace(predict=lambda *args: OUTPUTS[given](objective.predict(*args)))
    with pytest.raises(ValueError, match=re.escape(f"the network returns {given}; it must return floats")):
        train_members(other, tiny, Plan(2), {"learning_rate": [0.1], "seed": [0]})


def test_labels_beyond_the_outputs_are_refused():
    splits = published(MNIST1D(n_train=100, n_test=50, n_valid=50, random_labels=20))
    with pytest.raises(ValueError, match="label 19 in the train set must be from 0 to 9; the network has 10 outputs"):
        train_members(supervised(dense.logistic()), splits, Plan(2), {"learning_rate": [0.1], "seed": [0]})


@pytest.mark.slow
def test_one_task_read_by_more_outputs_trains():
    config = MNIST1D(n_train=200, n_test=50, n_valid=0, classes=(0, 1), n_outputs=5)
    model = dense.logistic(n_outputs=config.outputs)
    population = train_members(supervised(model), published(config), Plan(50), {"learning_rate": [0.1], "seed": [0]})
    assert population.results.train_accuracy.isel(step=-1).item() > 60
    assert population.params["w"].shape == (1, 1, 5, 40)


@pytest.mark.parametrize("data", [MNIST1D(), None, [1, 2]])
def test_data_of_a_wrong_type_are_refused(data):
    with pytest.raises(TypeError, match=rf"data must be Splits, .* not {type(data).__name__}"):
        train_members(supervised(dense.logistic()), data, Plan(2), {"learning_rate": [0.1], "seed": [0]})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fixed", pytest.param("by seed", marks=pytest.mark.long), "source"])
def test_watched_training_ends_in_the_same_bits(kind, tiny):
    small = MNIST1D(n_train=100, n_valid=0, n_test=100)
    data = {"fixed": tiny, "by seed": lambda seed: published(replace(small, seed=seed)), "source": endless(small)}[kind]
    arguments = supervised(dense.mlp()), data, PLAN, {"learning_rate": [1e-2], "seed": range(3)}
    whole, watched = train_members(*arguments, key=key), list(watch_members(*arguments, key=key))
    assert [partial.results.step.values.tolist() for partial in watched] == [[0], [0, 15], [0, 15, 30], [0, 15, 30, 40]]
    same_bits(watched[-1], whole)
    for partial in watched:
        for variable in set(partial.results) - {"prediction"}:
            expected = whole.results[variable].sel(step=partial.results.step)
            np.testing.assert_array_equal(partial.results[variable], expected)
    with pytest.raises(ValueError, match="axis 'seed'"):
        next(watch_members(*arguments[:3], {"learning_rate": [1e-2]}))


@pytest.mark.slow
def test_a_plan_may_evaluate_some_of_the_training_examples():
    """They are the first ones; training, and the other sets, are as they were."""
    splits = published(MNIST1D(n_train=100, n_valid=50, n_test=50))
    few, all_ = (
        train_members(
            get_model("logistic"), splits, Plan(4, 10, 2, n_train_evaluated=n), {"learning_rate": 1e-2, "seed": [0]}
        ).results
        for n in (30, None)
    )
    first = splits._replace(train=Dataset(splits.train.x[:30], splits.train.y[:30]))
    alone = train_members(get_model("logistic"), first, Plan(0, 10), {"learning_rate": 1e-2, "seed": [0]}).results
    for name in ("valid_loss", "test_loss", "test_accuracy"):
        np.testing.assert_allclose(few[name], all_[name], rtol=1e-5)
    np.testing.assert_allclose(few.train_loss.isel(step=0), alone.train_loss.isel(step=0), rtol=1e-5)
    assert (few.train_loss != all_.train_loss).any()
