"""Assembly of one data set from those of all members, read one by one, so that memory is that of the result."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from flylab.base.units import attach_units

Place = Mapping[str, Any]  # a value for each outer dimension, including the seed


def assemble(parts: Iterable[tuple[Place, xr.Dataset]], places: Iterable[Place]) -> xr.Dataset:
    """Assemble data sets into one, with coordinates and units.

    Where a place has no data, or data shorter than elsewhere, values are NaN, or 255 in unsigned integers.

    Args:
        parts: the place and the data set of each member, with one seed. They are read one by one.
        places: the places of all parts, in the order of the coordinates.

    Raises:
        ValueError: if a part has a dimension of its own with the name of an axis.
    """
    index: dict[str, dict[Any, int]] = {}
    for place in places:
        for name, value in place.items():
            positions = index.setdefault(name, {})
            positions.setdefault(value, len(positions))
    longest: dict[str, int] = {}
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}

    def shape(dims: Iterable[str]) -> tuple[int, ...]:
        return tuple(len(index[dim]) if dim in index else longest[dim] for dim in dims)

    for place, data in parts:
        inner = {str(name): data[name].values.tolist() for name in data.coords if name not in place}
        if clash := [name for name in place if name != "seed" and name in data.dims]:
            raise ValueError(f"the results have a dimension {clash[0]!r} already: it cannot be an axis as well")
        for name, values in inner.items():
            positions = index.setdefault(name, {})
            for value in values:
                positions.setdefault(value, len(positions))
        for dim, n in data.sizes.items():
            longest[str(dim)] = max(n, longest.get(str(dim), 0))
        for name, variable in data.squeeze("seed", drop=True).data_vars.items():
            dims = (*place, *(str(dim) for dim in variable.dims))
            if str(name) not in arrays:
                arrays[str(name)] = dims, _empty(shape(dims), variable.dtype)
            elif arrays[str(name)][1].shape != shape(dims):
                arrays[str(name)] = dims, _grown(arrays[str(name)][1], shape(dims))
            at = tuple(index[dim][value] for dim, value in place.items())
            rows = [
                [index[str(d)][v] for v in inner[str(d)]] if d in inner else range(n) for d, n in variable.sizes.items()
            ]
            arrays[str(name)][1][(*at, *np.ix_(*rows))] = variable.values
    arrays = {
        name: (dims, array if array.shape == shape(dims) else _grown(array, shape(dims)))
        for name, (dims, array) in arrays.items()
    }
    return attach_units(xr.Dataset(arrays, {name: list(positions) for name, positions in index.items()}))


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.full(shape, 255 if dtype.kind == "u" else np.nan, dtype)


def _grown(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    grown = _empty(shape, array.dtype)
    grown[tuple(map(slice, array.shape))] = array
    return grown
