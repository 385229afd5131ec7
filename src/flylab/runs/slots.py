"""A study with functions of its users in its slots: their names, their digests, and the conditions that they add."""

import inspect
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flylab.base import runtime
from flylab.base.config import to_json
from flylab.base.usercode import RefusedError, user_code
from flylab.runs.loading import digest_of, load
from flylab.study.study import Condition, Study


@dataclass(frozen=True, eq=False)
class Filling:
    """A user's function in a slot, called as the function itself is.

    Attributes:
        name: the function's name, its label in the results.
        place: where it is, such as `/home/me/mine.py:function`, or "" for one that was given as an object. Worker
            processes load it from there.
        digest: what its code is named by in the names of members.
        is_known: whether the digest holds all that determines the function; if not, its members are not kept.
        is_axis: whether conditions of the study have the slot as an axis, or else the results themselves.
    """

    name: str
    place: str
    digest: str
    is_known: bool
    is_axis: bool = True
    _loaded: list[Callable] = field(default_factory=list, repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; an exception becomes one line that names the function."""
        with user_code(self.name):
            return self.function(*args, **kwargs)

    @property
    def function(self) -> Callable:
        """The function itself."""
        if not self._loaded:
            _, function, digest = load(self.place)
            if digest != self.digest and self.is_known:
                raise RefusedError(f"{self.place} has changed since the run began: run the same command again")
            self._loaded.append(function)
        return self._loaded[0]

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same code, as a worker finds in each batch, so that programs are compiled once."""
        if self is other or not isinstance(other, Filling):
            return self is other
        return self.is_known and other.is_known and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple:
        return self.name, self.place, self.digest, self.is_axis

    def __reduce__(self) -> tuple:
        given = [] if self.place else self._loaded
        return Filling, (self.name, self.place, self.digest, self.is_known, self.is_axis, given)


def labels(condition: Condition) -> dict[str, Any]:
    """Return a condition with the names of its functions, as JSON and progress bars have it."""
    return {axis: value.name if isinstance(value, Filling) else value for axis, value in condition.items()}


def fillings(condition: Condition) -> dict[str, Filling]:
    """Return the users' functions in a condition, by slot."""
    return {axis: value for axis, value in condition.items() if isinstance(value, Filling)}


def split(study: Study, changes: Mapping[str, Any]) -> tuple[Study, dict[str, Any]]:
    """Return the study with the functions that some options name, and the other options, fields of the protocol.

    Raises:
        ValueError: as `filled` does.
    """
    given = {name: value for name, value in changes.items() if name in study.slots}
    return filled(study, given), {name: value for name, value in changes.items() if name not in given}


def filled(study: Study, given: Mapping[str, Any]) -> Study:
    """Return the study with functions of its users in its slots.

    Args:
        study: the study.
        given: by slot a function, or several: each an object, or its place as text, such as `"mine.py:function"`. The
            code of a file is run.

    Raises:
        ValueError: if there is no such function, it does not fit, or its name is taken.
    """
    found: dict[str, tuple[Filling, ...]] = {}
    for slot, functions in given.items():
        if slot not in study.slots:
            raise ValueError(f"{study.name} has no slot {slot!r}; it has {', '.join(study.slots) or 'none'}")
        several = functions if isinstance(functions, Sequence) and not isinstance(functions, str) else [functions]
        first = study.conditions(next(iter(study.presets.values())))[0]
        may_be_class = study.slots[slot].may_be_class
        found[slot] = tuple(_filling(slot, function, slot in first, may_be_class) for function in several)
    found = {slot: functions for slot, functions in found.items() if functions}
    if not found:
        return study
    runtime.initialise()  # before the user's code starts JAX
    names = [function.name for functions in found.values() for function in functions]
    for slot, functions in found.items():
        for function in functions:
            if function.name in study.slots[slot].taken or names.count(function.name) > 1:
                raise ValueError(f"--{slot} {function.name}: this name is taken: give the function another one")
            study.slots[slot].check(function)

    def conditions(protocol: Any) -> list[Condition]:
        own = study.conditions(protocol)
        added: dict[Any, Condition] = {}
        for slot, functions in found.items():
            for function in functions:
                for condition in own:
                    rest = {axis: value for axis, value in condition.items() if axis != slot}
                    added.setdefault((function, to_json(rest)), rest | {slot: function})
        return [*own, *added.values()]

    return replace(study, conditions=conditions, filled={slot: tuple(functions) for slot, functions in found.items()})


def _filling(slot: str, given: Any, is_axis: bool, may_be_class: bool) -> Filling:
    if isinstance(given, str):
        where, colon, name = given.rpartition(":")
        place = f"{os.path.abspath(where)}:{name}" if colon and where.endswith(".py") else given
        _, function, digest = load(place)
    else:
        place, function, digest, name = "", given, digest_of(given)[0], getattr(given, "__name__", "")
    if not callable(function) or (inspect.isclass(function) and not may_be_class):
        raise ValueError(f"--{slot} {given} is of type {type(function).__name__}: give a function")
    if not name.isidentifier():
        raise ValueError(f"--{slot} {given} has no name: give a function that is defined by def")
    return Filling(name, place, digest or uuid.uuid4().hex, digest is not None, is_axis, [function])
