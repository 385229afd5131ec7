"""`Model`: keywords of `apply`. Keys do not depend on company, evaluation draws nothing, states are PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from flylab.evaluation.load import user_model
from flylab.models import Model, Stateful, get_model, layers, list_models, n_params, outputs
from flylab.models.flops import forward_flops
from flylab.models.model import keywords, training_outputs
from flylab.training.networks import Population
from flylab.training.objectives import contrastive, info_nce, supervised
from flylab.training.population import train_members, watch_members
from flylab.training.step import Plan

KEY = jax.random.key(0)
LINEAR = get_model("logistic")


def dropout(params, x, *, key):
    kept = x if key is None else jnp.where(jax.random.bernoulli(key, 0.5, x.shape), 2 * x, 0)
    return layers.linear(params, kept)


def normalised(params, x, *, state, train):
    """`torch.nn.BatchNorm1d(40, affine=False)` before a linear layer."""
    mean, var = state["mean"], state["var"]
    if train:
        n = jax.lax.psum(1, "batch")
        mean, var = jax.lax.pmean(x, "batch"), jax.lax.pmean(jnp.square(x), "batch")
        var = var - mean**2
        state = {"mean": 0.9 * state["mean"] + 0.1 * mean, "var": 0.9 * state["var"] + 0.1 * var * n / (n - 1)}
    return layers.linear(params, (x - mean) / jnp.sqrt(var + 1e-5)), state


def normalised_init(key):
    return Stateful(LINEAR.init(key), {"mean": jnp.zeros(40), "var": jnp.ones(40)})


DROPOUT, NORM = Model(LINEAR.init, dropout), Model(normalised_init, normalised)
BOTH = Model(
    normalised_init,
    lambda params, x, *, key, train, state: normalised(
        params, x if not train else x * jax.random.bernoulli(key, 0.5, x.shape), state=state, train=train
    ),
)
MODELS = {"dropout": DROPOUT, "batch norm": NORM, "both": BOTH}
EACH = pytest.mark.parametrize("name", MODELS)


def test_the_networks_of_the_registry_take_no_keywords_and_keep_their_program():
    for name in list_models():
        model = get_model(name)
        assert keywords(model) == ()
        params, x = jax.eval_shape(model.init, KEY), jax.ShapeDtypeStruct((40, 3), "float32")
        plain, trained = lambda p, x: outputs(model, p, x), lambda p, x: training_outputs(model, p, x, KEY)[0]  # noqa: B023
        assert str(jax.make_jaxpr(plain)(params, x)) == str(jax.make_jaxpr(trained)(params, x))


@pytest.mark.slow
def test_a_key_for_each_step_and_place_and_none_in_evaluation():
    params, x = LINEAR.init(KEY), jnp.ones((40, 5))
    many, _ = training_outputs(DROPOUT, params, x, KEY)
    few, _ = training_outputs(DROPOUT, params, x[:, :3], KEY)
    np.testing.assert_array_equal(few, many[:, :3])  # whatever follows in the batch
    assert len(np.unique(many[0])) == 5
    assert (training_outputs(DROPOUT, params, x, jax.random.key(1))[0] != many).any()
    np.testing.assert_allclose(outputs(DROPOUT, params, x), outputs(LINEAR, params, x), rtol=1e-6)


def test_batch_normalisation_is_pytorchs(rng):
    module = torch.nn.BatchNorm1d(40, affine=False)
    params = normalised_init(KEY)
    for _ in range(3):
        x = rng.normal(2, 3, (20, 40)).astype("float32")
        out, params = training_outputs(NORM, params, jnp.asarray(x.T), KEY)
        want = LINEAR.apply_batch(params.params, jnp.asarray(module(torch.tensor(x)).numpy().T))
        np.testing.assert_allclose(out, want, atol=1e-4)
    np.testing.assert_allclose(params.state["mean"], module.running_mean, atol=1e-5)
    np.testing.assert_allclose(params.state["var"], module.running_var, rtol=1e-4)
    want = LINEAR.apply_batch(params.params, jnp.asarray(module.eval()(torch.tensor(x)).numpy().T))
    np.testing.assert_allclose(outputs(NORM, params, jnp.asarray(x.T)), want, atol=1e-4)


@pytest.mark.slow
@EACH
def test_populations_learn_alone_as_in_company_and_are_saved(name, tiny, tmp_path):
    model, plan = MODELS[name], Plan(40, 50, 20, optimizer=lambda hparams: optax.adamw(hparams["learning_rate"]))
    grid = {"learning_rate": [1e-2], "seed": [3, 5]}
    both = train_members(model, tiny, plan, grid)
    assert (both.results.train_loss.isel(step=-1) < both.results.train_loss.isel(step=0)).all()
    alone = train_members(model, tiny, plan, grid | {"seed": [5]})
    *_, watched = watch_members(model, tiny, plan, grid)
    for other, ours in ((alone, both.sel(seed=[5])), (watched, both)):
        jax.tree.map(np.testing.assert_array_equal, other.params, ours.params)
    again = Population.load(both.save(tmp_path / "p"), model)
    jax.tree.map(np.testing.assert_array_equal, again.params, both.params)
    np.testing.assert_array_equal(again.predict(tiny.test.x), both.results.prediction)
    on = train_members(model, tiny, Plan(0, optimizer="sgd"), grid, params=again)
    jax.tree.map(np.testing.assert_array_equal, on.params, both.params)
    if name == "batch norm":
        np.testing.assert_allclose(both.params.state["mean"][0, 0], tiny.train.x.mean(0), atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.long if n != "both" else ()) for n in MODELS])
def test_groups_of_members(name, tiny, monkeypatch):
    def trained(seeds):
        return train_members(MODELS[name], tiny, Plan(20, 50), {"learning_rate": [1e-2], "seed": seeds})

    single = trained([0])
    monkeypatch.setenv("FLYLAB_GROUP", "4")
    together, alone = trained(range(5)), trained([3])
    jax.tree.map(np.testing.assert_array_equal, alone.params, together.sel(seed=[3]).params)
    np.testing.assert_allclose(together.results.test_loss[0, 0], single.results.test_loss[0, 0], rtol=1e-4)


@pytest.mark.slow
def test_sizes_work_and_other_objectives(tiny):
    assert n_params(NORM) == 410
    assert forward_flops(NORM, (40,)) == forward_flops(DROPOUT, (40,)) == 800
    view = lambda key, x: x + 0.1 * jax.random.normal(key, x.shape)  # noqa: E731
    trained = train_members(contrastive(BOTH, view, info_nce), tiny, Plan(3), {"learning_rate": 1e-2, "seed": [0]})
    assert (trained.params.state["mean"] != 0).any()
    for name, model in MODELS.items():
        assert user_model(model, "own", tiny.train.x, 10).learner.n_params == 410, name


@pytest.mark.slow
def test_schedule_free_optimisers_average_what_they_train(tiny):
    plan = Plan(20, 50, optimizer=lambda hparams: optax.contrib.schedule_free_sgd(hparams["learning_rate"]))
    trained = train_members(NORM, tiny, plan, {"learning_rate": 0.1, "seed": [0]})
    assert trained.results.train_loss.values[0, -1] < trained.results.train_loss.values[0, 0]


BAD = {
    "apply_batch": (DROPOUT._replace(apply_batch=LINEAR.apply_batch), ValueError, "takes key, so there can be no"),
    "no Stateful": (NORM._replace(init=LINEAR.init), TypeError, "must return flylab.models.Stateful.*, not dict"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case, tiny):
    model, error, message = BAD[case]
    with pytest.raises(error, match=message):
        train_members(supervised(model), tiny, Plan(2), {"learning_rate": 1e-2, "seed": [0]})
