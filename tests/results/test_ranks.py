import numpy as np
import pytest

from flylab.results.ranks import rank_intervals


@pytest.mark.parametrize(
    ("values", "ranks"),
    [
        ([[1, 1], [3, 3], [2, 2]], [3, 1, 2]),
        ([[1, 1], [1, 1], [0, 0]], [1.5, 1.5, 3]),
        ([[1, 3], [2, 2.5]], [2, 1]),
    ],
)
def test_ranks_are_those_of_means(values, ranks):
    assert [rank.mean for rank in rank_intervals(np.array(values, float))] == ranks


def test_paired_seeds_decide_what_means_alone_would_not():
    """Seeds differ by 10, contestants by 0.1 in each seed: the rank is certain."""
    seeds = np.random.default_rng(0).normal(0, 10, 20)
    first, second = rank_intervals(np.stack([seeds + 0.1, seeds]))
    assert (first.low, first.high, second.low, second.high) == (1, 1, 2, 2)


def test_equals_share_all_ranks():
    """Contestants that do not differ in truth: each interval covers most of the ranks."""
    ranks = rank_intervals(np.random.default_rng(1).normal(size=(5, 20)))
    assert all(rank.high - rank.low >= 2 for rank in ranks)


def test_one_seed_has_no_interval():
    assert np.isnan(rank_intervals(np.array([[1.0], [2.0]]))[0].low)
