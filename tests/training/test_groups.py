"""Groups of several members on a device: a member's bits depend neither on its company nor on its place."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest

from flylab.base import runtime
from flylab.data import MNIST1D, published
from flylab.data.generator import endless
from flylab.models import dense, get_model
from flylab.runs.plan import plan_of_study
from flylab.study.registry import get_study
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import supervised
from flylab.training.population import train_members, watch_members
from flylab.training.step import Plan

key = jax.random.key(0)
PLAN = Plan(20, 50, eval_every=15)
SMALL = MNIST1D(n_train=100, n_valid=0, n_test=100)


def population(name, data, seeds, plan=PLAN):
    grid = {"learning_rate": [1e-2], "seed": list(seeds)}
    return train_members(supervised(get_model(name)), data, plan, grid, key=key)


def same_members(actual, expected):
    """Assert that members have the same bits wherever both populations have them."""
    seeds = [seed for seed in actual.results.seed.values if seed in expected.results.seed.values]
    assert seeds
    places = [[list(one.results.seed.values).index(seed) for seed in seeds] for one in (actual, expected)]
    a, b = (jax.tree.map(lambda leaf, at=at: leaf[:, at], one.params) for one, at in
            zip((actual, expected), places, strict=True))  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, a, b)
    a, b = (one.results.sel(seed=seeds) for one in (actual, expected))
    for variable in expected.results:
        np.testing.assert_array_equal(a[variable], b[variable])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width"), [
    ("logistic", 16), pytest.param("mlp", 8, marks=pytest.mark.long), ("cnn", 4),
    pytest.param("gru", 4, marks=pytest.mark.long),
])  # fmt: skip
def test_company_place_and_number_of_members_change_nothing(name, width, tiny, monkeypatch):
    monkeypatch.setenv("FLYLAB_GROUP", str(width))
    together = population(name, tiny, range(width * len(runtime.devices()) + 1))  # the last group is filled up
    same_members(population(name, tiny, [3]), together)
    same_members(population(name, tiny, [3, 1, 2, 0]), together)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda seed: published(replace(SMALL, seed=seed)), id="by seed"),
        pytest.param(endless(SMALL), id="source", marks=pytest.mark.long),
    ],
)
def test_data_of_each_member(data, monkeypatch):
    monkeypatch.setenv("FLYLAB_GROUP", "4")
    same_members(population("logistic", data, [2]), population("logistic", data, range(6)))


@pytest.mark.slow
def test_shuffled_epochs_saved_parameters_and_recorded_losses(tiny, monkeypatch):
    plan = Plan(20, 60, 7, shuffle=True, record_loss=True, save_params_at=(3,), optimizer="sgd")
    expected = population("logistic", tiny, range(3), plan)
    monkeypatch.setenv("FLYLAB_GROUP", "4")
    grouped = population("logistic", tiny, range(3), plan)
    same_members(population("logistic", tiny, [1], plan), grouped)
    for variable in set(expected.results) - {"prediction"}:
        np.testing.assert_allclose(grouped.results[variable], expected.results[variable], rtol=1e-5)


@pytest.mark.slow
def test_watched_training_ends_in_the_same_bits(tiny, monkeypatch):
    monkeypatch.setenv("FLYLAB_GROUP", "4")
    arguments = supervised(dense.logistic()), tiny, PLAN, {"learning_rate": [1e-2], "seed": range(3)}
    *_, last = watch_members(*arguments, key=key)
    same_members(last, train_members(*arguments, key=key))


@pytest.mark.slow
def test_metalearning(tiny, monkeypatch):
    plan = MetaPlan(Plan(5, 50, optimizer="sgd"), n_steps=2, optimizer=optax.sgd(0.1))

    def losses(seeds):
        learned = metalearn(supervised(dense.logistic()), tiny, plan, [{"learning_rate": 0.1}], seeds, key=0)
        return learned.results.outer_loss

    expected = losses(range(3))
    monkeypatch.setenv("FLYLAB_GROUP", "4")
    grouped = losses(range(3))
    np.testing.assert_allclose(grouped, expected, rtol=1e-5)
    np.testing.assert_array_equal(losses([2]), grouped.sel(seed=[2]))


def test_groups_are_part_of_names_where_there_are_any(monkeypatch):
    def name():
        study = get_study("train")
        (group, *_) = plan_of_study(study, "smoke", study.presets["smoke"]).groups()
        return group.names[0]

    names = {name()}
    monkeypatch.setenv("FLYLAB_GROUP", "1")
    assert name() in names
    for width in ("4", "8"):
        monkeypatch.setenv("FLYLAB_GROUP", width)
        names.add(name())
    assert len(names) == 3


@pytest.mark.parametrize("chosen", ["0", "2", "3", "-1", "many"])
def test_widths_that_are_refused(chosen, monkeypatch):
    monkeypatch.setenv("FLYLAB_GROUP", chosen)
    with pytest.raises(ValueError, match=f"FLYLAB_GROUP='{chosen}' must be 1 or an integer ≥ 4"):
        runtime.most_at_once()


def test_an_accelerator_trains_fewer_of_larger_members(monkeypatch):
    class Gpu:
        platform, device_kind = "gpu", "NVIDIA H100 80GB HBM3"

    monkeypatch.setattr(runtime, "devices", lambda: (Gpu,))
    widths = [runtime.group_width(size) for size in (0, 55_000, 320_000, 10_000_000)]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) > 2
    assert runtime.most_at_once() == widths[0]
    assert runtime.grouping() == {"groups": "NVIDIA H100 80GB HBM3 highest"}
