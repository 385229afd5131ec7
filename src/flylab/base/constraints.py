"""Constraints in annotations, checked by msgspec, with one pattern of errors: `n_steps=0 must be an integer ≥ 1`."""

import functools
import math
import os
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

MOST = 2**31 - 1  # arrays are indexed by 32 bits on devices
_GUARD = 10**7  # an upper bound from here on only protects the machine: errors name it only where it is exceeded

PositiveInt = Annotated[int, Meta(ge=1, le=MOST)]
NonNegativeInt = Annotated[int, Meta(ge=0, le=MOST)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]

_WORDS: dict[Any, str] = {
    int: "an integer", float: "a number", str: "a string", bool: "True or False", type(None): "None",
    Mapping: "a mapping", Callable: "a function", os.PathLike: "a path",
}  # fmt: skip
_PLURALS = {
    "a list of": "lists of", "an integer": "integers", "a number": "numbers", "a finite number": "finite numbers",
    "a string": "strings", "one of": "any of",
}  # fmt: skip
_PLAIN = (int, float, str, bool, type(None), tuple, Literal, Mapping)  # msgspec converts these; others are classes


class Checked:
    """A base of frozen dataclasses that converts and checks every field by its annotation.

    NumPy's numbers and arrays, lists and ranges become plain numbers and tuples; an integer in a field of type `float`
    becomes a float. Floats must be finite, as JSON has no others. For a tuple of strings a single string may be given.

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """

    def __post_init__(self) -> None:
        for name, kind in annotations(type(self)).items():
            object.__setattr__(self, name, check(name, getattr(self, name), kind))

    def _require(self, holds: bool, name: str, wanted: str) -> None:
        """Refuse the field's value unless a relation between fields holds."""
        if not holds:
            raise refusal(name, getattr(self, name), wanted)


@functools.cache
def annotations(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields, with their constraints."""
    return typing.get_type_hints(kind, include_extras=True)


def check(name: str, value: Any, kind: Any) -> Any:
    """Return a value as a field of this type holds it.

    Raises:
        ValueError: naming the field, or the element of it, its value and what is allowed.

    >>> check("widths", [1, 2], tuple[PositiveInt, ...])
    (1, 2)
    >>> check("widths", [1, 2.5], tuple[PositiveInt, ...] | None)
    Traceback (most recent call last):
    ValueError: widths[1]=2.5 must be an integer ≥ 1
    """
    for option in _options(kind):
        try:
            return _converted(value, option)
        except (msgspec.ValidationError, ValueError, TypeError, OverflowError, RecursionError):
            continue
    if isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping):
        for option in _options(kind):  # the first element that is wrong, if that is the reason
            for i, (item, inner) in enumerate(zip(value, _elements(option, len(value)), strict=False)):
                check(f"{name}[{i}]", item, inner)
    raise refusal(name, value, " or ".join(_words(option, value) for option in _options(kind)))


def refusal(name: str, value: Any, wanted: str) -> ValueError:
    """Return the error for an invalid value."""
    return ValueError(f"{name}={shown(value)} must be {wanted}")


def shown(value: Any) -> str:
    """Return a value as an error shows it: one line, not too long."""
    try:
        text = repr(value.tolist() if getattr(value, "ndim", None) == 0 else value)
    except (ValueError, TypeError, RecursionError):  # more digits than Python prints, a traced array, nested lists
        text = f"({type(value).__name__} too large to print)"
    return text if len(text) <= 200 else f"{text[:200]}…"


def bases(kind: Any) -> tuple[Any, ...]:
    """Return the alternatives of a type without their constraints.

    >>> bases(PositiveInt | None)
    (<class 'int'>, <class 'NoneType'>)
    """
    return tuple(_parts(option)[0] for option in _options(kind))


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _parts(kind: Any) -> tuple[Any, tuple[Any, ...], Meta]:
    """Return a type's base, its arguments and its constraints."""
    meta = Meta()
    if typing.get_origin(kind) is Annotated:
        meta = next((extra for extra in kind.__metadata__ if isinstance(extra, Meta)), meta)
        kind = kind.__origin__
    return typing.get_origin(kind) or kind, typing.get_args(kind), meta


def _elements(kind: Any, n: int) -> tuple[Any, ...]:
    """Return the types of a tuple's n elements; none where the type is no tuple of so many."""
    base, inner, _ = _parts(kind)
    if base is not tuple:
        return ()
    return inner[:1] * n if inner[1:] == (...,) else inner if len(inner) == n else ()


def _converted(value: Any, kind: Any) -> Any:
    base, *_ = _parts(kind)
    if base is Any:
        return value
    if base not in _PLAIN:
        if not isinstance(value, base):
            raise TypeError
        return value
    return msgspec.convert([value] if base is tuple and isinstance(value, str) else _plain(value), kind)


def _plain(value: Any) -> Any:
    """Return numbers and collections from Python, NumPy and JAX as finite numbers and lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    index = getattr(value, "__index__", None)
    return index() if index and not isinstance(value, bool) else value


def _words(kind: Any, value: Any) -> str:
    base, inner, meta = _parts(kind)
    if meta.description:
        return meta.description
    if base is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if base is tuple:
        n = f"{len(inner)} " if ... not in inner else "a non-empty list of " if meta.min_length else "a list of "
        words = _words(inner[0], None) if ... in inner else _WORDS[bases(inner[0])[0]]
        return n + functools.reduce(lambda text, one: text.replace(one, _PLURALS[one], 1), _PLURALS, words)
    words = _WORDS.get(base, getattr(base, "__name__", str(base)))
    bounds = _bounds(meta, value)
    is_infinite = isinstance(value, float) and not math.isfinite(value)
    return (words.replace("a number", "a finite number") if is_infinite or not bounds else words) + bounds


def _bounds(meta: Meta, value: Any) -> str:
    is_above = isinstance(value, int | float) and meta.le is not None and value > meta.le
    most = meta.le if meta.le is not None and (meta.le < _GUARD or is_above) else None
    if meta.ge is not None and most is not None:
        return f" from {meta.ge} to {most}"
    signs = {"≥": meta.ge, ">": meta.gt, "≤": most, "<": meta.lt}
    return " and".join(f" {sign} {bound}" for sign, bound in signs.items() if bound is not None)
