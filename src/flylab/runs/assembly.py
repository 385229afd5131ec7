"""One data set from many members, each put in its place as it comes: memory is that of the result."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from flylab.base.units import attach_units
from flylab.runs.content import Content

Place = Mapping[str, Any]  # one label for each outer dimension, the seed among them


def assemble(members: Iterable[tuple[Place, Content]], places: Iterable[Place]) -> xr.Dataset:
    """Return one data set over the places of all members.

    Where a sparse design has no member, or where a member is shorter than another (in test examples, say), values are
    missing: NaN, or in integers the code of `missing`.

    Args:
        members: read one by one.
        places: of all members, in the order that coordinates are to have.

    Raises:
        ValueError: if a member has a dimension with the name of an axis.
    """
    index: dict[str, dict[Any, int]] = {}
    for place in places:
        for name, label in place.items():
            labels = index.setdefault(name, {})
            labels.setdefault(label, len(labels))
    sizes: dict[str, int] = {}
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    attrs: dict[str, dict[str, Any]] = {}
    layouts: dict[Any, dict[str, Any]] = {}  # what members of one form share, found once

    def shape(dims: Iterable[str]) -> tuple[int, ...]:
        return tuple(len(index[dim]) if dim in index else sizes[dim] for dim in dims)

    for place, content in members:
        key = _form(place, content)
        if key not in layouts:
            layouts[key] = _positions(place, content, index, sizes)
            attrs |= content.attrs
            for name, (inner, values) in content.variables.items():
                dims = (*place, *inner)
                _, array = arrays.get(name, (dims, None))
                to = shape(dims), values.dtype
                arrays[name] = dims, _empty(*to) if array is None else _fitting(array, *to)
        at = tuple(index[dim][label] for dim, label in place.items())
        for name, (_, values) in content.variables.items():
            arrays[name][1][(*at, *layouts[key][name])] = values
    arrays = {name: (dims, _fitting(array, shape(dims), array.dtype)) for name, (dims, array) in arrays.items()}
    data = xr.Dataset(arrays, {name: list(labels) for name, labels in index.items()})
    for name, values in attrs.items():
        if name in data.variables:
            data[name].attrs |= values
    return attach_units(data)


def missing(dtype: np.dtype) -> Any:
    """Return the value that stands for a missing one: NaN, the largest unsigned or the least signed integer, or "".

    >>> missing(np.dtype("uint8"))
    255
    """
    if dtype.kind in "iu":
        return np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min
    return "" if dtype.kind in "US" else np.nan


def _form(place: Place, content: Content) -> Any:
    """What tells members apart that need other positions or arrays."""
    coords = tuple((name, labels.tobytes()) for name, labels in content.coords.items())
    shapes = tuple((name, dims, values.shape, values.dtype) for name, (dims, values) in content.variables.items())
    return tuple(place), coords, shapes


def require_free(place: Place, content: Content) -> None:
    """Refuse axes that have the name of a variable, or of a dimension, that the members have themselves.

    Raises:
        ValueError: naming it.
    """
    own = {name for variable, (dims, _) in content.variables.items() for name in (variable, *dims)}
    if clash := [name for name in place if name in own]:
        raise ValueError(f"results have {clash[0]} of their own; it cannot be an axis as well: rename it")


def _positions(place: Place, content: Content, index: dict[str, dict[Any, int]], sizes: dict[str, int]):
    """Enlarge `index` and `sizes` by a member's own dimensions, and return where its values go, by variable."""
    require_free(place, content)
    for name, labels in content.coords.items():
        known = index.setdefault(name, {})
        for label in labels.tolist():
            known.setdefault(label, len(known))
    positions = {}
    for name, (dims, values) in content.variables.items():
        rows = []
        for dim, n in zip(dims, values.shape, strict=True):
            sizes[dim] = max(n, sizes.get(dim, 0))
            labels = content.coords.get(dim)
            rows.append(range(n) if labels is None else [index[dim][label] for label in labels.tolist()])
        positions[name] = tuple(slice(0, len(r)) for r in rows) if _are_first(rows) else np.ix_(*rows)
    return positions


def _are_first(rows: list) -> bool:
    return all(list(row) == list(range(len(row))) for row in rows)


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    dtype = np.dtype("uint8") if dtype.kind == "b" else dtype  # 255 is missing
    return np.full(shape, missing(dtype), dtype)


def _fitting(array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The array, larger or of a wider type where a member needs it."""
    wider = np.result_type(array.dtype, dtype)
    if array.shape == shape and wider == array.dtype:
        return array
    grown = _empty(shape, wider)
    part = tuple(map(slice, array.shape))
    grown[part] = array
    if wider != array.dtype and array.dtype.kind in "iu":
        grown[part][array == missing(array.dtype)] = missing(wider)
    return grown
