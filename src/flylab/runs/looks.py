"""Looks: the numbers of seeds with which a run was finished, and so judged, and what its claims were at the first one.

A run's record is of its latest state. Whoever adds seeds until a claim is decided needs intervals that allow for it,
and whoever changes a claim after a look confirms nothing by it. So looks stay, also when a run is forgotten.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from flylab.base.config import to_json
from flylab.runs.content import digest


class Looks(NamedTuple):
    """What is known of a run's finished states.

    Attributes:
        n_seeds: the numbers of seeds, in ascending order.
        claims: the digests of the claims at the first look, by their ids.
    """

    n_seeds: tuple[int, ...] = ()
    claims: Mapping[str, str] = MappingProxyType({})

    def after(self, n_seeds: int, claims: Mapping[str, str]) -> "Looks":
        """Return the looks with one more.

        >>> Looks((4,), {"a": "1"}).after(8, {"a": "2"})
        Looks(n_seeds=(4, 8), claims={'a': '1'})
        """
        return Looks(tuple(sorted({*self.n_seeds, n_seeds})), self.claims if self.n_seeds else claims)

    def attrs(self, n_seeds: int, claims: Mapping[str, str]) -> dict[str, str]:
        """Return attributes of the results with `n_seeds` seeds: what was seen with others, and the first claims.

        >>> Looks((4, 8), {"a": "1"}).attrs(8, {"a": "2"})
        {'looks': '4', 'claims': '{"a":"1"}'}
        """
        others = " ".join(str(n) for n in self.n_seeds if n != n_seeds)
        first = to_json(dict(self.claims if self.n_seeds else claims))
        return ({"looks": others} if others else {}) | ({"claims": first} if first != "{}" else {})


def question_of(folder: str, declaration: str) -> str:
    """Return what names a run with any number of seeds: its folder and what was declared besides.

    >>> question_of("a/b", '{"n_seeds":3,"n_steps":1}') == question_of("a/b", '{"n_seeds":4,"n_steps":1}')
    True
    """
    declared = {name: value for name, value in json.loads(declaration).items() if name != "n_seeds"}
    return hashlib.sha256(json.dumps([folder, declared], sort_keys=True).encode()).hexdigest()


def row(question: str, looks: Looks) -> tuple[str, str, bytes]:
    """Return looks as a row of the store."""
    content = to_json({"n_seeds": looks.n_seeds, "claims": dict(looks.claims)})
    return question, content, digest(question, content.encode())


def is_whole(row: tuple) -> bool:
    """Return whether a row is one that was written."""
    return tuple(map(type, row)) == (str, str, bytes) and digest(row[0], row[1].encode()) == row[2]


def joined(rows: Iterable[Any]) -> Looks:
    """Return the looks in the rows of several databases; a claim that differs among them has no digest any more."""
    found = [json.loads(content) for _, content, _ in filter(is_whole, rows)]
    claims = {name: text for one in found for name, text in one["claims"].items()}
    same = {name: text for name, text in claims.items() if all(one["claims"].get(name) == text for one in found)}
    return Looks(tuple(sorted({n for one in found for n in one["n_seeds"]})), same)
