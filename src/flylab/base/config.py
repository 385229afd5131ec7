"""Frozen dataclasses ↔ canonical JSON: the same value always gives the same text, and so the same fingerprint."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import sys
import types
import typing
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


@functools.cache
def hints(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    return typing.get_type_hints(kind)


def plain(value: Any) -> Any:
    """A config value as what JSON knows: dataclasses become objects, tuples and arrays lists, NumPy scalars numbers.

    A whole number in a field declared `float` becomes a float, so that 1 and 1.0 are the same config.

    Raises:
        TypeError: for anything else, naming it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kinds = hints(type(value))
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
        ValueError: if it is no JSON, or of something else.
    """
    try:
        found = _build(kind, json.loads(text))
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"this is no {kind.__name__}: {error}") from None
    if not isinstance(found, kind):
        raise ValueError(f"this is no {kind.__name__}, but {type(found).__name__}")
    return found


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


def flat_fields(config: Any) -> dict[str, tuple[str, Any]]:
    """Every field of a config and of the configs in it: name → (the config's own field it is in, or "", its type)."""
    found = {}
    for name, kind in hints(type(config)).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            found |= {inner: (name, inner_kind) for inner, inner_kind in hints(type(value)).items()}
        else:
            found[name] = ("", kind)
    return found


def override_flat(config: T, changes: dict[str, Any]) -> T:
    """`override`, also of the fields of configs in it, with values checked against the fields' types.

    Raises:
        ValueError: for an unknown field, a value of a wrong type, or one that is not allowed.
    """
    known = flat_fields(config)
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"{name!r} is not a field of the protocol; it has {', '.join(known)}")
        within, kind = known[name]
        (nested.setdefault(within, {}) if within else own)[name] = conform(name, value, kind)
    own |= {name: override(getattr(config, name), **inner) for name, inner in nested.items()}
    return override(config, **own)


def conform(name: str, value: Any, kind: Any) -> Any:
    """A value as a field of this type has it: lists become tuples, whole numbers floats where a float is asked for.

    Raises:
        ValueError: if it is of another type.

    >>> conform("n_steps", 2.5, int)
    Traceback (most recent call last):
    ValueError: n_steps=2.5 is not allowed: give a whole number
    """
    wanted = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "nothing"}
    if kind in wanted:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = is_number and abs(value) <= sys.float_info.max if kind is float else type(value) is kind
        if not fits:
            raise ValueError(f"{name}={shown(value)} is not allowed: give {wanted[kind]}")
        return float(value) if kind is float else value
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        if value not in options:
            raise ValueError(f"{name}={shown(value)} is not allowed: give one of {', '.join(map(str, options))}")
        return value
    if origin in (typing.Union, types.UnionType):
        for option in options:
            with contextlib.suppress(ValueError):
                return conform(name, value, option)
        raise ValueError(f"{name}={shown(value)} is not allowed: give {' or '.join(map(_said, options))}")
    if origin is tuple:
        if isinstance(value, str) and options[1:] == (...,):  # one name is as good as a list of it
            value = (value,)
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name}={shown(value)} is not allowed: give a list")
        if len(options) == 2 and options[1] is ...:
            return tuple(conform(name, item, options[0]) for item in value)
        if len(value) != len(options):
            raise ValueError(f"{name}={shown(value)} is not allowed: give {len(options)} values")
        return tuple(conform(name, item, option) for item, option in zip(value, options, strict=True))
    if isinstance(kind, type) and kind is not Any and not isinstance(value, kind):
        raise ValueError(f"{name}={shown(value)} is not allowed here: it needs {_said(kind)}")
    return value


def shown(value: Any) -> str:
    """A value as an error shows it: one line, not too long."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python prints
        text = "a number that is too large"
    return text if len(text) <= 200 else f"{text[:200]}…"


def _said(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _build(kind: Any, value: Any) -> Any:
    options = [kind, *typing.get_args(kind)]
    target: Any = next((option for option in options if dataclasses.is_dataclass(option)), None)
    if target is not None and isinstance(value, dict):
        kinds = hints(target)
        if unknown := set(value) - set(kinds):
            raise ValueError(f"{sorted(unknown)} are not fields of {target.__name__}")
        return target(**{name: _build(kinds[name], item) for name, item in value.items()})
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
