"""Verdicts: what the results of a run say of a claim."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

Word = Literal["supported", "refuted", "undecided", "not tested", "changed"]
WORDS: tuple[Word, ...] = ("supported", "refuted", "undecided", "not tested")


class Verdict(NamedTuple):
    """A run's verdict on a claim; fields without a value are None, or empty."""

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
    kind: Literal["confirmatory", "exploratory", ""] = ""
    changed: str = ""  # what differs from the preset, "width=100"
    reduced: str = ""  # what the preset lacks of `paper`, "n_steps 14 of 100"
    is_sanity_check: bool = False
    interval: str = ""  # its method
    looks: tuple[int, ...] = ()  # other numbers of seeds with which the run was finished
    low_elsewhere: float | None = None  # of a level on one test set: bounds that include the test set's sampling error
    high_elsewhere: float | None = None
    on: str = ""  # what all seeds share, "this data set and permutation"

    @property
    def word(self) -> str | None:
        """The verdict as it is shown: "changed: width=100" says why there is none."""
        return f"changed: {self.changed}" if self.changed else self.verdict

    @property
    def word_adjusted(self) -> str | None:
        """The study-wide verdict as it is shown."""
        return None if self.changed else self.verdict_adjusted

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
        """Remarks: the verdict's kind, why there is none, and how many more seeds would settle an undecided claim."""
        notes = ["sanity check, left out of counts"] if self.is_sanity_check else []
        notes += [f"{self.kind}; reduced: {self.reduced}" if self.reduced else self.kind] if self.kind else []
        notes += [self.note] if self.note else []
        if self.looks and self.effect is not None:
            others = ", ".join(map(str, self.looks))
            notes.append(f"also judged with {others} seeds: the interval is valid at every look")
        if self.low_elsewhere is not None:
            bounds = f"{self.low_elsewhere:.1f} … {self.high_elsewhere:.1f}"
            on = self.on or "this data set"
            notes.append(f"on {on}; with the sampling error of the test examples {bounds}")
        elif self.on and self.effect is not None:
            notes.append(f"on {self.on}")
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


def counted(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts that count: all but those of sanity checks."""
    return [verdict for verdict in verdicts if not verdict.is_sanity_check]


def tally(verdicts: Sequence[Verdict], is_wide: bool = False) -> dict[str, int]:
    """Return how many claims have each verdict, sanity checks apart: all totals that flylab tells.

    Args:
        verdicts: the verdicts.
        is_wide: whether to count the study-wide ones.

    >>> tally([])
    {'supported': 0, 'refuted': 0, 'undecided': 0, 'not tested': 0, 'changed': 0}
    """
    words = Counter(verdict.verdict_adjusted if is_wide else verdict.verdict for verdict in counted(verdicts))
    return {word: words[word] for word in (*WORDS, "changed")}


def summary(verdicts: Sequence[Verdict], n_seeds: int) -> str:
    """Say in one sentence what a run found.

    Args:
        verdicts: on all claims of the study.
        n_seeds: the run's number of seeds.

    >>> summary([], 5)
    'A comparison of 5 seeds each: this study has no claims to judge.'
    """
    number = tally(verdicts)
    if not verdicts:
        return f"A comparison of {n_seeds} seeds each: this study has no claims to judge."
    if not (n := sum(number.values())):
        return f"A smoke run of {n_seeds} seeds, which tries everything and decides nothing."
    said = f"Of {n} claim{'s' * (n > 1)}, {n_seeds} seeds support {number['supported']}, refute {number['refuted']}"
    rest = {"not tested": "not tested", "changed": "tested under another protocol"}
    more = [f"{number[word]} {text}" for word, text in rest.items() if number[word]]
    return f"{said} and leave {number['undecided']} undecided{'; '.join(['', *more])}."
