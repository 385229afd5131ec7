"""Seeds, hyper-parameters, objectives and optimisers as newcomers give them: taken, or refused before any work."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
import torch
import xarray as xr
from sklearn.naive_bayes import GaussianNB
from torch import nn

import flylab
from flylab.adapters.torch_training import from_torch
from flylab.data import Dataset, Source, Splits
from flylab.data.generator import endless
from flylab.data.mnist1d import MNIST1D
from flylab.models import Model, dense
from flylab.training.inputs import as_seeds
from flylab.training.learners import of_classifier
from flylab.training.metagradient import metagradient
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import supervised
from flylab.training.population import train_members, watch_members
from flylab.training.step import Plan
from flylab.training.train import train
from flylab.training.training import Training

MODEL, PLAN, key = dense.logistic(), Plan(4, 50), jax.random.key(0)
GRID = {"learning_rate": [1e-2], "seed": [0, 3]}

SEEDS = {
    "duplicate": ([1, 2, 1], r"=\[1, 2, 1\] must be a list of different seeds"),
    "fractional": ([0, 1.5], r"\[1\]=1.5 must be an integer ≥ 0"),
    "negative": (np.array([-1, 2]), r"\[0\]=-1 must be an integer ≥ 0"),
    "too large": ([2**32], r"\[0\]=4294967296 must be an integer from 0 to 4294967295"),
    "truth values": ([True, False], r"\[0\]=True must be an integer"),
    "text": ("12", r"\[0\]='1' must be an integer"),
    "NaN": ([np.nan], r"\[0\]=nan must be an integer"),
    "a number": (10, r"=10 must be a list of seeds, such as range\(10\)"),
    "lists": ([[0], [1]], r"\[0\]=\[0\] must be an integer"),
}


def entries(tiny):
    """Each way in, as a function of the seeds."""
    torch_learner = from_torch(lambda: nn.Linear(40, 10), (40,))
    bayes = of_classifier(GaussianNB())
    starts, meta = [{"learning_rate": 0.1}], MetaPlan(Plan(2, optimizer="sgd"), 1, optax.sgd(0.1))
    return {
        "train_members": lambda seeds: train_members(MODEL, tiny, PLAN, GRID | {"seed": seeds}),
        "watch_members": lambda seeds: list(watch_members(MODEL, tiny, PLAN, GRID | {"seed": seeds})),
        "Training": lambda seeds: Training(MODEL, tiny, PLAN, {"learning_rate": 1e-2}).run(seeds),
        "metalearn": lambda seeds: metalearn(MODEL, tiny, meta, starts, seeds),
        "scikit-learn": lambda seeds: bayes.fit(tiny, PLAN, 1e-2, seeds),
        "torch": lambda seeds: torch_learner.fit(tiny, PLAN, 1e-2, seeds),
    }


@pytest.mark.parametrize("entry", entries(None))
@pytest.mark.parametrize("case", SEEDS)
def test_seeds_that_are_none(entry, case, tiny):
    seeds, message = SEEDS[case]
    with pytest.raises(ValueError, match=f"seeds?{message}"):
        entries(tiny)[entry](seeds)


def test_seeds_of_any_kind_are_integers():
    for seeds in (range(3), (0, 1, 2), np.arange(3, dtype="u1"), iter([0, 1, 2]), jnp.arange(3)):
        assert as_seeds(seeds) == [0, 1, 2]
        assert {type(seed) for seed in as_seeds(range(3))} == {int}


HPARAMS = {
    "text": ({"learning_rate": "0.1"}, r"learning_rate='0.1' must be a number, or a list of numbers"),
    "texts": ({"learning_rate": ["0.1"]}, r"learning_rate\[0\]='0.1' must be a finite number"),
    "NaN": ({"learning_rate": [0.1, np.nan]}, r"learning_rate\[1\]=nan must be a finite number"),
    "infinite": ({"learning_rate": np.inf}, "learning_rate=inf must be a finite number"),
    "infinite in float32": ({"learning_rate": [1e300]}, r"learning_rate\[0\]=1e\+300 must be a finite number"),
    "none": ({"learning_rate": None}, "learning_rate=None must be a number"),
    "masked": ({"learning_rate": np.ma.array([0.1, 0.2], mask=[0, 1])}, r"learning_rate\[1\]=None must be a finite"),
    "one masked": ({"learning_rate": np.ma.masked}, "learning_rate=None must be a finite number"),
    "complex": ({"learning_rate": np.array([0.1 + 2j])}, r"learning_rate\[0\]=\(0.1\+2j\) must be a finite number"),
    "complex in JAX": ({"learning_rate": [jnp.asarray(2j)]}, r"learning_rate\[0\]=2j must be a finite number"),
    "one complex": ({"learning_rate": np.array(2j)}, "learning_rate=2j must be a finite number"),
    "a date": ({"learning_rate": np.array(["2020"], "M8[Y]")}, r"learning_rate\[0\]=.*2020.* must be a finite number"),
    "a time": ({"learning_rate": np.timedelta64(1, "s")}, r"learning_rate=.* must be a finite number"),
    "a text in an array": ({"learning_rate": np.array("0.1")}, r"learning_rate=.*'?0.1'? must be a finite number"),
    "too many digits": ({"learning_rate": [10**400]}, r"learning_rate\[0\]=1000.* must be a finite number"),
    "a table": ({"learning_rate": np.ones((1, 2))}, r"learning_rate\[0\]=.* must be a finite number"),
    "empty": ({"learning_rate": []}, "'learning_rate' is empty"),
    "missing": ({}, "the hyper-parameter 'learning_rate' is missing; there are none"),
    "misspelt": ({"lr": 0.1}, "the hyper-parameter 'learning_rate' is missing; there are lr"),
}


@pytest.mark.parametrize("case", HPARAMS)
def test_hyper_parameters_that_are_none(case, tiny):
    hparams, message = HPARAMS[case]
    with pytest.raises(ValueError, match=message):
        train_members(MODEL, tiny, PLAN, {**hparams, "seed": [0]})


def test_a_single_number_is_no_axis(tiny):
    """Also for the data parameters of a source."""
    listed = train_members(MODEL, tiny, PLAN, GRID)
    for number in (1e-2, np.float64(1e-2), np.array(1e-2), jnp.asarray(1e-2)):
        single = train_members(MODEL, tiny, PLAN, GRID | {"learning_rate": number})
        xr.testing.assert_identical(single.results, listed.results.squeeze("learning_rate", drop=True))
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[0]), single.params, listed.params)
    with pytest.raises(ValueError, match="max_translation=0 must be"):
        train_members(MODEL, endless(MNIST1D()), PLAN, GRID | {"max_translation": 0})


@pytest.mark.parametrize("make", [np.array, jnp.array, torch.tensor, pd.Series, xr.DataArray, iter, np.ma.array])
def test_axes_of_any_kind_are_those_of_lists(make, tiny):
    grid = {"learning_rate": [0.25, 0.5], "seed": [0, 3]}
    given = {name: make(values) for name, values in grid.items()}
    expected = train_members(MODEL, tiny, PLAN, grid).results
    xr.testing.assert_identical(train_members(MODEL, tiny, PLAN, given).results.astype(expected.dtypes), expected)


KEYS = {
    "of more than 32 bits": (2**32, "key=4294967296 must be an integer from 0 to 4294967295"),
    "negative": (-1, "key=-1 must be an integer ≥ 0"),
    "a fraction": (0.5, "key=0.5 must be an integer"),
    "a truth value": (True, "key=True must be an integer"),
    "several": (jax.random.split(jax.random.key(0)), "must be one key, not several"),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_that_are_none(case, tiny):
    wrong, message = KEYS[case]
    meta = MetaPlan(Plan(2, optimizer="sgd"), 1, optax.sgd(0.1))
    for train_with in (
        lambda: train_members(MODEL, tiny, PLAN, GRID, key=wrong),
        lambda: next(watch_members(MODEL, tiny, PLAN, GRID, key=wrong)),
        lambda: Training(MODEL, tiny, PLAN, {"learning_rate": 0.1}).run([0], key=wrong),
        lambda: metalearn(MODEL, tiny, meta, {"learning_rate": 0.1}, key=wrong),
    ):
        with pytest.raises(ValueError, match=message):
            train_with()


def test_an_integer_of_any_kind_is_a_key(tiny):
    expected = train_members(MODEL, tiny, PLAN, GRID, key=jax.random.key(2**32 - 1)).results
    for same in (2**32 - 1, np.uint32(2**32 - 1), np.array(2**32 - 1), jnp.uint32(2**32 - 1)):
        xr.testing.assert_identical(train_members(MODEL, tiny, PLAN, GRID, key=same).results, expected)


@pytest.mark.slow
def test_a_model_is_the_objective_of_classification(tiny):
    expected = train_members(supervised(MODEL), tiny, PLAN, GRID).results
    xr.testing.assert_identical(train_members(MODEL, tiny, PLAN, GRID).results, expected)
    params, hparams = MODEL.init(key), {"learning_rate": 0.1}
    one, same = (train(thing, params, tiny, PLAN, hparams, key=key) for thing in (MODEL, supervised(MODEL)))
    jax.tree.map(np.testing.assert_array_equal, one.params, same.params)
    plan = Plan(2, optimizer="sgd")
    one, same = (metagradient(thing, tiny, plan, hparams, key=key) for thing in (MODEL, supervised(MODEL)))
    np.testing.assert_array_equal(one.gradient["learning_rate"], same.gradient["learning_rate"])


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ("mlp", "objective must be an Objective, .* or a model, not str"),
        ((MODEL.init, MODEL.apply), "or a model, not tuple"),
        (lambda hparams: MODEL, "or a model, not function"),
    ],
)
def test_what_is_no_objective(thing, message, tiny):
    with pytest.raises(TypeError, match=message):
        train_members(thing, tiny, PLAN, GRID)


def test_a_function_of_hyper_parameters_that_returns_no_model(tiny):
    with pytest.raises(TypeError, match=r"must return a flylab.Model, not tuple"):
        train_members(supervised(lambda hparams: (MODEL.init, MODEL.apply)), tiny, PLAN, GRID)


@pytest.mark.slow
def test_an_optax_transformation_is_an_optimizer(tiny):
    def results(optimizer, grid):
        return train_members(MODEL, tiny, Plan(4, 50, optimizer=optimizer), grid).results

    expected = results(lambda hparams: optax.adam(1e-2), {"seed": [0]})
    xr.testing.assert_identical(results(optax.adam(1e-2), {"seed": [0]}), expected)
    np.testing.assert_allclose(expected.test_loss, results("adam", {"learning_rate": 1e-2, "seed": [0]}).test_loss)
    results(optax.chain(optax.clip(1.0), optax.sgd(1e-2)), {"seed": [0]})
    with pytest.raises(ValueError, match="'learning_rate' is read by nothing"):
        results(optax.adam(1e-2), {"learning_rate": 1e-2, "seed": [0]})
    with pytest.raises(ValueError, match=r"optimizer=<function adam .* must be a transformation, such as optax.adam"):
        Plan(4, optimizer=optax.adam)
    with pytest.raises(TypeError, match="the plan's optimizer must make an optax transformation, not "):
        results(lambda hparams: hparams["learning_rate"], {"learning_rate": [1e-2], "seed": [0]})


@pytest.mark.slow
def test_a_metagradient_that_is_not_finite_names_eps_root(tiny):
    """An input that is always 0 has a gradient of 0, at which Adam's square root has no derivative."""
    still = tiny._replace(train=Dataset(0 * tiny.train.x, tiny.train.y))
    for optimizer in ("adam", lambda hparams: optax.adam(hparams["learning_rate"])):
        with pytest.warns(UserWarning, match=r"exploded \(norm nan .* set its eps_root"):
            metagradient(MODEL, still, Plan(3, optimizer=optimizer), {"learning_rate": 0.1}, key=key)


def test_misspelt_attributes_are_suggested():
    for wrong, right in {"train_member": "train_members", "MNIST1d": "MNIST1D", "modles": "models"}.items():
        with pytest.raises(AttributeError, match=f"has no attribute '{wrong}'; did you mean '{right}'"):
            getattr(flylab, wrong)
    with pytest.raises(AttributeError, match=r"no attribute '__path_of_nothing__'$"):
        flylab.__path_of_nothing__  # noqa: B018


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def data_entries():
    return {
        "train_members": lambda data: train_members(MODEL, data, PLAN, GRID),
        "train_members by seed": lambda data: train_members(MODEL, lambda seed: data, PLAN, GRID),
        "train": lambda data: train(MODEL, MODEL.init(key), data, PLAN, {"learning_rate": 0.1}, key=key),
        "metagradient": lambda data: metagradient(MODEL, data, PLAN, {"learning_rate": 0.1}, key=key),
        "scikit-learn": lambda data: of_classifier(GaussianNB()).fit(data, PLAN, 1e-2, [0]),
        "torch": lambda data: from_torch(lambda: nn.Linear(40, 10), (40,)).fit(data, PLAN, 1e-2, [0]),
    }  # fmt: skip


@pytest.mark.parametrize("entry", data_entries())
@pytest.mark.parametrize("what", ["one label fewer", "floats", "NaN"])
def test_data_that_do_not_fit(entry, what, tiny):
    x, y = tiny.test
    part = {"one label fewer": (x, y[1:]), "floats": (x, y + 0.5), "NaN": (np.where(x > 2, np.nan, x), y)}[what]
    with pytest.raises(ValueError, match=r"in the test set|the test set must"):
        data_entries()[entry](tiny._replace(test=Dataset(*part)))


def later(tiny, change):
    """Data of each seed, of which seed 3's, the second, are changed."""
    x, y = tiny.test
    others = {
        "labels beyond the outputs": tiny._replace(test=Dataset(x, y + 5)),
        "a smaller set": tiny._replace(test=Dataset(x[:50], y[:50])),
        "shorter examples": Splits(*(part._replace(x=part.x[:, 1:]) for part in tiny[:3]), *tiny[3:]),
        "no validation set": tiny._replace(valid=([], [])),
        "a pair": tuple(tiny.test),
    }
    return lambda seed: tiny if seed == 0 else others[change]


LATER = {
    "labels beyond the outputs": (ValueError, "label 14 in the test set must be from 0 to 9"),
    "a smaller set": (ValueError, r"data of all seeds must have the same form, .* \(50, 40\)\) where .* \(100, 40\)"),
    "shorter examples": (ValueError, r"data of all seeds must have the same form, .* 39\)\) where .* 40\)"),
    "no validation set": (ValueError, "data of all seeds must have the same form"),
    "a pair": (TypeError, r"data must be Splits, .* not tuple"),
}


@pytest.mark.parametrize("change", LATER)
@pytest.mark.parametrize("entry", ["train_members", "watch_members", "metalearn"])
def test_data_of_a_later_seed_that_do_not_fit(entry, change, tiny):
    data, (kind, message) = later(tiny, change), LATER[change]
    meta = MetaPlan(Plan(2, optimizer="sgd"), 1, optax.sgd(0.1))
    entries = {
        "train_members": lambda: train_members(MODEL, data, PLAN, GRID),
        "watch_members": lambda: list(watch_members(MODEL, data, PLAN, GRID)),
        "metalearn": lambda: metalearn(MODEL, data, meta, {"learning_rate": 0.1}, [0, 3]),
    }
    with pytest.raises(kind, match=message):
        entries[entry]()


@pytest.mark.parametrize("wrong", [{"w": np.zeros((10, 39))}, {"v": np.zeros(3)}, None])
def test_initial_parameters_of_a_later_seed_that_do_not_fit(wrong, tiny):
    first = MODEL.init(key)
    with pytest.raises(ValueError, match="initial parameters of all seeds must have the same form"):
        train_members(MODEL, tiny, PLAN, GRID, params=lambda seed: first if seed == 0 else wrong)


def test_lists_train_as_arrays_do(tiny):
    lists = Splits(*((part.x.tolist(), part.y.tolist()) for part in tiny[:3]), None, None, None)
    expected = train_members(MODEL, tiny, PLAN, GRID).results
    xr.testing.assert_identical(train_members(MODEL, lists, PLAN, GRID).results, expected)
    assert Training(MODEL, lists, PLAN).resources == Training(MODEL, tiny, PLAN).resources


def test_train_refuses_what_it_would_ignore(tiny):
    small = dense.logistic(n_outputs=4)
    with pytest.raises(ValueError, match="label 9 in the train set must be from 0 to 3"):
        train(small, small.init(key), tiny, PLAN, {"learning_rate": 0.1}, key=key)
    with pytest.raises(ValueError, match="'momentum' is read by nothing"):
        train(MODEL, MODEL.init(key), tiny, PLAN, {"learning_rate": 0.1, "momentum": 0.9}, key=key)


def test_traced_data_train(tiny):
    """`train` stays a function that can be jitted over its data."""

    def loss(x):
        data = tiny._replace(train=Dataset(x, tiny.train.y))
        return train(MODEL, MODEL.init(key), data, PLAN, {"learning_rate": 0.1}, key=key).history["test_loss"][-1]

    np.testing.assert_allclose(jax.jit(loss)(tiny.train.x), loss(tiny.train.x), rtol=1e-5)
    with pytest.raises(ValueError, match="the train set has 199 examples and 200 labels"):
        jax.jit(loss)(tiny.train.x[1:])


@pytest.mark.parametrize("wrong", ["example", "evaluation"])
def test_a_sources_labels_are_integers(wrong):
    def example(shared, data_params, key, i):
        return jnp.ones(40), jnp.float32(3) if wrong == "example" else i % 3

    def evaluation(shared, data_params):
        part = Dataset(jnp.ones((9, 40)), jnp.arange(9) / (2 if wrong == "evaluation" else 1) // 1)
        return part, Dataset(part.x, part.y.astype(part.y.dtype if wrong == "evaluation" else int))

    with pytest.raises(ValueError, match=r"the source's .* must have one integer label .*, not float32"):
        train_members(MODEL, Source(lambda data_params: None, example, evaluation), PLAN, GRID)


# ── results ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_predictions_of_many_classes_are_whole(tiny):
    """Class 299 is always predicted by a network with a large bias."""
    model = Model(lambda key: {"b": jnp.zeros(300).at[299].set(9.0)}, lambda params, x: params["b"] + 0.0 * x.sum())
    many = tiny._replace(test=Dataset(tiny.test.x, np.full(100, 299)))
    found = train_members(
        model, many, Plan(0), {"learning_rate": 0.1, "seed": [0]}, params=lambda seed: model.init(key)
    )
    assert found.results.prediction.dtype == np.uint16
    assert (found.results.prediction == 299).all()
    assert found.results.test_accuracy.item() == 100
    whole = train(model, model.init(key), many, Plan(0), {"learning_rate": 0.1}, key=key)
    assert (np.asarray(whole.prediction) == 299).all()


@pytest.mark.slow
def test_metrics_of_the_loss_are_recorded(tiny):
    def loss(params, batch, hparams, key):
        value, _ = supervised(MODEL).loss(params, batch, hparams, key)
        return value, {"double": 2 * value, "first_label": batch.y[0]}

    objective = supervised(MODEL)._replace(loss=loss)
    plan = Plan(5, 50, eval_every=2, record_loss=True)
    results = train_members(objective, tiny, plan, GRID).results.isel(learning_rate=0)
    assert results.double.dims == ("seed", "update")
    np.testing.assert_allclose(results.double, 2 * results.loss, rtol=1e-6)
    expected = [tiny.train.y[50 * (step % 4)] for step in range(5)]
    assert results.first_label.values.tolist() == [expected, expected]
    for partial in watch_members(objective, tiny, plan, GRID):
        done = partial.results.isel(learning_rate=0)
        np.testing.assert_array_equal(done.double, results.double[:, : done.step.values[-1]])
    quiet = train_members(objective, tiny, Plan(5, 50), GRID).results
    assert {"double", "first_label"} <= set(quiet)
    assert "loss" not in quiet
    history = train(objective, MODEL.init(key), tiny, plan, {"learning_rate": 0.01}, key=key).history
    np.testing.assert_allclose(history["double"], 2 * history["loss"], rtol=1e-6)
    assert history["first_label"].tolist() == expected


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("test_loss", 1.0, "the metric 'test_loss' .* has a name that is taken"),
        ("learning_rate", 1.0, "has a name that is taken"),
        ("step", 1.0, "has a name that is taken"),
        ("each", jnp.ones(3), r"the metric 'each' .* has shape \(3,\): give a scalar"),
    ],
)
def test_metrics_that_cannot_be_recorded(name, value, message, tiny):
    objective = supervised(MODEL)
    objective = objective._replace(loss=lambda *args: (supervised(MODEL).loss(*args)[0], {name: value}))
    with pytest.raises(ValueError, match=message):
        train_members(objective, tiny, PLAN, GRID)


@pytest.mark.slow
def test_saved_parameters_of_a_population(tiny):
    plan = Plan(6, 50, eval_every=3, save_params_at=(0, 2, 6))
    population = train_members(MODEL, tiny, plan, {"learning_rate": [1e-2, 1e-1], "seed": [0, 3, 4]})
    assert [saved["w"].shape for saved in population.saved_params] == [(2, 3, 10, 40)] * 3
    jax.tree.map(np.testing.assert_array_equal, population.saved_params[2], population.params)
    early = train_members(MODEL, tiny, Plan(2, 50), {"learning_rate": [1e-1], "seed": [3]}).params
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[1, 1], b[0, 0]), population.saved_params[1], early)
    described = Training(MODEL, tiny, plan, {"learning_rate": [1e-2, 1e-1]}).run([0, 3, 4])
    jax.tree.map(np.testing.assert_array_equal, described.saved_params, population.saved_params)
    watched = [len(part.saved_params) for part in watch_members(MODEL, tiny, plan, GRID)]
    assert watched == [1, 2, 2, 3]
