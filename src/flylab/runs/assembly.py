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

    Members' own labels, such as steps, are in ascending order if those of each member are, whichever comes first, so
    that the last step is the last one for all.

    Where a sparse design has no member, or where a member is shorter than another (in test examples, say), values are
    missing: NaN, or in integers, booleans and text the code of `missing`. Each variable has a type that holds the
    values of all members and, if any is missing, tells its code from them.

    Args:
        members: read one by one.
        places: of all members, in the order that coordinates are to have.

    Raises:
        ValueError: if a member has a dimension with the name of an axis, or no type holds the values of all members.
    """
    index: dict[str, dict[Any, int]] = {}
    for place in places:
        for name, label in place.items():
            labels = index.setdefault(name, {})
            labels.setdefault(label, len(labels))
    sizes: dict[str, int] = {}
    arrays: dict[str, tuple[tuple[str, ...], _Growing]] = {}
    attrs: dict[str, dict[str, Any]] = {}
    layouts: dict[Any, dict[str, Any]] = {}  # what members of one form share, found once
    ascend: dict[str, bool] = {}  # whether a dimension of members' own has ascending labels in each member

    def shape(dims: Iterable[str]) -> tuple[int, ...]:
        return tuple(len(index[dim]) if dim in index else sizes[dim] for dim in dims)

    for place, content in members:
        key = _form(place, content)
        if key not in layouts:
            layouts[key] = _positions(place, content, index, sizes)
            for name, labels in content.coords.items():
                ascend[name] = ascend.get(name, True) and _ascend(labels)
            attrs |= content.attrs
            for name, (inner, values) in content.variables.items():
                dims, growing = arrays.setdefault(name, ((*place, *inner), _Growing(name, values.dtype)))
                growing.fit(shape(dims), values.dtype)
        at = tuple(index[dim][label] for dim, label in place.items())
        for name, (_, values) in content.variables.items():
            arrays[name][1].put((*at, *layouts[key][name]), values)
    labels = {name: [*known] for name, known in index.items()}
    orders = {name: np.argsort(labels[name]) for name, is_so in ascend.items() if is_so and not _ascend(labels[name])}
    variables: dict[str, Any] = {}
    for name in [*arrays]:
        dims, growing = arrays.pop(name)  # so that only one of them is held twice
        values = growing.finished(shape(dims))
        for axis, dim in enumerate(dims):
            values = values.take(orders[dim], axis) if dim in orders else values
        variables[name] = dims, values
    labels |= {name: [labels[name][i] for i in order] for name, order in orders.items()}
    data = xr.Dataset(variables, labels)
    for name, values in attrs.items():
        if name in data.variables:
            data[name].attrs |= values
    return attach_units(data)


def missing(dtype: np.dtype) -> Any:
    """Return the value that stands for a missing one: NaN, the largest unsigned or the least signed integer, or "".

    Booleans are held as 0 and 1 in uint8, so that 255 is missing.

    >>> missing(np.dtype("uint8"))
    255
    """
    if dtype.kind in "iu":
        return np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min
    return "" if dtype.kind in "US" else np.nan


def _ascend(labels: Any) -> bool:
    """Return whether labels are numbers in ascending order."""
    labels = np.asarray(labels)
    return labels.dtype.kind in "iuf" and bool((labels[1:] > labels[:-1]).all())


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


class _Growing:
    """An array that becomes larger, and of a wider type, as values come that need it.

    Values that happen to be the code of missing ones are remembered, so that a wider type keeps them.
    """

    def __init__(self, name: str, dtype: np.dtype) -> None:
        self._name = name
        self._array = _empty((), dtype)
        self._n_put = 0
        self._coded: list[tuple] = []  # where members stand of which a value is the code

    def fit(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        """Make room for values of a type in an array of a shape."""
        old = self._array
        dtype = _held(dtype)
        if (old.dtype.kind == "U") != (dtype.kind == "U"):
            raise ValueError(f"the variable {self._name!r} is text in one member and numbers in another")
        wider = np.result_type(old.dtype, dtype)
        if old.shape == shape and old.dtype == wider:
            return
        self._array = grown = _empty(shape, wider)
        if not self._n_put:
            return
        part = tuple(map(slice, old.shape))
        grown[part] = old
        if wider != old.dtype and old.dtype.kind in "iu":
            is_code = old == missing(old.dtype)
            self._require_exact(old[~is_code], grown[part][~is_code])
            grown[part][is_code] = missing(wider)
            for at in self._coded:
                grown[at] = old[at]
            self._coded.clear()

    def put(self, at: tuple, values: np.ndarray) -> None:
        """Put the values of a member in their place."""
        self._array[at] = values
        self._n_put += values.size
        kind = self._array.dtype.kind
        if kind in "iu" and (values == missing(self._array.dtype)).any():
            self._coded.append(at)
        elif kind == "f" and values.dtype.kind in "iu":
            self._require_exact(values, self._array[at])

    def finished(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the array in its last shape, in which no value is the code where others are missing."""
        self.fit(shape, self._array.dtype)
        if self._coded and self._n_put < self._array.size:
            kind, size = self._array.dtype.kind, self._array.dtype.itemsize
            if size == 8:
                raise ValueError(f"the variable {self._name!r} has missing values, and one that is their code, "
                                 f"{missing(self._array.dtype)}")  # fmt: skip
            self.fit(shape, np.dtype(f"{kind}{2 * size}"))
        return self._array

    def _require_exact(self, values: np.ndarray, held: np.ndarray) -> None:
        if not (held.astype(values.dtype) == values).all():  # to floats both would be rounded
            raise ValueError(f"the variable {self._name!r} has integers in one member that are not exact in the type "
                             f"of another, {held.dtype}")  # fmt: skip


def _held(dtype: np.dtype) -> np.dtype:
    """Return the type in which values of a type are held."""
    return np.dtype("uint8") if dtype.kind == "b" else dtype


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    dtype = _held(dtype)
    return np.full(shape, missing(dtype), dtype)
