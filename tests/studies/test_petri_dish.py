"""Petri dishes: claims on made-up results, networks against plain formulas, and a short run of every part."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.data import MNIST1D
from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies.petri_dish import claims, dish, method, pool
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("petri_dish")
SMOKE = STUDY.presets["smoke"]
N = 24  # ranked architectures, in made-up results


def made_up(noise, n_seeds=4):
    """Return results in which dishes are the truth with noise of some size by data set, and real data less at cost."""
    rng, costs, true = np.random.default_rng(0), np.array([0.25, 0.5, 1, 2, 4, 32]), np.arange(N) / N
    sizes = {"dataset": len(noise), "predictor": 3, "seed": n_seeds, "architecture": N, "cost": len(costs)}
    coords = {"dataset": [*noise], "predictor": ["dish", "subset", "size"], "seed": range(n_seeds),
              "architecture": pool.names(N), "cost": costs}  # fmt: skip
    scale = np.array([[size, 1, 2] for size in noise.values()])

    def drawn(scale, *without):
        dims = [dim for dim in sizes if dim not in without]
        values = np.expand_dims(true, [*range(1, len(dims) - dims.index("architecture"))])
        return dims, values + scale * rng.standard_normal([sizes[dim] for dim in dims])

    variables = {
        "test_accuracy": drawn(0.02, "predictor", "cost"),
        "early": drawn(1 / (1 + costs), "predictor"),
        "score": drawn(scale[..., None, None], "cost"),
    }
    return xr.Dataset(variables, coords).assign_attrs(preset="quick", study="petri_dish", run="r")


def words(results):
    return {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {"quick": []})}


def test_claims_hold_where_dishes_rank_well_and_fall_where_they_do_not():
    found = words(made_up({"mnist1d": 0.02, "digits": 20}))
    assert {word for id_, word in found.items() if id_.endswith(".mnist1d")} == {"supported"}
    assert {word for id_, word in found.items() if id_.endswith(".digits") and "dish" in id_} <= {
        "refuted",
        "undecided",
    }
    assert found["dish-saves.digits"] == "refuted"
    assert found["mnist1d-predicts.digits"] == "supported"
    assert {word for id_, word in found.items() if id_.endswith((".mnist", ".cifar10"))} == {"not tested"}


def test_cost_saved_is_read_from_the_curve_of_real_data():
    results = made_up({"mnist1d": 1}, n_seeds=8)
    for cost in (0.5, 4):  # a dish that ranks as real data do at this cost
        score = results.early.sel(cost=cost, drop=True).expand_dims(predictor=["dish"])
        same = results.drop_vars(["score", "predictor"]).assign(score=score)
        assert abs(claims.saved("mnist1d")(same).mean() - np.log2(cost)) < 0.6


def test_truth_leaves_out_a_seed_itself():
    results = made_up({"digits": 1})
    whole = claims.predicted(results, "whole", "digits")
    np.testing.assert_allclose(claims.truth(results, "digits").isel(seed=1), whole.isel(seed=[0, 2, 3]).mean("seed"))
    assert claims.truth(results.isel(seed=[0]), "digits").isnull().all()


@pytest.mark.slow
def test_architectures_are_the_networks_that_they_name():
    shape, chosen = (2, 12), {"width": 3, "depth": 2, "activation": 1, "kernel": 3}
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for pooled in (0, 1):
        spec = {name: np.float32(value) for name, value in (chosen | {"pooled": pooled}).items()}
        model = pool.network(shape)({"spec": spec})
        params, h = jax.device_get(model.init(jax.random.key(0))), x
        for layer, stride in ((params["first"], 2), (params["second"], 1)):
            w, wide = layer["w"].reshape(8, 7, -1)[:3, 2:5, : len(h)], np.pad(h, [(0, 0), (1, 1)])
            at = range(0, h.shape[1], stride)
            h = np.stack([np.einsum("oki,ik->o", w, wide[:, i : i + 3]) for i in at], 1) + layer["b"][:3, None]
            h = np.tanh(h)
        w = params["output"]["w"].reshape(10, 8, 6)[:, :3]
        read = w[..., 0] @ h.mean(1) if pooled else np.einsum("ocp,cp->o", w, h)
        out = model.apply(*jax.tree.map(jax.numpy.asarray, (params, x)))
        np.testing.assert_allclose(out, read + params["output"]["b"], rtol=1e-4, atol=1e-5)


def test_numbers_of_parameters_are_those_of_the_architectures():
    n = len(pool.specs()["width"])
    known = dict(zip(pool.names(n), pool.sizes((1, 40)), strict=True))
    assert len(known) == n
    assert known["tanh width 2 depth 2 kernel 5 pooled 0"] == 2 * 6 + 2 * 11 + 10 * (2 * 20 + 1)
    assert known["tanh width 2 depth 2 kernel 5 pooled 1"] == 2 * 6 + 2 * 11 + 10 * 3


def test_costs_are_counted_in_dishes():
    protocol = STUDY.presets["quick"]
    assert protocol.costs[protocol.evaluated.index(9)] == 1  # 3 · 20 · 9 + 80 passes, as 3 · 20 · 10 + 20
    assert protocol.evaluated[-1] == protocol.n_steps


def test_a_dish_begins_as_real_examples_and_images_have_columns_as_positions():
    protocol = replace(SMOKE, dataset=("digits",))
    data = method.data_of(protocol, "digits", 0)
    assert data.train.x.shape == (100, 8, 8)
    upper, left = data.train.x[:, 0].std(), data.train.x[:, :, 0].std()
    assert left < upper  # the first column of digits is empty, the first row is not
    assert data.valid is not None
    begun = dish.begun(data, 6)
    np.testing.assert_array_equal(begun["x"][6:], data.valid.x[:6])
    assert begun["y"].argmax(1).tolist() == [*data.train.y[:6], *data.valid.y[:6]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": ("fashion",)}, "dataset"),
        ({"n_ranked": 7}, "n_ranked=7 must be a multiple of n_taught=3"),
        ({"n_held_out": 90}, "n_held_out=90 must be from 6 to 20"),
        ({"n_dish_steps": 99, "n_held_out": 300, "data": MNIST1D(n_train=300)}, "n_held_out=300 must be from 6 to 200"),
        ({"data": replace(SMOKE.data, final_seq_length=80)}, "final_seq_length=80 must be 40"),
        ({"n_examples": 20, "data": replace(SMOKE.data, n_train=10)}, "n_train=10 must be at least n_examples=20"),
        ({"data": replace(SMOKE.data, random_labels=20)}, "random_labels=20 must be at most 10"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


@pytest.mark.long
def test_a_seed_is_the_same_alone_and_steps_are_those_that_are_trained():
    tiny, steps, key = replace(SMOKE, n_steps=8, n_outer_steps=1), [], jax.random.key(0)
    alone = STUDY.run(tiny, {"dataset": "mnist1d"}, [1], key=key, progress=steps.append)
    assert sum(steps) == STUDY.n_steps(tiny, {"dataset": "mnist1d"})
    both = STUDY.run(tiny, {"dataset": "mnist1d"}, [0, 1], key=key)
    xr.testing.assert_identical(both.sel(seed=[1]), alone)


@pytest.mark.long
def test_smoke_runs_every_claim(tmp_path):
    run = execute(STUDY, "smoke", SMOKE, tmp_path)
    judged = judge(STUDY.claims, run.results, {})
    assert sum(verdict.effect is not None for verdict in judged) == 9
    assert len(STUDY.table(run.results).rows) == 6
    for results in (run.results, run.results.isel(seed=[0])):
        STUDY.figure(results).savefig(tmp_path / "figure.png")
