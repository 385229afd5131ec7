"""Judge claims on the results of a run, with regard to what the run is good for."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from flylab.data.images.identity import retitled
from flylab.results.claims import Claim
from flylab.results.effects import Effect
from flylab.results.power import seeds_needed
from flylab.results.sampling import with_test_set
from flylab.results.sequences import mean_sequence, share_sequence
from flylab.results.statistics import MANY, Interval, interval, share_interval
from flylab.results.verdicts import Verdict, Word, decide

UNJUDGED = ("n_seeds", "data_dir")  # fields of protocols that no verdict depends on: intervals know n, files are hashed
FRESH = "fresh_data=True"  # the change that gives each seed a data set of its own


class Standing(NamedTuple):
    """What a run is good for, beside its results.

    Attributes:
        changed: the fields of its protocol that differ from the preset's, with text, `{"width": "width=100"}`.
        reduced: the fields in which its preset falls short of `paper`, with text, `{"n_steps": "n_steps 14 of 100"}`.
        confirmable: the ids of claims that the run can confirm: frozen before it, and on held-out seeds.
        looks: the numbers of seeds with which the run was finished at other times.
    """

    changed: Mapping[str, str] = {}
    reduced: Mapping[str, str] = {}
    confirmable: frozenset[str] = frozenset()
    looks: tuple[int, ...] = ()


UNCHANGED = Standing()


def judge(
    claims: Sequence[Claim],
    results: xr.Dataset,
    presets: Mapping[str, Sequence[Mapping[str, Any]]],
    standing: Standing = UNCHANGED,
) -> list[Verdict]:
    """Return the verdict on each claim, at 95 % and at the study-wide level 1 − 0.05/m for the m claims tested.

    Sanity checks are none of the m.

    Args:
        claims: the claims of the study that made the results.
        results: results with the attributes `study`, `preset` and `run`. The preset "smoke" gets no verdicts.
        presets: the conditions of each preset, to name those that can test what this one cannot.
        standing: what the run is good for; by default it is exploratory, of an unchanged preset.
    """
    values = [_values(claim, results) for claim in claims]
    tested = sum(
        value is not None and not np.isnan(value).all() and not claim.is_sanity_check
        for claim, value in zip(claims, values, strict=True)
    )
    adjusted = 1 - 0.05 / max(tested, 1)
    return [
        _judge_one(claim, value, results, adjusted, presets, standing)
        for claim, value in zip(claims, values, strict=True)
    ]


def _values(claim: Claim, results: xr.Dataset) -> np.ndarray | None:
    if claim.effect is None:
        return None
    if not _measured(results, claim.requires):
        return None
    values = claim.effect(results).values.astype(float)
    is_missing = np.isnan(values).all() and not claim.requires  # the design has no such conditions
    return None if is_missing else values


def _measured(results: xr.Dataset, requires: Mapping[str, Any]) -> bool:
    """Return whether results have the required labels, and values for every combination of them."""
    if not all(dim in results.dims and set(_all(wanted)) <= set(results[dim].values.tolist())
               for dim, wanted in requires.items()):  # fmt: skip
        return False
    variables = [values for values in results.data_vars.values()
                 if values.dtype.kind == "f" and requires.keys() <= set(values.dims)]  # fmt: skip
    return not variables or all(
        any(values.sel(place).notnull().any() for values in variables) for place in _combinations(requires)
    )


def _judge_one(claim: Claim, values, results: xr.Dataset, adjusted: float, presets, standing: Standing) -> Verdict:
    attrs = {name: str(results.attrs.get(name, "")) for name in ("study", "preset", "run", "checksum")}
    is_smoke, unjudged = attrs["preset"] == "smoke", (*UNJUDGED, *claim.independent_of)
    changes, reductions = ([text for name, text in fields.items() if name not in unjudged]
                           for fields in (standing.changed, standing.reduced))  # fmt: skip
    changed, reduced, is_fresh = ", ".join(changes), ", ".join(reductions), FRESH in changes
    statement, on = (retitled(text, results.attrs) for text in (claim.statement, claim.on))
    blank = Verdict(
        attrs["study"], attrs["preset"], attrs["run"], claim.id, statement, claim.source, claim.published,
        claim.unit, claim.region, None, None, None, 0, None, None, None, results=attrs["checksum"],
        is_sanity_check=claim.is_sanity_check, on=without_data_set(on) if is_fresh else on,
    )  # fmt: skip
    if values is None:
        able = [name for name, conditions in presets.items() if name != "smoke" and _has(conditions, claim.requires)]
        note = claim.needs or f"needs the preset {' or '.join(able) or '(none has it)'}"
        untested: Word | None = None if is_smoke else "not tested"
        return blank._replace(verdict=untested, verdict_adjusted=untested, note=note)
    blank = blank._replace(looks=standing.looks)
    if is_smoke:
        blank = blank._replace(note="smoke gives no verdicts")
    elif changed:
        blank = blank._replace(verdict="changed", verdict_adjusted="changed", changed=changed)
    else:
        kind = "confirmatory" if claim.id in standing.confirmable else "exploratory"
        blank = blank._replace(verdict="undecided", verdict_adjusted="undecided", kind=kind, reduced=reduced)
    n_seeds, values = len(values), values[~np.isnan(values)]
    if not values.size:
        return blank._replace(note=f"none of {n_seeds} seeds gave a value")
    method, narrow = _interval(claim, values, standing, 0.95)
    low, high = (bound if math.isfinite(bound) else None for bound in (narrow.low, narrow.high))
    blank = blank._replace(effect=narrow.mean, low=low, high=high, n_seeds=narrow.n, interval=method)
    n_test = claim.effect.n_test if isinstance(claim.effect, Effect) and not is_fresh else None
    if low is not None and n_test is not None and (n := n_test(results)):
        elsewhere = with_test_set(narrow, n)
        blank = blank._replace(low_elsewhere=elsewhere.low, high_elsewhere=elsewhere.high)
    if is_smoke or changed:
        return blank
    if values.size < n_seeds:  # the seeds left are no random choice
        return blank._replace(note=f"{n_seeds - values.size} of {n_seeds} seeds gave no value")
    _, wide = _interval(claim, values, standing, adjusted)
    word, wide_word = (decide(one.low, one.high, claim.bounds) for one in (narrow, wide))
    if word == "undecided":
        more = seeds_needed(values, *claim.bounds, is_share=claim.is_share)
        blank = blank._replace(seeds_needed=more, note=_too_few(claim, len(values), standing))
    return blank._replace(verdict=word, verdict_adjusted=wide_word)


def _too_few(claim: Claim, n: int, standing: Standing) -> str:
    """Return a note if no result of so few seeds can decide a claim, or not one way; of a share, all can be tried."""
    if not claim.is_share:
        return ""
    possible = ([100.0] * k + [0.0] * (n - k) for k in range(n + 1))
    intervals = (_interval(claim, np.array(values), standing, 0.95)[1] for values in possible)
    words = {decide(one.low, one.high, claim.bounds) for one in intervals}
    cannot = [verb for word, verb in (("supported", "support"), ("refuted", "refute")) if word not in words]
    return f"{n} seeds cannot {'decide' if len(cannot) == 2 else cannot[0]} this" if cannot else ""


def without_data_set(on: str) -> str:
    """Return what seeds share beside a data set.

    >>> [without_data_set(f"this data set{more}") for more in ("", " and permutation", ", permutation and ticket")]
    ['', 'this permutation', 'this permutation and ticket']
    """
    rest = on.removeprefix("this data set")
    return on if rest == on else "this" + rest.removeprefix(" and").removeprefix(",") if rest else ""


def _interval(claim: Claim, values: np.ndarray, standing: Standing, level: float) -> tuple[str, Interval]:
    """Return the interval that a claim needs, and the name of its method."""
    if claim.is_share:
        return ("always valid", share_sequence(values, level)) if standing.looks else (
            "binomial", share_interval(values, level))  # fmt: skip
    once = interval(values, level)
    if standing.looks:  # of skewed values the bootstrap may be wider: more looks must not narrow an interval
        valid = mean_sequence(values, level)
        low, high = min(valid.low, once.low), max(valid.high, once.high)
        return "always valid", valid._replace(low=low, high=high)
    return "Student t" if len(values) < MANY else "bootstrap", once


def _all(wanted: Any) -> tuple:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _combinations(requires: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(requires, values, strict=True)) for values in product(*map(_all, requires.values()))]


def _has(conditions: Sequence[Mapping[str, Any]], requires: Mapping[str, Any]) -> bool:
    """Return whether there is a condition for every combination of the required values, as far as they name any."""
    named = {name for condition in conditions for name in condition}
    requires = {name: wanted for name, wanted in requires.items() if name in named}
    return bool(requires) and all(
        any(required.items() <= dict(condition).items() for condition in conditions)
        for required in _combinations(requires)
    )
