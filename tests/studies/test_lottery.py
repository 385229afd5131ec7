"""The lottery study: its protocol, resuming, and its effects on made-up results."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.base.config import to_json
from flylab.base.rng import stream
from flylab.data import shared
from flylab.models.tickets import load_ticket
from flylab.studies import lottery
from flylab.studies.lottery import TREATMENTS, Protocol

TINY = replace(lottery.STUDY.presets["smoke"], arrangements=("plain", "reversed"))
KEY = jax.random.key(0)


class Memory:
    """A resume in memory that interrupts the run after a number of saves."""

    def __init__(self, stop_after=None):
        self.saved, self.left = {}, stop_after

    def load(self, seed):
        return self.saved.get(seed)

    def save(self, seed, data):
        self.saved[seed] = data.copy(deep=True)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def run(protocol=TINY, seeds=(0, 1), resume=None):
    results = lottery.STUDY.run(protocol, {"model": protocol.model}, list(seeds), key=KEY, resume=resume)
    results = results.expand_dims(model=[protocol.model])
    return results.assign_attrs(protocol=to_json(protocol))


@pytest.fixture(scope="module")
def results():
    return run()


def test_resumes(results):
    """An interrupted run gives the same bits, whichever round was saved last."""
    for n in (1, 2, 5):
        memory = Memory(n)
        with pytest.raises(KeyboardInterrupt):
            run(resume=memory)
        memory.left = None
        xr.testing.assert_identical(run(resume=memory), results)


def test_a_seed_is_the_same_alone(results):
    xr.testing.assert_identical(run(seeds=[1]).sel(seed=1), results.sel(seed=1))


def test_a_search_that_diverges_has_results():
    diverged = run(replace(TINY, learning_rate=1e30), seeds=[0])
    assert any(values.dtype.kind == "f" and np.isnan(values).any() for values in diverged.values())
    assert diverged.mask.any()


def test_masks_are_nested_and_as_sparse_as_stated(results):
    before = None
    for sparsity in results.sparsity.values:
        mask = lottery.mask(results, seed=1, sparsity=sparsity)
        kept = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(mask)])
        assert abs(100 * (1 - kept.mean()) - sparsity) < 1
        if before is not None:
            jax.tree.map(lambda new, old: np.testing.assert_array_equal(new & ~old, False), mask, before)
        before = mask


def test_the_search_ranks_the_weights_at_step_score_at(results):
    """The first pruned mask keeps the dense network's largest weights at that step, layer by layer."""
    from flylab.models.masks import full, prune
    from flylab.training.objectives import supervised
    from flylab.training.step import Plan
    from flylab.training.train import train

    model, key = lottery.network_of(TINY), jax.random.fold_in(KEY, 0)
    plan = Plan(TINY.score_at, TINY.batch_size)
    hparams = {"learning_rate": TINY.learning_rate}
    initial = model.init(stream(key, "init"))
    trained = jax.device_get(train(supervised(model), initial, shared(TINY.data), plan, hparams, key=key).params)
    expected = prune(trained, full(trained), TINY.sparsities[1])
    mask = lottery.mask(results, seed=0, sparsity=100 * TINY.sparsities[1])
    share = [np.mean(a != b) for a, b in zip(*map(jax.tree.leaves, (expected, mask)), strict=True)]
    assert max(share) < 0.02  # rounding may swap weights of nearly the same size


SLOW = pytest.mark.slow
OPTIONS = [
    {"one_shot": True}, {"scope": "global"}, {"rewind_to": 10}, {"prune_biases": False}, {"model": "logistic"},
    {"schedule": "linear"}, {"random_every": 2}, pytest.param({"model": "cnn", "width": 5}, marks=SLOW),
    pytest.param({"model": "gru", "width": 2}, marks=SLOW),
]  # fmt: skip


@pytest.mark.parametrize("changes", OPTIONS, ids=str)
def test_every_option_runs(changes, results):
    other = run(replace(TINY, n_steps=20, analysis_steps=2, **changes), seeds=[0])
    accuracy = other.search_accuracy.isel(model=0)
    assert np.isfinite(accuracy.sel(criterion="ticket")).all()
    assert int(np.isfinite(accuracy.sel(criterion="random")).sum()) == (2 if "random_every" in changes else 3)
    if "prune_biases" in changes:
        assert all(layer["b"].all() for layer in lottery.mask(other).values())


def test_one_shot_masks_come_from_the_dense_network():
    runs = [run(replace(TINY, one_shot=one_shot, analysis_steps=1), seeds=[0]) for one_shot in (True, False)]
    second = [lottery.mask(results, sparsity=100 * TINY.sparsities[2]) for results in runs]
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, second), strict=True))
    first = [lottery.mask(results, sparsity=100 * TINY.sparsities[1]) for results in runs]
    assert all((a == b).all() for a, b in zip(*map(jax.tree.leaves, first), strict=True))


def test_published_protocol():
    paper = lottery.STUDY.presets["paper"]
    assert paper.analysed_round == 91
    assert paper.sparsities == tuple(np.linspace(0, 1, 100))
    quick = lottery.STUDY.presets["quick"]
    assert abs(quick.sparsities[quick.analysed_round] - 0.92) < 0.001
    assert min(abs(sparsity - 0.96) for sparsity in quick.sparsities) < 0.01


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_rounds", 1), ("schedule", "sudden"), ("scope", "unit"), ("score_at", 1501), ("rewind_to", -1),
        ("model", "resnet"), ("arrangements", ("shuffled",)), ("arrangements", ("plain", "sorted")), ("analysed", 92.0),
        ("batch_size", 0), ("prune_rate", 1.0),
    ],
)  # fmt: skip
def test_refuses(field, value):
    with pytest.raises(ValueError, match=rf"{field}(\[1\])?="):
        Protocol(**{field: value})


def made_up(**accuracies):
    """Return results with an accuracy for each `treatment_arrangement`, the same for all seeds."""
    protocol = Protocol(n_seeds=2, analysis_steps=10)
    arrangements = list(protocol.arrangements)
    values = np.zeros((1, 2, len(TREATMENTS), 4, 2))
    for name, value in accuracies.items():
        treatment, arrangement = name.split("_")
        values[0, :, TREATMENTS.index(treatment), arrangements.index(arrangement)] = value
    coords = {
        "model": ["mlp"],
        "seed": [0, 1],
        "treatment": list(TREATMENTS),
        "arrangement": arrangements,
        "step": [0, 10],
    }
    data = xr.Dataset({"test_accuracy": (tuple(coords), values)}, coords)
    return data.assign_attrs(protocol=to_json(protocol))


def effect(id_, results):
    return next(claim for claim in lottery.CLAIMS if claim.id == id_).effect(results).values


def test_effects():
    results = made_up(ticket_plain=70, dense_plain=64, reinitialised_plain=67, random_plain=60, ticket_reversed=68,
                      dense_reversed=64, ticket_shuffled=62, dense_shuffled=64, ticket_exchanged=66,
                      dense_exchanged=65)  # fmt: skip
    for id_, value in {
        "beats-dense-fresh": 6, "beats-random": 10, "rewind-matters": 3, "reinit": 3, "shuffled": -2, "flipped": 1,
        "chunks-above-shuffled": 3, "chunks-below-plain": 5,
    }.items():  # fmt: skip
        np.testing.assert_allclose(effect(id_, results), value)


def test_very_sparse_is_not_measured_elsewhere(results):
    assert np.isnan(effect("very-sparse", results)).all()  # the tiny protocol has no round near 96 %
    assert np.isfinite(effect("adjacency-2", results)).all()


def test_ticket_round_trip(results, tmp_path):
    lottery.save_ticket(results.assign_attrs(run="smoke"), {"commit": "abc"}, tmp_path / "t.nc", seed=1)
    ticket = load_ticket(tmp_path / "t.nc")
    jax.tree.map(np.testing.assert_array_equal, ticket.mask, lottery.mask(results, seed=1))
    assert ticket.provenance == {"commit": "abc", "run": "smoke", "seed": 1}
    assert ticket.model is lottery.network_of(TINY)
