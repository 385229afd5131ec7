"""One labelled data set from many small ones, each put in its place as it comes: memory is that of the result."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from flylab.base.units import attach_units

Place = Mapping[str, Any]  # one value for each outer dimension, the seed among them


def assemble(parts: Iterable[tuple[Place, xr.Dataset]], places: Iterable[Place]) -> xr.Dataset:
    """One labelled data set; places that a sparse design lacks are NaN (255 in whole numbers).

    Likewise what a part lacks where another one is longer, e.g. in test examples.

    Args:
        parts: each with one seed. They are read one by one.
        places: of all parts, in the order that coordinates are to have.

    Raises:
        ValueError: if a part has a dimension that is called as one of its place.
    """
    index: dict[str, dict[Any, int]] = {}
    for place in places:
        for name, value in place.items():
            own = index.setdefault(name, {})
            own.setdefault(value, len(own))
    longest: dict[str, int] = {}
    arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}

    def shape(dims: Iterable[str]) -> tuple[int, ...]:
        return tuple(len(index[dim]) if dim in index else longest[dim] for dim in dims)

    for place, data in parts:
        inner = {str(name): data[name].values.tolist() for name in data.coords if name not in place}
        if clash := [name for name in place if name != "seed" and name in data.dims]:
            raise ValueError(f"results have a dimension {clash[0]} of their own; it cannot be an axis as well")
        for name, values in inner.items():
            own = index.setdefault(name, {})
            for value in values:
                own.setdefault(value, len(own))
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
    return attach_units(xr.Dataset(arrays, {name: list(own) for name, own in index.items()}))


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.full(shape, 255 if dtype.kind == "u" else np.nan, dtype)


def _grown(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    grown = _empty(shape, array.dtype)
    grown[tuple(map(slice, array.shape))] = array
    return grown
