"""Class subsets, label noise, random labels, and the number of outputs."""

from dataclasses import replace

import numpy as np
import pytest

from flylab.data import MNIST1D, Templates, published

SMALL = MNIST1D(n_train=8000, n_valid=100, n_test=100)
CLEAN = published(SMALL)


def test_classes_are_the_references_templates_of_these():
    splits = published(MNIST1D(n_train=40, n_valid=20, n_test=20, classes=(7, 3)))
    chosen = Templates.of([MNIST1D().patterns.x[7], MNIST1D().patterns.x[3]], y=[7, 3])
    same = published(MNIST1D(n_train=40, n_valid=20, n_test=20, templates=chosen))
    np.testing.assert_array_equal(splits.train.x, same.train.x)
    np.testing.assert_array_equal(splits.train.y, same.train.y)
    assert splits.config.outputs == 8
    assert splits.config.n_classes == 2


@pytest.mark.parametrize(("repeats", "wrong"), [(True, 0.3 * 0.9), (False, 0.3)])
def test_label_noise_is_on_training_labels_only(repeats, wrong):
    noisy = published(replace(SMALL, label_noise=0.3, label_noise_repeats=repeats))
    assert abs((noisy.train.y != CLEAN.train.y).mean() - wrong) < 0.02
    assert np.abs(np.bincount(noisy.train.y) / 8000 - 0.1).max() < 0.02
    for name in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(noisy, name).x, getattr(CLEAN, name).x)
        if name != "train":
            np.testing.assert_array_equal(getattr(noisy, name).y, getattr(CLEAN, name).y)


def test_label_noise_stays_within_the_classes():
    noisy = published(MNIST1D(n_train=400, n_valid=0, n_test=0, classes=(2, 5), label_noise=1.0))
    assert set(noisy.train.y) == {2, 5}
    never = published(MNIST1D(n_train=400, n_valid=0, n_test=0, classes=(2, 5), label_noise=1.0,
                              label_noise_repeats=False))  # fmt: skip
    clean = published(MNIST1D(n_train=400, n_valid=0, n_test=0, classes=(2, 5)))
    np.testing.assert_array_equal(never.train.y, 7 - clean.train.y)


def test_random_labels_are_uniform_in_all_sets_and_say_nothing_of_the_signal():
    splits = published(replace(SMALL, random_labels=4))
    np.testing.assert_array_equal(splits.train.x, CLEAN.train.x)
    for one in (splits.train, splits.valid, splits.test):
        assert set(one.y) == {0, 1, 2, 3}
    table = np.histogram2d(splits.train.y, CLEAN.train.y, (4, 10))[0] / 8000
    assert np.abs(table - 1 / 40).max() < 0.01
    assert splits.config.outputs == 4


def test_one_task_read_by_more_outputs():
    config = MNIST1D(classes=(0, 1), n_outputs=10)
    assert (config.n_classes, config.outputs) == (2, 10)
    assert MNIST1D(classes=(0, 1)).outputs == 2
    assert MNIST1D().outputs == 10


def test_patterns_that_share_a_label():
    both = Templates.of([[0, 1, 2, 1], [1, 0, 1, 0], [2, 1, 1, 0]], y=[4, 4, 2])
    config = MNIST1D(n_train=300, n_valid=0, n_test=0, templates=both, label_noise=1.0, label_noise_repeats=False)
    clean = published(replace(config, label_noise=0.0)).train
    np.testing.assert_array_equal(published(config).train.y, 6 - clean.y)
    assert config.labels == (4, 2)
    kept = replace(config, classes=(4,))
    assert (kept.n_classes, kept.patterns.x) == (2, both.x[:2])


@pytest.mark.parametrize(
    ("data_params", "says"),
    [
        ({"classes": (3, 3)}, "each once"), ({"classes": ()}, "some of 0"), ({"classes": (11,)}, "classes="),
        ({"classes": 3}, "a list of integers"), ({"label_noise": 1.5}, "from 0 to 1"),
        ({"label_noise": float("nan")}, "finite"), ({"label_noise": 0.1, "random_labels": 3}, "0 with random_labels"),
        ({"random_labels": 0}, "≥ 1"), ({"random_labels": 2.5}, "integer"), ({"n_outputs": 9}, "≥ 10"),
        ({"label_noise_repeats": 1}, "True or False"),
    ],
)  # fmt: skip
def test_refuses(data_params, says):
    with pytest.raises(ValueError, match=says):
        MNIST1D(**data_params)
