import numpy as np
import pytest
import xarray as xr

from flylab.results.claims import Claim, decide, judge
from flylab.results.effects import Effect

INF = float("inf")


def results(values, preset="quick"):
    data = xr.Dataset({"x": ("seed", np.asarray(values, float))}, {"seed": range(len(values)), "source": ["a"]})
    return data.assign_attrs(study="s", preset=preset, run="r")


def claim(**region):
    return Claim("id", "statement", "here", "1", "%", lambda r: r.x, **region)


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


@pytest.mark.parametrize(
    ("values", "region", "word"),
    [
        ([5, 5.1, 4.9], {"above": 1}, "supported"), ([5, 5.1, 4.9], {"below": 1}, "refuted"),
        ([0, 2, 1.1], {"above": 1}, "undecided"), ([0.1, -0.1, 0], {"within": (-1, 1)}, "supported"),
        ([5], {"above": 1}, "undecided"),
    ],
)  # fmt: skip
def test_verdicts(values, region, word):
    (verdict,) = judge([claim(**region)], results(values), {})
    assert verdict.verdict == word
    assert verdict.n_seeds == len(values)
    assert (verdict.seeds_needed is not None) == (word == "undecided" and len(values) > 1)


@pytest.mark.parametrize(
    ("values", "above", "low", "word"),
    [([100] * 4, 50, 39.76, "undecided"), ([100] * 6, 50, 54.07, "supported"), ([0] * 6, 50, 0, "refuted"),
     ([100, 100, 0, 100], 90, 19.41, "undecided"), ([100], 50, 2.5, "undecided")],
)  # fmt: skip
def test_a_share_of_seeds_has_a_binomial_interval(values, above, low, word):
    share = Effect(lambda r: r.x).holds(lambda x: x > 50)
    (verdict,) = judge([Claim("id", "s", "here", "–", "% of seeds", share, above=above)], results(values), {})
    assert (verdict.effect, verdict.verdict) == (np.mean(values), word)
    assert verdict.low == pytest.approx(low, abs=0.01)


def test_the_study_wide_level_is_stricter():
    values = np.array([1.0, 2.5, 2.0, 1.5, 3.0])
    alone, *_ = judge([claim(above=0.6)], results(values), {})
    among, *_ = judge([claim(above=0.6)] * 50, results(values), {})
    assert alone.verdict == among.verdict == alone.verdict_adjusted == "supported"
    assert among.verdict_adjusted == "undecided"


def test_smoke_gives_effects_and_no_verdicts():
    (verdict,) = judge([claim(above=1)], results([5, 6], "smoke"), {})
    assert verdict.effect == 5.5
    assert verdict.verdict is verdict.verdict_adjusted is None


def test_not_tested_says_which_preset_can():
    lacking = Claim("id", "s", "here", "1", "%", lambda r: r.x, above=0, requires={"source": "fresh"})
    presets = {"quick": [{"source": "a"}], "paper": [{"source": "fresh"}]}
    (verdict,) = judge([lacking], results([1, 2]), presets)
    assert (verdict.verdict, verdict.effect, verdict.note) == ("not tested", None, "needs the preset paper")


def test_a_claim_has_one_region():
    with pytest.raises(ValueError, match="exactly one"):
        claim(above=1, below=2)
    with pytest.raises(ValueError, match="exactly one"):
        claim()


@pytest.mark.parametrize(
    ("values", "effect", "note"),
    [([5, 6, np.nan], 5.5, "1 of 3 seeds gave no value"), ([np.nan] * 3, None, "none of 3 seeds gave a value")],
)
def test_seeds_without_a_value_leave_a_claim_undecided(values, effect, note):
    """The seeds that reached a threshold are no random choice of seeds."""
    asked = Claim("id", "s", "here", "1", "%", lambda r: r.x, above=0, requires={"source": "a"})
    (verdict,) = judge([asked], results(values), {})
    assert (verdict.effect, verdict.verdict, verdict.verdict_adjusted, verdict.note) == (
        effect,
        *["undecided"] * 2,
        note,
    )


def test_an_arm_that_is_missing_is_not_tested():
    (verdict,) = judge([claim(above=0)], results([np.nan, np.nan]), {})
    assert verdict.verdict == "not tested"
