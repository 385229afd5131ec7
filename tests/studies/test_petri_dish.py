"""Petri dishes: claims on made-up results, networks against plain formulas, and a short run of every part."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.results.judging import judge
from flylab.runs.runner import execute
from flylab.studies import petri_dish
from flylab.studies.petri_dish import dish, measures, method, pool
from flylab.study.registry import get_study
from flylab.study.study import protocol_of

STUDY = get_study("petri_dish")
SMOKE = STUDY.presets["smoke"]
TINY = replace(SMOKE, n_seeds=1, n_ranked=3, n_steps=8, n_outer_steps=1)
KEY = jax.random.key(0)
N = 16  # ranked architectures of each family, in made-up results


def made_up(noise, names=("digits",), n_seeds=4):
    """Return results in which each predictor is the truth with noise of some size, less at higher cost."""
    rng, costs = np.random.default_rng(0), np.array([0.25, 0.5, 1, 2, 4, 32])
    labels = [label for family in pool.FAMILIES for label in pool.names(family)[:N]]
    sizes = np.log([pool.sizes((1, 40))[label] for label in labels])
    true = 100 * (sizes + rng.standard_normal(2 * N)).argsort().argsort() / (2 * N)
    datasets = ["mnist1d", "subset", "dish", *names]
    noise = {"mnist1d": 1, "subset": 1} | noise
    dims = ("dataset", "seed", "architecture", "cost")
    shape = (len(datasets), n_seeds, 2 * N, len(costs))
    scale = np.array([noise.get(name, 1) for name in datasets])[:, None, None, None]
    seen = true[:, None] + 40 * scale * rng.standard_normal(shape) / (0.5 + costs)
    variables = {
        "valid_accuracy": (dims, seen),
        "valid_loss": (dims, -seen),
        "test_accuracy": (dims, true[:, None] + np.where(scale > 5, 40 * scale, 0.5) * rng.standard_normal(shape)),
        "score": (dims[:3], true + 40 * scale[..., 0] * rng.standard_normal(shape[:3])),
    }
    coords = {"dataset": datasets, "seed": range(n_seeds), "architecture": labels, "cost": costs}
    return xr.Dataset(variables, coords).assign_attrs(preset="quick", study="petri_dish", run="r")


def words(results):
    return {verdict.id: verdict.verdict for verdict in judge(STUDY.claims, results, {"quick": []})}


def test_claims_hold_where_dishes_rank_well_and_fall_where_they_do_not():
    good, bad = (words(made_up(noise, names)) for noise, names in (
        ({"dish": 0.05}, ("digits", "mnist")), ({"dish": 20, "digits": 50}, ("digits",))))  # fmt: skip
    images = {f"mnist1d-predicts.{name}" for name in ("digits", "mnist", "cifar10")}
    assert {word for id_, word in good.items() if id_ not in images} == {"supported"}
    assert [good[id_] for id_ in sorted(images)] == ["not tested", "supported", "supported"]
    assert {word for id_, word in bad.items() if id_.startswith("dish")} == {"refuted"}
    assert (bad["mnist1d-predicts.digits"], bad["mnist1d-predicts.mnist"]) == ("refuted", "not tested")


def test_cost_saved_is_read_from_the_curve_of_real_data():
    results = made_up({"dish": 1})
    curve = measures.curve(results, "subset").mean("seed")
    assert (curve.diff("cost") > 0).all()
    for cost in (0.5, 4):  # a dish that ranks as real data do at this cost
        same = results.assign(score=results.valid_accuracy.sel(cost=cost, drop=True).sel(dataset=["subset"] * 4)
                              .assign_coords(dataset=results.dataset))  # fmt: skip
        assert abs(measures.saved("subset")(same).mean() - np.log2(cost)) < 0.4
    perfect = results.assign(score=results.test_accuracy.isel(cost=-1, drop=True))
    assert (measures.saved("subset")(perfect) <= np.log2(32)).all()


def test_truth_leaves_out_a_seed_itself():
    results = made_up({})
    whole = measures.whole(results, "mnist1d")
    np.testing.assert_allclose(measures.truth(results).isel(seed=1), whole.isel(seed=[0, 2, 3]).mean("seed"))
    assert measures.truth(results.isel(seed=[0])).isnull().all()
    assert measures.reliability(results) > 0.9


@pytest.mark.parametrize("family", pool.FAMILIES)
def test_architectures_are_the_networks_that_they_name(family):
    shape, chosen = (2, 12), {"width": 3, "depth": 2, "activation": 1, "kernel": 3, "pooled": 1}
    spec = {name: np.float32(chosen[name]) for name in pool.CHOICES[family]}
    model = pool.network(family, shape)({"spec": spec})
    params = jax.device_get(model.init(KEY))
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    if family == "mlp":
        first, second = ((layer["w"][:3], layer["b"][:3]) for layer in params["hidden"][:2])
        h = np.tanh(second[0][:, :3] @ np.tanh(first[0] @ x.ravel() + first[1]) + second[1])
    else:
        h = x
        for layer, stride in zip(params["convs"][:2], (2, 1), strict=True):
            w, wide = layer["w"][:3, 2:5, : len(h)], np.pad(h, [(0, 0), (1, 1)])
            places = range(0, h.shape[1], stride)
            h = np.tanh(np.stack([np.einsum("oki,ik->o", w, wide[:, i : i + 3]) for i in places], 1)
                        + layer["b"][:3, None])  # fmt: skip
        h = np.zeros((8, h.shape[1])) + np.pad(h.mean(1), (0, 5))[:, None]
    h = np.pad(h.ravel(), (0, params["output"]["w"].shape[1] - h.size))
    expected = params["output"]["w"] @ h + params["output"]["b"]
    out = model.apply(*jax.tree.map(jax.numpy.asarray, (params, x)))
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-5)


def test_numbers_of_parameters_are_those_of_the_architectures():
    known = pool.sizes((1, 40))
    assert known["mlp relu width 4 depth 2"] == 4 * 41 + 4 * 5 + 10 * 5
    assert known["cnn elu width 2 depth 3 kernel 5 pooled 0"] == 2 * 6 + 2 * 2 * 11 + 10 * (2 * 20 + 1)
    assert known["cnn elu width 2 depth 3 kernel 5 pooled 1"] == 2 * 6 + 2 * 2 * 11 + 10 * 3
    assert len(known) == sum(len(pool.names(family)) for family in pool.FAMILIES)


def test_costs_are_counted_in_dishes():
    protocol = STUDY.presets["quick"]
    steps = protocol.evaluated(protocol.n_steps)
    assert protocol.costs(steps)[steps.index(9)] == 1  # 3 · 30 · 9 + 120 passes, as 3 · 30 · 10 + 30
    assert steps[-1] == protocol.n_steps
    assert len({condition["dataset"] for condition in STUDY.conditions(protocol)}) == 4


@pytest.mark.slow
def test_a_seed_is_the_same_alone_and_steps_are_those_that_are_trained():
    steps = []
    alone = STUDY.run(TINY, {"dataset": "dish"}, [1], key=KEY, progress=steps.append)
    assert sum(steps) == STUDY.n_steps(TINY, {"dataset": "dish"})
    both = STUDY.run(TINY, {"dataset": "dish"}, [0, 1], key=KEY)
    xr.testing.assert_identical(both.sel(seed=[1]), alone)
    data = method.data_of(TINY, "subset", 1)
    begun = dish.begun(data.train, data.valid, TINY.n_examples)
    assert np.abs(alone.dish_x[0] - begun["x"][:, 0]).max() > 0


def test_images_have_columns_as_positions():
    protocol, (n_rows, n_columns) = replace(TINY, dataset=("digits",)), method.SHAPES["digits"]
    data = method.data_of(protocol, "digits", 0)
    assert data.train.x.shape == (100, n_rows, n_columns)
    upper, lower = data.train.x[:, 0].std(), data.train.x[:, :, 0].std()
    assert lower < upper  # the first column of digits is empty, the first row is not


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": ("fashion",)}, "dataset"),
        ({"n_ranked": 107}, "n_ranked=107"),
        ({"n_held_out": 1000}, "n_held_out=1000"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        protocol_of(STUDY, "smoke", **changes)


@pytest.mark.slow
def test_smoke_runs_every_claim(tmp_path):
    run = execute(STUDY, "smoke", SMOKE, tmp_path)
    judged = judge(STUDY.claims, run.results, {})
    assert sum(verdict.effect is not None for verdict in judged) == len(STUDY.claims) - 2
    assert len(STUDY.table(run.results).rows) == 8
    petri_dish.figure(run.results).savefig(tmp_path / "figure.png")
