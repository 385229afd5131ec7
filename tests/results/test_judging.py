"""Judging: verdicts on made-up results whose truth is known, and what a run is good for."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from flylab.results.claims import Claim
from flylab.results.effects import Effect, n_test_of
from flylab.results.judging import Standing, judge
from flylab.results.sequences import mean_sequence
from flylab.results.verdicts import counted

INF = float("inf")


def results(values, preset="quick"):
    data = xr.Dataset({"x": ("seed", np.asarray(values, float))}, {"seed": range(len(values)), "source": ["a"]})
    return data.assign_attrs(study="s", preset=preset, run="r")


def claim(**region):
    return Claim("id", "statement", "here", "1", "%", lambda r: r.x, **region)


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


@pytest.mark.parametrize(
    ("values", "region", "looks", "note"),
    [([100] * 4, {"above": 50}, (), "4 seeds cannot decide this"), ([100, 0] * 3, {"above": 50}, (), ""),
     ([100] * 4, {"above": 80}, (), "4 seeds cannot support this"),
     ([0] * 4, {"above": 20}, (), "4 seeds cannot refute this"),
     ([100] * 6, {"above": 50}, (5,), "6 seeds cannot decide this"),
     ([0] * 8, {"within": (20, 60)}, (), "8 seeds cannot support this")],
)  # fmt: skip
def test_a_verdict_says_when_so_few_seeds_cannot_decide(values, region, looks, note):
    share = Effect(lambda r: r.x).holds(lambda x: x > 50)
    (verdict,) = judge([Claim("id", "s", "here", "–", "", share, **region)], results(values), {}, Standing(looks=looks))
    assert (verdict.verdict, verdict.note) == ("undecided", note)


@pytest.mark.parametrize("independent_of", [(), ("fresh_data",)])
def test_a_data_set_per_seed_is_not_this_data_set(independent_of):
    data = results([60.0, 61, 62]).assign_attrs(protocol='{"data": {"n_test": 1000}}')
    level = Effect(lambda r: r.x, n_test=n_test_of)
    asked = Claim("id", "s", "here", "–", "%", level, above=0, on="this data set and permutation",
                  independent_of=independent_of)  # fmt: skip
    (verdict,) = judge([asked], data, {}, Standing(changed={"fresh_data": "fresh_data=True"}))
    assert verdict.on == ("this data set and permutation" if independent_of else "this permutation")
    assert (verdict.low_elsewhere is None) == (not independent_of)


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


def test_more_looks_do_not_narrow_the_interval_of_skewed_values():
    values = np.append(np.linspace(0, 0.1, 39), 30.0)
    once, often = (judge([claim(above=-9)], results(values), {}, Standing(looks=looks))[0] for looks in ((), (30,)))
    assert once.interval == "bootstrap"
    assert often.interval == "always valid"
    assert once.high > mean_sequence(values).high
    assert often.high == once.high
    assert often.low < once.low


def judged(standing, preset="quick", **fields):
    data, asked = results([5, 5.1, 4.9], preset), replace(claim(above=1), **fields)
    (verdict,) = judge([asked], data, {}, standing)
    return verdict


CHANGED = Standing(changed={"width": "width=100", "n_seeds": "n_seeds=3", "models": "models=cnn"})


@pytest.mark.parametrize(
    ("independent_of", "word", "kind"),
    [((), "changed: width=100, models=cnn", ""), (("models",), "changed: width=100", ""),
     (("models", "width"), "supported", "exploratory")],
)  # fmt: skip
def test_a_changed_protocol_gives_no_verdict(independent_of, word, kind):
    verdict = judged(CHANGED, independent_of=independent_of)
    assert (verdict.word, verdict.kind) == (word, kind)
    assert verdict.effect == 5
    assert verdict.verdict == verdict.verdict_adjusted == word.partition(":")[0]
    assert (verdict.word_adjusted is None) == bool(verdict.changed)


def test_reductions_stand_beside_the_verdict():
    standing = Standing(reduced={"n_steps": "n_steps 14 of 100", "n_seeds": "n_seeds 4 of 10", "sizes": "sizes 1 of 2"})
    verdict = judged(standing, independent_of=("sizes",))
    assert (verdict.verdict, verdict.reduced) == ("supported", "n_steps 14 of 100")
    assert verdict.notes == ["exploratory; reduced: n_steps 14 of 100"]


@pytest.mark.parametrize(
    ("preset", "confirmable", "kind"),
    [("paper", {"id"}, "confirmatory"), ("paper", {"other"}, "exploratory"), ("smoke", {"id"}, "")],
)  # fmt: skip
def test_only_claims_that_a_run_can_confirm_are_confirmed(preset, confirmable, kind):
    assert judged(Standing(confirmable=frozenset(confirmable)), preset).kind == kind


def test_sanity_checks_do_not_count():
    check = replace(claim(above=1), is_sanity_check=True)
    values = np.array([1.0, 2.5, 2.0, 1.5, 3.0])
    verdicts = judge([claim(above=0.6), *[check] * 50], results(values), {})
    assert verdicts[0].verdict_adjusted == "supported"
    assert counted(verdicts) == verdicts[:1]
    assert "sanity check" in verdicts[1].notes[0]


@pytest.mark.parametrize(("share", "values", "low"), [(False, [5, 5.1, 4.9, 5, 5.2], 4.609), (True, [100] * 8, 56.106)])
def test_after_a_look_the_interval_is_always_valid(share, values, low):
    effect = Effect(lambda r: r.x)
    asked = Claim("id", "s", "here", "–", "", effect.holds(lambda x: x > 0) if share else effect, above=0)
    (verdict,) = judge([asked], results(values), {}, Standing(looks=(4,)))
    assert verdict.low == pytest.approx(low, abs=1e-3)
    assert verdict.interval == "always valid"
    assert "also judged with 4 seeds" in verdict.notes[-1]
