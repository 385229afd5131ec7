"""Calibration, memorisation and continual learning from predictions that are made up, so that the truth is known."""

import jax
import numpy as np
import pytest
import xarray as xr

from flylab.analysis.calibration import calibration, reliability
from flylab.analysis.continual import continual
from flylab.analysis.memorisation import memorisation_scores, subset, subset_masks
from flylab.analysis.networks import probabilities
from flylab.data import Dataset
from flylab.models import get_model


def sure(confidence, n, n_right):
    """`n` examples of three classes with this confidence in class 0, of which `n_right` have it."""
    rest = (1 - confidence) / 2
    return np.tile([confidence, rest, rest], (n, 1)), np.where(np.arange(n) < n_right, 0, 1)


def test_calibration_in_closed_form():
    """Ten examples of 80 %, all right; thirty of 60 %, half of them right."""
    parts = [sure(0.8, 10, 10), sure(0.6, 30, 15)]
    probability, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    found = reliability(probability, y, n_bins=4)  # up to 0.25, 0.5, 0.75, 1
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.5, 1], rtol=1e-6)
    np.testing.assert_allclose(found.share, [0, 0, 0.75, 0.25])
    assert float(found.ece) == pytest.approx(0.25 * 0.2 + 0.75 * 0.1, rel=1e-5)
    right, wrong = (0.2**2 + 2 * 0.1**2, 0.4**2 + 2 * 0.2**2), 0.6**2 + 0.8**2 + 0.2**2
    assert float(found.brier) == pytest.approx((10 * right[0] + 15 * right[1] + 15 * wrong) / 40, rel=1e-5)


@pytest.mark.slow
def test_a_classifier_that_is_right_as_often_as_it_says():
    found = reliability(*sure(0.75, 400, 300))
    assert float(found.ece) == pytest.approx(0, abs=1e-6)
    assert float(reliability([[1.0, 0.0]], [0]).brier) == 0
    assert float(reliability([[1.0, 0.0]], [1]).brier) == 2
    for upper in (0.5, 0.75, 1.0):  # bins include their upper bounds
        assert float(reliability([[upper, 1 - upper]], [0], n_bins=4).share[round(4 * upper) - 1]) == 1


@pytest.mark.slow
def test_the_calibration_of_a_network_is_that_of_its_softmax():
    model, rng = get_model("mlp"), np.random.default_rng(0)
    params, data = model.init(jax.random.key(0)), Dataset(rng.normal(size=(50, 40)), rng.integers(10, size=50))
    probability = probabilities(model, params, data.x)
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)
    inside = jax.jit(lambda params: calibration(model, params, data))(params)
    for one, other in zip(inside, reliability(probability, data.y), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


PROBABILITIES = {
    "not of these classes": ([[0.5, 0.5]], [2], "label 2 must be from 0 to 1"),
    "logits": ([[3.0, -1.0]], [0], "probabilities must be from 0 to 1, and sum to 1"),
    "too little": ([[0.3, 0.3]], [0], "sum to 1 for each example"),
    "one class": ([0.5, 0.5], [0, 1], r"must be \(n, n_classes\) and labels \(n,\), not \(2,\) and \(2,\)"),
    "none": (np.zeros((0, 3)), [], r"not \(0, 3\)"),
}


@pytest.mark.parametrize("case", PROBABILITIES)
def test_probabilities_that_are_none(case):
    probability, y, message = PROBABILITIES[case]
    with pytest.raises(ValueError, match=message):
        reliability(probability, np.array(y, int))


def test_subsets_have_one_size_and_differ():
    masks = subset_masks(50, 200, 0.3, seed=1)
    assert (masks.sum(1) == 15).all()
    assert len({mask.tobytes() for mask in masks}) == 200
    assert abs(masks.mean(0) - 0.3).max() < 0.15  # each example in about as many
    np.testing.assert_array_equal(masks, subset_masks(50, 200, 0.3, seed=1))
    assert (masks != subset_masks(50, 200, 0.3, seed=2)).any()


MASKS = subset_masks(40, 100, seed=0)
KNOWN = {
    "a table of its examples": (MASKS, 1.0),
    "a rule": (np.ones_like(MASKS), 0.0),
    "right on all that it was not trained on": (~MASKS, -1.0),
}


@pytest.mark.parametrize("name", KNOWN)
def test_memorisation_in_closed_form(name):
    correct, score = KNOWN[name]
    found = memorisation_scores(correct, MASKS)
    np.testing.assert_array_equal(found.score, score)
    np.testing.assert_array_equal(found.standard_error, 0)
    np.testing.assert_array_equal(
        memorisation_scores(np.stack([correct, correct]), MASKS).score, np.full((2, 40), score)
    )


def test_memorisation_of_chances():
    """Right with 90 % after training on an example, and with 30 % otherwise: the score is 0.6, within its error."""
    masks, rng = subset_masks(400, 300, seed=3), np.random.default_rng(0)
    found = memorisation_scores(rng.random(masks.shape) < np.where(masks, 0.9, 0.3), masks)
    assert found.score.mean() == pytest.approx(0.6, abs=0.01)
    assert 0.85 < found.score.std() / found.standard_error.mean() < 1.15


def test_an_example_in_all_subsets_has_no_score():
    found = memorisation_scores(np.ones((3, 2), bool), np.array([[True, True], [True, False], [True, True]]))
    np.testing.assert_array_equal(found.score, [np.nan, 0])


def test_a_subset_of_splits(tiny):
    mask = subset_masks(200, 1)[0]
    part = subset(tiny, mask)
    np.testing.assert_array_equal(part.train.x, tiny.train.x[mask])
    np.testing.assert_array_equal(part.train.y, tiny.train.y[mask])
    assert part.test is tiny.test
    assert part.config is None  # it would make another set


SUBSETS = {
    "all": (lambda tiny: subset_masks(10, 3, 0.99), r"share=0.99 must be such that share · n = 9.9 leaves examples"),
    "none": (lambda tiny: subset_masks(10, 3, 0.0), "share=0.0 must be"),
    "no examples": (lambda tiny: subset_masks(0, 3), "n=0 must be an integer ≥ 1"),
    "numbers": (lambda tiny: subset(tiny, np.arange(200)), "mask must have a truth value for each of 200 examples"),
    "too short": (lambda tiny: subset(tiny, np.ones(3, bool)), r"not bool \(3,\)"),
    "shapes": (lambda tiny: memorisation_scores(MASKS[1:], MASKS), "correct must have a last axis for examples"),
}


@pytest.mark.parametrize("case", SUBSETS)
def test_subsets_that_are_refused(case, tiny):
    made, message = SUBSETS[case]
    with pytest.raises(ValueError, match=message):
        made(tiny)


#        after task 1, 2, 3 (rows), on tasks 1, 2, 3
LEARNT = [[90.0, 20.0, 10.0], [70.0, 80.0, 30.0], [60.0, 85.0, 70.0]]


def test_continual_metrics_in_closed_form():
    found = continual([[10.0, 10.0, 12.0], *LEARNT])
    assert float(found.average_accuracy) == pytest.approx((60 + 85 + 70) / 3)
    assert float(found.backward_transfer) == pytest.approx(((60 - 90) + (85 - 80)) / 2)
    assert float(found.forgetting) == pytest.approx(((90 - 60) + (80 - 85)) / 2)
    assert float(found.forward_transfer) == pytest.approx(((20 - 10) + (30 - 12)) / 2)
    without = continual(LEARNT)
    xr.testing.assert_identical(without, found.drop_vars("forward_transfer"))


def test_forgetting_is_from_the_best_that_ever_was():
    """Task 1 is best after task 2, so forgetting is more than the backward transfer says."""
    found = continual([[50.0, 0.0, 0.0], [80.0, 60.0, 0.0], [40.0, 50.0, 90.0]])
    assert float(found.forgetting) == pytest.approx(((80 - 40) + (60 - 50)) / 2)
    assert float(found.backward_transfer) == pytest.approx(((40 - 50) + (50 - 60)) / 2)


def test_nothing_is_forgotten_by_a_learner_that_keeps_all():
    found = continual(np.tril(np.full((5, 5), 100.0)))
    assert [float(found[name]) for name in ("average_accuracy", "forgetting", "backward_transfer")] == [100, 0, 0]


def test_other_axes_stay():
    matrices = np.stack([LEARNT, np.full((3, 3), 50.0)])
    seeds = {"seed": [4, 9], "learnt": [1, 2, 3], "task": [0, 1, 2]}
    accuracy = xr.DataArray(matrices, seeds, ["seed", "learnt", "task"])
    found = continual(accuracy.transpose("learnt", "seed", "task"))
    assert found.seed.values.tolist() == [4, 9]
    for i, matrix in enumerate(matrices):
        xr.testing.assert_allclose(found.isel(seed=i, drop=True), continual(matrix))
    np.testing.assert_allclose(continual(matrices).forgetting, found.forgetting)


@pytest.mark.parametrize(
    ("accuracy", "message"),
    [
        ([1.0, 2.0], r"must have the axes learnt and task, not shape \(2,\)"),
        ([[1.0]], "on at least two tasks after each, not 1 rows for 1 tasks"),
        ([[1.0, 2.0, 3.0]] * 2, "not 2 rows for 3 tasks"),
        (xr.DataArray(np.eye(3), dims=["after", "task"]), "learnt is missing"),
    ],
)
def test_accuracies_that_are_no_matrix(accuracy, message):
    with pytest.raises(ValueError, match=message):
        continual(accuracy)
