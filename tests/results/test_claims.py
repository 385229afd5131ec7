"""Claims: one region each, and only fields that their study's protocol has."""

from dataclasses import replace

import pytest

from flylab.base.config import flat_fields
from flylab.results.claims import Claim, independent
from flylab.studies.tickets_at_scale.method import SHAPES
from flylab.study.registry import get_study, list_studies


def claim(**region):
    return Claim("id", "statement", "here", "1", "%", lambda r: r.x, **region)


def test_a_claim_has_one_region():
    with pytest.raises(ValueError, match="exactly one"):
        claim(above=1, below=2)
    with pytest.raises(ValueError, match="exactly one"):
        claim()


def test_independence_adds_up():
    one = replace(claim(above=0), independent_of=("a",))
    assert [c.independent_of for c in independent(["b", "c"], [one, claim(above=0)])] == [("a", "b", "c"), ("b", "c")]


@pytest.mark.parametrize("name", list_studies())
def test_claims_name_fields_of_the_protocol(name):
    study = get_study(name)
    known = flat_fields(next(iter(study.presets.values())))
    named = {field for claim in study.claims for field in claim.independent_of}
    assert named <= set(known)
    assert not named & {"n_seeds", "n_epochs", "width"}  # whoever says so of these is wrong


def test_sanity_checks_are_those_of_the_list():
    """True by symmetry, convexity or construction."""
    checks = {claim.id for name in list_studies() for claim in get_study(name).claims if claim.is_sanity_check}
    assert checks == {
        "shuffle-mlp", "shuffle-logistic", "sklearn-easy", "layer-0", "shuffled-search", "neighbours-knn",
        "neighbours-logistic",
        *(f"none-{model}" for model in ("logistic", "neighbours", "svm", "forest", "boosting")),
        *(f"noise-{kind}-{model}" for kind in ("smooth", "white") for model in ("mlp", "cnn")),
        *(f"vanishes-permuted-{name}" for name in SHAPES),
    }  # fmt: skip
