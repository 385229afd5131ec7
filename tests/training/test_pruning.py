"""Iterative pruning: nested masks, rewinding, and that a search is training, pruning and training again."""

import jax
import numpy as np
import pytest

from flylab.data import MNIST1D, published
from flylab.models import get_model
from flylab.models.masks import full, prune
from flylab.training.inputs import as_arrays
from flylab.training.objectives import under_mask
from flylab.training.pruning import search_tickets, train_pruned, with_mask
from flylab.training.step import Member, Plan
from flylab.training.train import train

MODEL, KEYS = get_model("mlp", width=16), jax.random.split(jax.random.key(0), 2)
SPLITS = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
PLAN = Plan(12, 20, 12, shuffle=True, save_params_at=(4,))
RATE = {"learning_rate": np.float32(1e-2)}


@pytest.fixture(scope="module")
def members():
    return [(as_arrays(SPLITS), Member(key, RATE, jax.device_get(MODEL.init(key)))) for key in KEYS]


@pytest.fixture(scope="module")
def searches(members):
    return search_tickets(MODEL, PLAN, members, [0, 0.5, 0.8])


def test_masks_are_nested_and_as_sparse_as_stated(searches):
    for search in searches:
        flat = [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(mask)]) for mask in search.masks]
        assert [round(1 - mask.mean(), 2) for mask in flat] == pytest.approx([0, 0.5, 0.8], abs=0.01)
        assert not (flat[2] & ~flat[1]).any()
        assert len(search.accuracy) == 3


def alike(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_round_is_training_from_the_rewound_weights_under_the_mask(members, searches):
    """Compare with `train`, network by network."""
    for (_, member), search in zip(members, searches, strict=True):
        mask, params = full(member.params), member.params
        for number, sparsity in enumerate([0, 0.5, 0.8]):
            if number:
                mask = prune(params, mask, sparsity)
            start = jax.tree.map(
                lambda kept, p: np.where(kept, p, 0), mask, search.rewound if number else member.params
            )
            found = train(under_mask(MODEL), start, SPLITS, PLAN, {**RATE, "mask": mask}, key=member.key)
            if not number:
                jax.tree.map(alike, search.rewound, jax.device_get(found.saved_params[0]))
            params = jax.device_get(found.params)
            jax.tree.map(np.testing.assert_array_equal, search.masks[number], mask)
            assert search.accuracy[number] == pytest.approx(float(found.history["test_accuracy"][-1]))


def test_pruned_weights_stay_zero_and_a_member_is_the_same_alone(members, searches):
    arms = [(data, with_mask(member, search.rewound, search.masks[2]))
            for (data, member), search in zip(members, searches, strict=True)]  # fmt: skip
    both, (alone,) = train_pruned(MODEL, PLAN, arms), train_pruned(MODEL, PLAN, arms[1:])
    jax.tree.map(np.testing.assert_array_equal, both[1].params, alone.params)
    for one, search in zip(both, searches, strict=True):
        jax.tree.map(lambda p, kept: np.testing.assert_array_equal(p[~kept], 0), one.params, search.masks[2])
    assert train_pruned(MODEL, PLAN, []) == []
