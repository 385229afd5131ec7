"""Frozen dataclasses ↔ canonical JSON: the same value always gives the same text, and so the same fingerprint."""

import dataclasses
import functools
import hashlib
import json
from typing import Any, TypeVar

import numpy as np

from flylab.base.constraints import annotations, bases

T = TypeVar("T")
_JSON = {type(None), bool, int, float, str}


def plain(value: Any) -> Any:
    """Return a config value as JSON has it: dataclasses become objects, tuples and arrays lists, NumPy scalars numbers.

    An integer in a field declared `float` becomes a float, so that 1 and 1.0 are the same config.

    Raises:
        TypeError: for anything else, naming it.
    """
    if type(value) in _JSON:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            name: plain(float(item) if is_float else item)
            for name, is_float in _fields(type(value))
            for item in [getattr(value, name)]
        }
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list | np.ndarray | range):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, int | float | str):  # of a class of its own, such as an enum's
        return value
    raise TypeError(f"{value!r} cannot stand in a config: give numbers, text, tuples or frozen dataclasses")


@functools.cache
def _fields(kind: type) -> list[tuple[str, bool]]:
    """Return the names of a dataclass's fields, and whether each is declared `float`."""
    kinds = annotations(kind)
    return [(field.name, bases(kinds[field.name]) == (float,)) for field in dataclasses.fields(kind)]


def to_json(config: Any) -> str:
    """Return canonical JSON: sorted names, no spaces, every field, defaults included.

    >>> to_json({"b": 1, "a": (1.0, None)})
    '{"a":[1.0,null],"b":1}'
    """
    return json.dumps(plain(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_json(kind: type[T], text: str) -> T:
    """Return the dataclass of `kind` that `to_json` wrote.

    Raises:
        ValueError: if the text is not JSON, or not of this dataclass.
    """
    try:
        config = _build(kind, json.loads(text))
    except (TypeError, RecursionError) as error:
        raise ValueError(f"this is no {kind.__name__}: {error}") from None
    if not isinstance(config, kind):
        raise ValueError(f"this is no {kind.__name__}, but {type(config).__name__}")
    return config


def fingerprint(config: Any, length: int = 12) -> str:
    """Return the first hexadecimal digits of the SHA-256 of the canonical JSON.

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1}) != fingerprint({"a": 2})
    True
    """
    return hashlib.sha256(to_json(config).encode()).hexdigest()[:length]


def override(config: T, **changes: Any) -> T:
    """`dataclasses.replace` with an error that lists the fields.

    Raises:
        ValueError: for an unknown field, or an invalid value.
    """
    known = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            raise ValueError(f"{name!r} is not a field of {type(config).__name__}; it has {', '.join(known)}")
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def flat_fields(config: Any) -> dict[str, tuple[str, Any]]:
    """Return the fields of a config and of the configs in it: name → (the field that holds it, or "", and its type)."""
    fields = {}
    for name, kind in annotations(type(config)).items():
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            fields |= {inner: (name, inner_kind) for inner, inner_kind in annotations(type(value)).items()}
        else:
            fields[name] = ("", kind)
    return fields


def override_flat(config: T, changes: dict[str, Any]) -> T:
    """Override fields of a config and of the configs nested in it, all by their plain names.

    Raises:
        ValueError: for an unknown field, or an invalid value.
    """
    known = flat_fields(config)
    by_owner: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"{name!r} is not a field of the protocol; it has {', '.join(known)}")
        by_owner.setdefault(known[name][0], {})[name] = value
    fields = by_owner.pop("", {})
    return override(
        config, **fields, **{name: override(getattr(config, name), **inner) for name, inner in by_owner.items()}
    )


def _build(kind: Any, value: Any) -> Any:
    """Return a value from JSON; an object where a dataclass is declared becomes that dataclass."""
    target: Any = next((option for option in bases(kind) if dataclasses.is_dataclass(option)), None)
    if target is not None and isinstance(value, dict):
        kinds = annotations(target)
        if unknown := set(value) - set(kinds):
            raise ValueError(f"{sorted(unknown)} are not fields of {target.__name__}")
        return target(**{name: _build(kinds[name], item) for name, item in value.items()})
    return value
