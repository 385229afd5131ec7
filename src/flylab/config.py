"""Frozen dataclasses ↔ canonical JSON: the same value always gives the same text, and so the same fingerprint."""

import dataclasses
import hashlib
import json
import typing
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def plain(value: Any) -> Any:
    """A config value as what JSON knows: dataclasses become objects, tuples and arrays lists, NumPy scalars numbers.

    A whole number in a field declared `float` becomes a float, so that 1 and 1.0 are the same config.

    Raises:
        TypeError: for anything else, naming it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kinds = typing.get_type_hints(type(value))
        return {
            field.name: plain(float(item) if kinds[field.name] is float else item)
            for field in dataclasses.fields(value)
            for item in [getattr(value, field.name)]
        }
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list | np.ndarray | range):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} cannot stand in a config: give numbers, text, tuples or frozen dataclasses")


def to_json(config: Any) -> str:
    """Canonical JSON: sorted names, no spaces, every field, defaults included.

    >>> to_json({"b": 1, "a": (1.0, None)})
    '{"a":[1.0,null],"b":1}'
    """
    return json.dumps(plain(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_json(kind: type[T], text: str) -> T:
    """The dataclass of `kind` that `to_json` wrote.

    Raises:
        ValueError: if a field is unknown.
    """
    return _build(kind, json.loads(text))


def fingerprint(config: Any, length: int = 12) -> str:
    """The first hexadecimal digits of the SHA-256 of the canonical JSON.

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1}) != fingerprint({"a": 2})
    True
    """
    return hashlib.sha256(to_json(config).encode()).hexdigest()[:length]


def override(config: T, **changes: Any) -> T:
    """`dataclasses.replace` with an error that names the fields there are.

    Raises:
        ValueError: for an unknown field, and whatever the dataclass raises for a value that is not allowed.
    """
    known = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            raise ValueError(f"{name!r} is not a field of {type(config).__name__}; it has {', '.join(known)}")
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _build(kind: Any, value: Any) -> Any:
    options = [kind, *typing.get_args(kind)]
    target: Any = next((option for option in options if dataclasses.is_dataclass(option)), None)
    if target is not None and isinstance(value, dict):
        kinds = typing.get_type_hints(target)
        if unknown := set(value) - set(kinds):
            raise ValueError(f"{sorted(unknown)} are not fields of {target.__name__}")
        return target(**{name: _build(kinds[name], item) for name, item in value.items()})
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
