"""Claims and verdicts: every published statement is a hypothesis that each run tests."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from flylab.results.effects import Effect, merged
from flylab.results.power import seeds_needed
from flylab.results.statistics import interval, share_interval

Word = Literal["supported", "refuted", "undecided", "not tested"]


@dataclass(frozen=True)
class Claim:
    """A quantitative statement and the effect that decides on it.

    Attributes:
        id: a short name, unique in its study.
        statement: the statement in flylab's words.
        source: where it was published: "paper", "blog", "nb" (the authors' notebooks) or "here".
        published: the published value, as printed.
        unit: the effect's unit.
        effect: results → the effect of each seed, a DataArray over `seed`; the two sides of a difference share keys and
            data. What is true or false of a seed is a share of seeds, made by `Effect.holds`. NaN marks a seed without
            a value, e.g. if a threshold was not reached; the claim is then undecided.
        above, below, within: the region of the effect in which the statement holds; exactly one of them.
        requires: coordinates that the results must have, e.g. `{"source": "fresh"}`; a tuple if several must be there.
            What an `Effect` requires is added.
        needs: what is missing, for a claim that no preset can test yet.

    Raises:
        ValueError: if there is not exactly one region.
    """

    id: str
    statement: str
    source: str
    published: str
    unit: str
    effect: Callable[[xr.Dataset], xr.DataArray] | None = None
    above: float | None = None
    below: float | None = None
    within: tuple[float, float] | None = None
    requires: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""

    def __post_init__(self) -> None:
        if sum(region is not None for region in (self.above, self.below, self.within)) != 1:
            raise ValueError(f"claim {self.id}: give exactly one of above=, below=, within=")
        if isinstance(self.effect, Effect):
            object.__setattr__(self, "requires", merged(self.effect.requires, self.requires))

    @property
    def is_share(self) -> bool:
        """Whether the effect is a share of seeds, as the effect declares."""
        return isinstance(self.effect, Effect) and self.effect.is_share

    @property
    def bounds(self) -> tuple[float, float]:
        """The region as an interval of real numbers."""
        if self.within is not None:
            return self.within
        return (
            -math.inf if self.above is None else self.above,
            math.inf if self.below is None else self.below,
        )

    @property
    def region(self) -> str:
        """The region as text, e.g. "≥ 25"."""
        if self.within is not None:
            return f"{self.within[0]:g} … {self.within[1]:g}"
        return f"≥ {self.above:g}" if self.above is not None else f"≤ {self.below:g}"


class Verdict(NamedTuple):
    """A run's verdict on a claim; fields without a value are None."""

    study: str
    preset: str
    run: str
    id: str
    statement: str
    source: str
    published: str
    unit: str
    region: str
    effect: float | None
    low: float | None
    high: float | None
    n_seeds: int
    verdict: Word | None
    verdict_adjusted: Word | None
    seeds_needed: int | None
    note: str = ""
    results: str = ""  # their checksum

    @property
    def region_and_unit(self) -> str:
        """The claim's region with its unit, e.g. "≥ 25 points"."""
        return f"{self.region} {self.unit}".strip()

    @property
    def measured(self) -> str:
        """The effect with its 95 % interval, e.g. "2.00 (1.00 … 3.00)"; a dash if there is none."""
        if self.effect is None:
            return "–"
        scale = max(abs(value) for value in (self.effect, self.low, self.high) if value is not None)
        digits = 2 if scale >= 0.1 or scale == 0 else min(2 - math.floor(math.log10(scale)), 8)
        if self.low is None or self.high is None:
            return f"{self.effect:.{digits}f}"
        return f"{self.effect:.{digits}f} ({self.low:.{digits}f} … {self.high:.{digits}f})"

    @property
    def notes(self) -> list[str]:
        """Remarks: why there is no verdict, and how many more seeds would settle an undecided claim."""
        notes = [self.note] if self.note else []
        if self.seeds_needed is not None:
            notes.append(f"about {self.seeds_needed} more seeds would settle it with 90 % power")
        return notes


def decide(low: float, high: float, region: tuple[float, float]) -> Word:
    """Return "supported" if `low … high` lies inside the region, "refuted" if outside, else (and for NaN) "undecided".

    >>> decide(26, 30, (25, float("inf")))
    'supported'
    """
    if region[0] <= low and high <= region[1]:
        return "supported"
    if high < region[0] or low > region[1]:
        return "refuted"
    return "undecided"


def judge(
    claims: Sequence[Claim], results: xr.Dataset, presets: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[Verdict]:
    """Return the verdict on each claim, at 95 % and at the study-wide level 1 − 0.05/m for the m claims tested.

    Args:
        claims: the claims of the study that made the results.
        results: results with the attributes `study`, `preset` and `run`. The preset "smoke" gets no verdicts.
        presets: the conditions of each preset, to name those that can test what this one cannot.
    """
    values = [_values(claim, results) for claim in claims]
    tested = sum(value is not None and not np.isnan(value).all() for value in values)
    adjusted = 1 - 0.05 / max(tested, 1)
    return [_judge_one(claim, value, results, adjusted, presets) for claim, value in zip(claims, values, strict=True)]


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


def _judge_one(claim: Claim, values, results: xr.Dataset, adjusted: float, presets) -> Verdict:
    def verdict(*measured: Any) -> Verdict:
        study, preset, run, checksum = (
            str(results.attrs.get(name, "")) for name in ("study", "preset", "run", "checksum")
        )
        published = (claim.id, claim.statement, claim.source, claim.published, claim.unit, claim.region)
        return Verdict(study, preset, run, *published, *measured, results=checksum)

    smoke = results.attrs.get("preset") == "smoke"
    if values is None:
        able = [name for name, conditions in presets.items() if name != "smoke" and _has(conditions, claim.requires)]
        note = claim.needs or f"needs the preset {' or '.join(able) or '(none has it)'}"
        word: Word | None = None if smoke else "not tested"
        return verdict(None, None, None, 0, word, word, None, note)
    n_seeds, values = len(values), values[~np.isnan(values)]
    if not values.size:
        note = f"none of {n_seeds} seeds gave a value"
        return verdict(None, None, None, 0, *([None] * 2 if smoke else ["undecided"] * 2), None, note)
    estimate = share_interval if claim.is_share else interval
    wide, narrow = estimate(values, adjusted), estimate(values)
    low, high = (bound if math.isfinite(bound) else None for bound in (narrow.low, narrow.high))
    if smoke:
        return verdict(narrow.mean, low, high, narrow.n, None, None, None, "smoke gives no verdicts")
    if values.size < n_seeds:  # the seeds left are no random choice
        note = f"{n_seeds - values.size} of {n_seeds} seeds gave no value"
        return verdict(narrow.mean, low, high, narrow.n, "undecided", "undecided", None, note)
    word = decide(narrow.low, narrow.high, claim.bounds)
    more = seeds_needed(values, *claim.bounds, is_share=claim.is_share) if word == "undecided" else None
    return verdict(narrow.mean, low, high, narrow.n, word, decide(wide.low, wide.high, claim.bounds), more)


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
