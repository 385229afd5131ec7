"""Digests of claims: they change with what a claim says and measures, and with nothing else."""

import importlib
import sys
from dataclasses import replace

import pytest

from flylab.results.claims import Claim
from flylab.results.effects import contrast, pick
from flylab.results.frozen import digests, frozen
from flylab.study.registry import get_study, list_studies

CLAIM = Claim("a", "a", "here", "–", "%", contrast("x", model=("cnn", "mlp"), step=-1), above=1)
# a file, not functions of this one: the source counts
MODULE = '''
import numpy as np
from flylab.results.claims import Claim
from flylab.results.effects import Effect

FACTOR = 2.0

def scaled(values):
    """Return values, scaled."""
    return FACTOR * values

class Kind:
    size = 3

def of(factor):
    return lambda results: factor * scaled(results.x) + Kind.size

CLAIMS = (Claim("a", "s", "here", "–", "%", of(1.0), above=0), Claim("b", "s", "here", "–", "%", Effect(of(1.0)).holds(lambda x: x > 1), above=50))

def table(results):
    return 1
'''  # noqa: E501


@pytest.mark.slow
@pytest.mark.parametrize("name", list_studies())
def test_all_claims_are_as_they_were_frozen(name):
    """If this fails, a claim was changed: `python docs/freeze_claims.py` freezes it, and the changelog says why."""
    now = digests(get_study(name).claims)
    assert len(now) == len(set(now.values())) == len(get_study(name).claims)
    assert now == frozen(name)


@pytest.mark.parametrize(
    "changed",
    [
        {"statement": "b"}, {"source": "paper"}, {"above": 2}, {"above": None, "below": 1},
        {"requires": {"source": "x"}},
        {"independent_of": ("width",)}, {"effect": contrast("x", model=("cnn", "gru"), step=-1)},
        {"effect": contrast("y", model=("cnn", "mlp"), step=-1)}, {"effect": pick("x", model="cnn", step=-1)},
        {"effect": CLAIM.effect.holds(lambda x: x > 1)}, {"unseen_from": 1010},
    ],
)  # fmt: skip
def test_what_a_claim_says_and_measures_counts(changed):
    assert digests([replace(CLAIM, **changed)]) != digests([CLAIM])


def test_an_equal_claim_has_the_same_digest():
    other = replace(CLAIM, effect=contrast("x", model=("cnn", "mlp"), step=-1))
    assert digests([other]) == digests([CLAIM])


def digests_of(folder, text):
    folder.mkdir()
    (folder / "mine.py").write_text(text)
    sys.path.insert(0, str(folder))
    try:
        return digests(importlib.import_module("mine").CLAIMS)
    finally:
        sys.path.remove(str(folder))
        del sys.modules["mine"]


@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [
        ("FACTOR = 2.0", "FACTOR = 3.0", False),
        ("return FACTOR * values", "return FACTOR + values", False),
        ("factor * scaled", "factor - scaled", False),
        ("size = 3", "size = 4", False),
        ("of(1.0)", "of(2.0)", False),
        ("lambda x: x > 1", "lambda x: x > 2", False),
        ('"""Return values, scaled."""', '"""Return them."""  # what else', True),
        ("return 1", "return 2", True),
    ],
)
def test_code_that_an_effect_reaches_counts_and_no_other(before, after, is_same, tmp_path):
    assert MODULE.count(before)
    first, second = digests_of(tmp_path / "a", MODULE), digests_of(tmp_path / "b", MODULE.replace(before, after))
    assert (first == second) == is_same
