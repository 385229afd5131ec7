"""Verdicts: where an interval lies, and how effects and notes are written."""

import numpy as np
import pytest

from flylab.results.verdicts import Verdict, decide

INF = float("inf")


@pytest.mark.parametrize(
    ("low", "high", "region", "word"),
    [
        (1, 2, (0, INF), "supported"), (-2, -1, (0, INF), "refuted"), (-1, 1, (0, INF), "undecided"),
        (1, 2, (0, 3), "supported"), (1, 4, (0, 3), "undecided"),
        (4, 5, (0, 3), "refuted"), (-1, 4, (0, 3), "undecided"),
        (2, 2, (2, 3), "supported"), (np.nan, np.nan, (0, 3), "undecided"),
    ],
)  # fmt: skip
def test_decide(low, high, region, word):
    assert decide(low, high, region) == word


def verdict(**fields) -> Verdict:
    common = ("study", "quick", "run", "id", "a < b", "paper", "68 ± 2", "points", "≥ 0")
    return Verdict(*common, 2.0, 1.0, 3.0, 5, "supported", "undecided", None)._replace(**fields)


@pytest.mark.parametrize(
    ("effect", "low", "high", "text"),
    [(2, 1, 3, "2.00 (1.00 … 3.00)"), (2, None, None, "2.00"), (None, None, None, "–"), (0, 0, 0, "0.00 (0.00 … 0.00)"),
     (0.004, -0.3, 0.3, "0.00 (-0.30 … 0.30)"), (0.0123, 0.01, 0.02, "0.0123 (0.0100 … 0.0200)"),
     (1e-30, 1e-30, 1e-30, "0.00000000 (0.00000000 … 0.00000000)")],
)  # fmt: skip
def test_an_effect_has_the_digits_that_its_size_needs(effect, low, high, text):
    assert verdict(effect=effect, low=low, high=high).measured == text


@pytest.mark.parametrize(
    ("fields", "notes"),
    [
        ({}, []),
        ({"note": "a", "seeds_needed": 3}, ["a", "about 3 more seeds would settle it with 90 % power"]),
        ({"on": "this data set"}, ["on this data set"]),
        ({"on": "this data set", "effect": None}, []),
        ({"on": "this data set and permutation", "low_elsewhere": 0.0, "high_elsewhere": 4.0},
         ["on this data set and permutation; with the sampling error of the test examples 0.0 … 4.0"]),
    ],
)  # fmt: skip
def test_notes_name_what_is_missing_and_what_all_seeds_share(fields, notes):
    assert verdict(**fields).notes == notes
