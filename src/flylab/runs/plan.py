"""The plan of a run: its members, named by the hash of all that determines them, in groups of one condition."""

import functools
import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flylab.base import runtime, settings
from flylab.base.config import fingerprint, plain, to_json
from flylab.results.frozen import digests
from flylab.runs.fingerprint import UnhashableError, code_fingerprint, texts_in, versions
from flylab.runs.slots import fillings, labels
from flylab.study.study import Condition, Study, protocol_of

DIMENSIONS = ("seed", "step", "example", "update")  # that results have beside a study's own
KEY = 0  # the root of all randomness
HELD_OUT = 1000  # the first seed of `paper`: on seeds from here on no region, preset or protocol was chosen
Place = Mapping[str, Any]  # a label for each outer dimension of the results


class MemberGroup(NamedTuple):
    """The members of one condition and some seeds, which one call of the study's `run` trains.

    Attributes:
        place: the group's coordinates among the results, without the seed.
        protocol: the study's protocol.
        protocol_hash: its hash.
        condition: a condition of the protocol.
        seeds: a member each.
        names: the names of the members.
    """

    place: Place
    protocol: Any
    protocol_hash: str
    condition: Condition
    seeds: tuple[int, ...]
    names: tuple[str, ...]

    def places(self) -> Iterator[Place]:
        """Yield the coordinates of each seed's member."""
        return ({**self.place, "seed": seed} for seed in self.seeds)

    @property
    def is_reusable(self) -> bool:
        """Whether the names hold all that determines the members."""
        return all(function.is_known for function in fillings(self.condition).values())

    @property
    def labels(self) -> Condition:
        """The condition as plain values: users' functions by their names."""
        return labels(self.condition)

    def only(self, names: set[str]) -> "MemberGroup":
        """Return the group of those members that have one of the names."""
        pairs = [(seed, name) for seed, name in zip(self.seeds, self.names, strict=True) if name in names]
        return self._replace(seeds=tuple(s for s, _ in pairs), names=tuple(n for _, n in pairs))

    def cut(self, n: int) -> "tuple[MemberGroup, MemberGroup]":
        """Return the first n members, and the others."""
        return (
            self._replace(seeds=self.seeds[:n], names=self.names[:n]),
            self._replace(seeds=self.seeds[n:], names=self.names[n:]),
        )


@dataclass(frozen=True)
class RunPlan:
    """The work of a run: protocols of one study, each with all its conditions and seeds.

    Attributes:
        study: the study.
        folder: of the results, relative to the output folder.
        protocols: yields the coordinates and the protocol of each condition of a sweep; of a study's own run, one.
        declaration: what was asked for, as JSON: a study's protocol, or a sweep.
        attrs: attributes of the results.
        metrics: the variables of the results; None for all, empty for those that are not over test examples.
        coords: further coordinates of the results, such as the values of random samples.
        is_reusable: whether the members stay in the store, for other runs to use.
        first_seed: the first of the seeds, which are consecutive.
        claims: the digests of the study's claims, by their ids.
    """

    study: Study
    folder: str
    protocols: Callable[[], Iterator[tuple[Place, Any]]]
    declaration: str
    attrs: Mapping[str, str]
    metrics: Sequence[str] | None = None
    coords: Mapping[str, Any] = field(default_factory=dict)
    is_reusable: bool = True
    first_seed: int = 0
    claims: Mapping[str, str] = field(default_factory=dict)

    def groups(self, part: tuple[int, int] = (1, 1)) -> Iterator[MemberGroup]:
        """Yield the members in groups, in a fixed order, made one by one.

        Args:
            part: (k, n): every n-th member only, from the k-th.

        Raises:
            ValueError: if an axis of a sweep is a dimension of the study with other labels.
        """
        naming, (k, n), number = Naming(self.study), part, 0
        for place, protocol in self.protocols():
            hashed = protocol_hash(self.study, protocol)
            for condition, determined in naming.conditions(protocol, hashed):
                inner = [name for name, function in fillings(condition).items() if not function.is_axis]
                own = {name: label for name, label in labels(condition).items() if name not in inner}
                if clash := [name for name in place if own.get(name, place[name]) != place[name]]:
                    raise ValueError(f"{clash[0]} is a dimension of {self.study.name} already; it cannot be an axis")
                if taken := [name for name in (*place, *own) if name in DIMENSIONS]:
                    raise ValueError(f"{taken[0]} cannot be an axis: results have a dimension of this name")
                mine = (i for i in range(protocol.n_seeds) if (number + i) % n == k - 1)
                seeds = tuple(self.first_seed + i for i in mine)
                number += protocol.n_seeds
                if seeds:
                    names = tuple(naming.name(determined, seed) for seed in seeds)
                    yield MemberGroup({**place, **own}, protocol, hashed, condition, seeds, names)


def plan_of_study(study: Study, preset: str, protocol: Any) -> RunPlan:
    """Return the plan of a study's run; that of the preset "paper" has seeds that are held out for it.

    Raises:
        ValueError: for an unknown preset, or a protocol without conditions.
    """
    protocol_of(study, preset)  # raises for an unknown preset, which must not name a folder
    if not study.conditions(protocol):
        raise ValueError(f"this protocol of {study.name} trains nothing: one of its lists is empty")
    functions = [function.name for functions in study.filled.values() for function in functions]
    name, text = "-".join((preset, protocol_hash(study, protocol), *functions)), to_json(protocol)
    attrs = {"study": study.name, "preset": preset, "run": name, "question": study.question, "protocol": text}
    attrs |= study.origin
    first_seed = HELD_OUT if preset == "paper" else 0
    return RunPlan(study, f"{study.name}/{name}", lambda: iter([({}, protocol)]), text, attrs,
                   first_seed=first_seed, claims=digests(study.claims))  # fmt: skip


class Naming:
    """The names of members: hashes of all that determines them. What many members share is hashed once.

    Args:
        study: the study whose members are named.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        artifacts = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in study.artifacts.items()}
        named = settings.named() | runtime.grouping()
        self._common = {"key": KEY, "versions": versions(), "settings": named, "artifacts": artifacts}
        self._code: dict[frozenset[str], str] = {}

    def conditions(self, protocol: Any, hashed: str) -> Iterator[tuple[Condition, str]]:
        """Yield each condition of a protocol, and the hash of all that determines its members but the seed.

        Args:
            protocol: the protocol.
            hashed: its hash.
        """
        digest_of = self._study.input_digest(protocol)
        for condition in self._study.conditions(protocol):
            plain_condition = labels(condition)
            picked = texts_in(plain_condition, protocol)  # they may name models, whose code counts
            if picked not in self._code:
                self._code[picked] = _code(self._study.run, plain_condition, protocol)
            determined = {**self._common, "protocol": hashed, "condition": plain_condition, "code": self._code[picked]}
            if functions := fillings(condition):
                determined["functions"] = {slot: function.digest for slot, function in functions.items()}
            if (digest := digest_of(condition)) is not None:
                determined["input"] = digest
            yield condition, fingerprint(determined, 64)

    def name(self, determined: str, seed: int) -> str:
        """Return the name of the member of a seed."""
        return hashlib.sha256(f"{determined}:{seed}".encode()).hexdigest()[:24]


def _code(run: Callable, condition: Condition, protocol: Any) -> str:
    try:
        return code_fingerprint(run, condition, protocol)
    except UnhashableError:
        return _unknown(run)


@functools.cache
def _unknown(run: Callable) -> str:
    """Return a name for code that cannot be read; nothing is ever found under it by another process or function."""
    return uuid.uuid4().hex


def protocol_hash(study: Study, protocol: Any) -> str:
    """Return the hash of all protocol fields, including defaults, but the number of seeds."""
    return fingerprint({"study": study.name, **{k: v for k, v in plain(protocol).items() if k != "n_seeds"}})
