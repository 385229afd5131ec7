"""Splits by class hold every example once; an autoencoder's targets are its inputs."""

import numpy as np
import pytest

from flylab.data import MNIST1D, autoencoding, class_splits, published

SMALL = MNIST1D(n_train=200, n_valid=100, n_test=100)
SETS = ("train", "valid", "test")


@pytest.mark.parametrize("n_tasks", [1, 2, 5, 10])
def test_every_example_is_in_one_task(n_tasks):
    whole, tasks = published(SMALL), class_splits(n_tasks, SMALL)
    assert len(tasks) == n_tasks
    for name in SETS:
        x, y = getattr(whole, name)
        for i, task in enumerate(tasks):
            per_task = 10 // n_tasks
            chosen = (y >= i * per_task) & (y < (i + 1) * per_task)
            np.testing.assert_array_equal(getattr(task, name).x, x[chosen])
            np.testing.assert_array_equal(getattr(task, name).y, y[chosen])


def test_the_order_of_classes_and_their_labels():
    order = (9, 3, 0, 1, 2, 8, 7, 6, 5, 4)
    kept, relabelled = (class_splits(5, published(SMALL), order=order, relabel=relabel) for relabel in (False, True))
    for i, (task, other) in enumerate(zip(kept, relabelled, strict=True)):
        assert set(task.train.y) == set(order[2 * i : 2 * i + 2])
        np.testing.assert_array_equal(task.train.x, other.train.x)
        np.testing.assert_array_equal(np.array(order[2 * i : 2 * i + 2])[other.train.y], task.train.y)
        assert other.config is other.templates is None  # they would say what the labels are not


def test_a_task_without_validation_set():
    tasks = class_splits(2, published(MNIST1D(n_train=200, n_valid=0, n_test=100)))
    assert [len(task.valid.y) for task in tasks] == [0, 0]


REFUSED = {
    "no divisor": ({"n_tasks": 3}, "n_tasks=3 must be a divisor of the 10 classes"),
    "no tasks": ({"n_tasks": 0}, "n_tasks=0 must be an integer ≥ 1"),
    "a class twice": ({"order": [0, 0, 2, 3, 4, 5, 6, 7, 8, 9]}, "must be each of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 once"),
    "no classes": ({"order": "abc"}, "order=.* must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tasks_that_are_refused(case):
    arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        class_splits(data=SMALL, **arguments)


def test_an_autoencoder_has_its_inputs_as_targets():
    whole = published(SMALL)
    images = whole._replace(
        **{name: part._replace(x=part.x.reshape(-1, 8, 5)) for name, part in zip(SETS, whole, strict=False)}
    )
    for splits in (whole, images):
        for name, part in zip(SETS, autoencoding(splits)[:3], strict=True):
            np.testing.assert_array_equal(part.x, getattr(splits, name).x)
            np.testing.assert_array_equal(part.y, getattr(whole, name).x)
