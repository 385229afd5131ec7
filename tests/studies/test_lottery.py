"""The lottery study: its protocol, resuming, and its effects on made-up results."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.base.config import to_json
from flylab.base.rng import stream
from flylab.data import MNIST1D, shared
from flylab.models.tickets import load_ticket
from flylab.studies import lottery
from flylab.studies.lottery import TREATMENTS, Protocol
from flylab.studies.lottery.protocol import searched_in

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


@pytest.mark.slow
def test_resumes(results):
    """An interrupted run gives the same bits, whichever round was saved last."""
    for n in (1, 5):
        memory = Memory(n)
        with pytest.raises(KeyboardInterrupt):
            run(resume=memory)
        memory.left = None
        xr.testing.assert_identical(run(resume=memory), results)


def test_a_seed_is_the_same_alone(results):
    xr.testing.assert_identical(run(seeds=[1]).sel(seed=1), results.sel(seed=1))


@pytest.mark.slow
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


def test_slim_results_differ_in_the_masks_of_other_rounds_only(results):
    small, sparsities = lottery.slim(results), results.sparsity.values
    assert small["mask"].sizes["mask_sparsity"] == 1 < len(sparsities)
    for seed in results.seed.values:
        jax.tree.map(np.testing.assert_array_equal, lottery.mask(small, seed=seed), lottery.mask(results, seed=seed))
    xr.testing.assert_identical(small.drop_vars(["mask", "mask_sparsity"]), results.drop_vars("mask"))
    lottery.figure(small)
    with pytest.raises(ValueError, match=r"not stored, only that at"):
        lottery.mask(small, sparsity=sparsities[0])


@pytest.mark.slow
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


SLOW = pytest.mark.long
OPTIONS = [
    {"scope": "global", "rewind_to": 10, "prune_biases": False}, {"model": "logistic", "controls": ()},
    {"controls_every": 5, "controls": ("tuned-ticket",), "tuned_rates": (0.5,)},
    pytest.param({"schedule": "linear"}, marks=SLOW),
    pytest.param({"model": "cnn", "width": 5}, marks=SLOW),
    pytest.param({"model": "gru", "width": 2}, marks=SLOW),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("changes", OPTIONS, ids=str)
def test_every_option_runs(changes, results):
    other = run(replace(TINY, n_steps=20, analysis_steps=2, **changes), seeds=[0])
    accuracy = other.search_accuracy.isel(model=0)
    assert np.isfinite(accuracy.sel(criterion="ticket")).all()
    n_controls = 2 if "controls_every" in changes else 3  # the first round and the analysed one
    finite = np.isfinite(accuracy.sel(criterion=["random", "one-shot"])).sum("sparsity")
    assert finite.values.tolist() == [[n_controls] * 2]
    if "prune_biases" in changes:
        assert all(layer["b"].all() for layer in lottery.mask(other).values())


def test_searches_on_arrangements_alone_differ(results):
    """The ticket, one-shot pruning and the search on shuffled data have the accuracy that each has by itself."""
    accuracy = results.search_accuracy.isel(model=0, seed=0)
    of = {name: accuracy.sel(criterion=name).values for name in results.criterion.values}
    assert of["ticket"][0] == of["random"][0] == of["one-shot"][0] != of["shuffled"][0]
    assert of["ticket"][1] == of["one-shot"][1] != of["random"][1]  # pruned once
    assert of["ticket"][2] != of["one-shot"][2]
    order = lottery.ARRANGEMENTS["shuffled"](40, 5)
    other = run(replace(TINY, data=replace(TINY.data, permutation=order), controls=()), seeds=[0])
    np.testing.assert_array_equal(other.search_accuracy.isel(model=0, seed=0).sel(criterion="ticket"), of["shuffled"])


@pytest.mark.parametrize(
    ("number", "trained"),
    [
        (0, ("ticket", "shuffled")), (1, ("ticket",)), (10, ("ticket", "random", "one-shot", "shuffled")),
        (91, ("ticket", "random", "one-shot", "shuffled")), (92, ("ticket",)), (99, ("ticket",)),
    ],
)  # fmt: skip
def test_controls_are_searched_in_some_rounds(number, trained):
    assert searched_in(Protocol(), number) == trained
    assert searched_in(replace(Protocol(), controls=()), number) == trained[: len(trained) - ("shuffled" in trained)]


def test_controls_have_as_many_parameters_as_the_ticket(results):
    """All start from the weights that they are said to, and have as many survivors."""
    from flylab.studies.lottery import analysis
    from flylab.studies.lottery.search import Pruned, Search

    params = lottery.network_of(TINY).init(stream(jax.random.fold_in(KEY, 0), "init"))
    params = jax.device_get(params)
    ticket, bits = lottery.mask(results, seed=0), results["mask"].isel(model=0).sel(seed=0).values
    search = Search(3, {"ticket": Pruned(ticket, params, params)}, {"mask": bits})

    def built(treatment):
        return analysis._network(TINY, lottery.network_of(TINY), search, 0, jax.random.fold_in(KEY, 0), treatment)

    def sums(mask, axis):
        return [leaf.sum(axis).tolist() for leaf in jax.tree.leaves(mask) if leaf.ndim > 1]

    (first, *others), firsts = jax.tree.leaves(ticket["hidden1"]["w"]), []
    assert not others
    for treatment, keeps in (("random-unit", (1,)), ("random-unit-input", (0, 1)), ("moved", (1,))):
        weights, mask = built(treatment)
        assert all(sums(mask, axis) == sums(ticket, axis) for axis in keeps)
        firsts.append(mask["hidden1"]["w"])
        assert (firsts[-1] != first).any()
        if treatment == "moved":  # weights move with their survivors, in the first layer alone
            jax.tree.map(np.testing.assert_array_equal, mask["hidden2"], ticket["hidden2"])
            kept, moved = (np.sort(np.where(m, w, 0), 1) for m, w in
                           ((first, params["hidden1"]["w"]), (firsts[-1], weights["hidden1"]["w"])))  # fmt: skip
            np.testing.assert_array_equal(kept, moved)
    n_survivors = sum(leaf.sum() for leaf in jax.tree.leaves(ticket))
    small = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(analysis.small_network(TINY).init, KEY)))
    assert 0.7 * n_survivors < small <= 1.1 * n_survivors
    fresh_weights, _ = built("reinitialised")
    jax.tree.map(np.testing.assert_array_equal, fresh_weights, built("dense-reinitialised")[0])


@pytest.mark.parametrize("base", ["dense", "ticket"])
def test_tuned_is_the_best_rate_by_validation(base, results):
    valid = results.tuned_valid_accuracy.isel(model=0).sel(treatment=f"tuned-{base}")
    assert valid.tuned_rate.values.tolist() == sorted({TINY.learning_rate, *TINY.tuned_rates})
    plain = results.test_accuracy.isel(model=0).sel(arrangement="plain")
    of = {name: plain.sel(treatment=name) for name in (base, f"tuned-{base}")}
    if base == "dense":  # a ticket would be another one at this rate
        at_best = replace(TINY, learning_rate=float(valid.isel(seed=0).idxmax()), tuned_rates=(), controls=())
        alone = run(at_best, seeds=[0])
        best = alone.test_accuracy.isel(model=0, seed=0).sel(arrangement="plain", treatment="dense")
        np.testing.assert_array_equal(of["tuned-dense"].isel(seed=0), best)
    few = run(replace(TINY, controls=(f"tuned-{base}",), tuned_rates=())).test_accuracy.isel(model=0)
    np.testing.assert_array_equal(few.sel(arrangement="plain", treatment=f"tuned-{base}"), of[base])


def test_short_controls_are_compared_where_both_end():
    protocol = replace(Protocol(), analysis_steps=100, control_steps=40, analysis_every=30)
    assert protocol.plan("dense", "plain").evaluated == (0, 30, 40, 60, 90, 100)
    assert protocol.plan("small", "plain").evaluated == protocol.plan("dense", "reversed").evaluated == (0, 30, 40)
    assert replace(protocol, control_steps=200).plan("small", "plain").n_steps == 100
    curves = {"ticket": [10, 50, 70.0, 80], "dense": [10, 40, 55, 75], "small": [10, 45, np.nan, np.nan]}
    values = np.array([*curves.values()])[None, None, :, None]
    dims = ("model", "seed", "treatment", "arrangement", "step")
    results = xr.Dataset({"test_accuracy": (dims, values)}, {"treatment": [*curves], "arrangement": ["plain"]})
    for over, expected in (("small", 5), ("dense", 5), ("ticket", 0)):
        assert lottery.advantage(over=over)(results).values.tolist() == [expected]
    assert lottery.last(results, "small").values.tolist() == [45]


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
        ("model", "resnet"), ("model", "logistic"), ("controls", ("none",)), ("data", MNIST1D(n_valid=0)),
        ("arrangements", ("shuffled",)), ("arrangements", ("plain", "sorted")), ("analysed", 92.0),
        ("batch_size", 0), ("prune_rate", 1.0),
    ],
)  # fmt: skip
def test_refuses(field, value):
    name = {"data": "controls"}.get(field, "controls|model" if value == "logistic" else field)
    with pytest.raises(ValueError, match=rf"({name})(\[\d\])?="):
        Protocol(**{field: value})


def made_up(**accuracies):
    """Return results with an accuracy for each `treatment_arrangement`, the same for all seeds."""
    protocol = Protocol(n_seeds=2, analysis_steps=10)
    arrangements, treatments = list(protocol.arrangements), [*TREATMENTS, *protocol.controls]
    values = np.zeros((1, 2, len(treatments), len(arrangements), 2))
    for name, value in accuracies.items():
        treatment, arrangement = name.replace("fresh", "dense-reinitialised").replace("tuned", "tuned-dense").split("_")
        values[0, :, treatments.index(treatment), arrangements.index(arrangement)] = value
    coords = {
        "model": ["mlp"],
        "seed": [0, 1],
        "treatment": treatments,
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
                      dense_exchanged=65, fresh_plain=66, small_plain=61, tuned_plain=65, moved_plain=68)  # fmt: skip
    for id_, value in {
        "beats-dense-fresh": 6, "beats-random": 10, "rewind-matters": 3, "reinit": 1, "shuffled": -2, "flipped": 1,
        "chunks-above-shuffled": 3, "chunks-below-plain": 5, "advantage-is-spatial": 8, "random-below-dense": -4,
        "beats-small": 9, "beats-tuned": 5, "positions-matter": 2, "level-ticket-plain.nb": 70,
    }.items():  # fmt: skip
        np.testing.assert_allclose(effect(id_, results), value)


def test_a_ticket_without_advantage_keeps_no_half_of_it():
    results = made_up(ticket_plain=62, dense_plain=64, ticket_reversed=64, dense_reversed=64)
    np.testing.assert_allclose(effect("flipped", results), -2)


def test_very_sparse_is_not_measured_elsewhere(results):
    assert np.isnan(effect("very-sparse", results)).all()  # the tiny protocol has no round near 96 %
    assert np.isfinite(effect("adjacency-2", results)).all()


def test_ticket_round_trip(results, tmp_path):
    lottery.save_ticket(results.assign_attrs(run="smoke"), {"commit": "abc"}, tmp_path / "t.nc", seed=1)
    ticket = load_ticket(tmp_path / "t.nc")
    jax.tree.map(np.testing.assert_array_equal, ticket.mask, lottery.mask(results, seed=1))
    assert ticket.provenance == {"commit": "abc", "run": "smoke", "seed": 1}
    assert ticket.model is lottery.network_of(TINY)
