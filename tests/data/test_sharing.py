"""Data made anew for each seed, and the sets that are kept."""

import numpy as np
import pytest

from flylab.data import MNIST1D, fresh, published, shared

SMALL = MNIST1D(n_train=30, n_valid=10, n_test=10, seed=5)


def test_each_seed_has_the_published_set_of_its_generator_seed():
    data = fresh(SMALL)
    for seed in (0, 3):
        own = published(MNIST1D(n_train=30, n_valid=10, n_test=10, seed=1000 + 2 * seed))
        np.testing.assert_array_equal(data(seed).train.x, own.train.x)
        assert data(seed).config == own.config
    assert data(3) is data(3)
    assert fresh(SMALL) == data


def test_validation_sets_are_no_other_seeds_training_sets():
    assert not np.array_equal(fresh(SMALL)(0).valid.x, fresh(SMALL)(1).train.x[:10])


def test_kept_sets_cannot_be_changed():
    assert shared(SMALL) is shared(SMALL)
    np.testing.assert_array_equal(shared(SMALL).test.y, published(SMALL).test.y)
    with pytest.raises(ValueError, match="read-only"):
        shared(SMALL).train.x[0] = 0
    published(SMALL).train.x[0] = 0  # a set of one's own can
