"""Claims: every published statement is a hypothesis that each run tests."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import xarray as xr

from flylab.results.effects import Effect, merged


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
        independent_of: fields of the protocol, or of its data, that the effect does not depend on, such as those that
            only add arms; if any other one is changed, a run gives no verdict. The number of seeds need not be named.
        is_sanity_check: whether it is true by symmetry, convexity or construction, so that it tests the protocol and
            counts for nothing else.
        on: what all seeds share, such as "this data set and permutation", so that the verdict holds on it alone. A run
            that gives each seed a data set of its own leaves the words "this data set" out.
        unseen_from: for a claim that was written after a look at held-out seeds, the first seed behind them; a run of
            earlier ones cannot confirm it.

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
    independent_of: tuple[str, ...] = ()
    is_sanity_check: bool = False
    on: str = ""
    unseen_from: int = 0

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


def independent(of: Sequence[str], claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Return claims that do not depend on some more fields of the protocol.

    >>> claim = Claim("a", "a", "here", "–", "%", above=0, independent_of=("width",))
    >>> independent(["models"], [claim])[0].independent_of
    ('width', 'models')
    """
    return tuple(replace(claim, independent_of=(*claim.independent_of, *of)) for claim in claims)


def sharing(what: str, claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Return claims whose seeds all share something, where they do not say what.

    >>> claim = Claim("a", "a", "here", "–", "%", above=0)
    >>> sharing("this data set", [claim])[0].on
    'this data set'
    """
    return tuple(replace(claim, on=claim.on or what) for claim in claims)
