"""The members of a population: checked one by one, since each may have data of its own."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flylab.base.constraints import shown
from flylab.training.inputs import SplitArrays
from flylab.training.step import Member

Members = Iterable[tuple[SplitArrays | None, Member]]  # each with its data, None for a `Source`


def alike(members: Members, check: Callable[[SplitArrays | None, Member], None]) -> Members:
    """Return members that one compiled program can train: their data and initial parameters have the first's form.

    The first is checked at once; another one with data or parameters of its own when its turn comes, before it trains.

    Args:
        members: the members, at least one.
        check: what to check of each, e.g. its labels.

    Raises:
        ValueError: if one of them has others, or fails the check.
    """
    members = iter(members)
    first_sets, first = next(members)
    check(first_sets, first)

    def checked() -> Iterator[tuple[SplitArrays | None, Member]]:
        yield first_sets, first
        for sets, member in members:
            if sets is not first_sets or member.params is not first.params:
                _require_alike("data", first_sets, sets)
                _require_alike("initial parameters", first.params, member.params)
                check(sets, member)
            yield sets, member

    return checked()


def _require_alike(what: str, first: Any, other: Any) -> None:
    (leaves, tree), (other_leaves, other_tree) = jax.tree.flatten(first), jax.tree.flatten(other)
    forms = [[(str(jnp.result_type(leaf)), np.shape(leaf)) for leaf in some] for some in (leaves, other_leaves)]
    pairs = [(tree, other_tree), *zip(*forms, strict=False)]
    if unlike := next((pair for pair in pairs if pair[0] != pair[1]), None):
        raise ValueError(
            f"{what} of all seeds must have the same form, but one seed's have {shown(unlike[1])} where the first "
            f"seed's have {shown(unlike[0])}"
        )
