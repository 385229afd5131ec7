"""The content of a member as bytes: safetensors, with dimensions, text and attributes as JSON in its metadata."""

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from safetensors.numpy import load, save

from flylab.base.bounds import text_array


class DamagedError(ValueError):
    """Content that does not match its digest, or that cannot be read."""


class Content(NamedTuple):
    """The results of one member, without xarray, which takes a millisecond for each small data set.

    Attributes:
        variables: name → dimensions and values.
        coords: dimension → its labels.
        attrs: units and titles, by variable.
    """

    variables: dict[str, tuple[tuple[str, ...], np.ndarray]]
    coords: dict[str, np.ndarray]
    attrs: dict[str, dict[str, Any]]

    def to_dataset(self) -> xr.Dataset:
        """Return the content as a data set."""
        coords = {name: ((name,), labels, self.attrs.get(name, {})) for name, labels in self.coords.items()}
        variables = {name: (dims, values, self.attrs.get(name, {})) for name, (dims, values) in self.variables.items()}
        return xr.Dataset(variables, coords)


def from_dataset(data: xr.Dataset) -> Content:
    """Return a data set without a dimension `seed` as content."""
    return next(split_by_seed(data.expand_dims(seed=[0]), [0]))


def split_by_seed(results: xr.Dataset, seeds: Sequence[int]) -> Iterator[Content]:
    """Yield the content of each seed's member, in the order of `seeds`.

    Args:
        results: variables over `seed` and other dimensions.
        seeds: labels of `seed`.
    """
    rows = {label: row for row, label in enumerate(results.seed.values.tolist())}
    coords = {str(name): results.variables[name].values for name in results.coords if name in results.dims}
    coords.pop("seed")
    attrs = {str(name): dict(variable.attrs) for name, variable in results.variables.items() if variable.attrs}
    attrs.pop("seed", None)
    arrays = []
    for name in results.data_vars:
        variable = results.variables[name]
        has_seed = "seed" in variable.dims
        ordered = variable.transpose("seed", ...) if has_seed else variable
        dims = tuple(str(dim) for dim in ordered.dims if dim != "seed")
        arrays.append((str(name), dims, ordered.values, has_seed))
    for seed in seeds:
        row = rows[seed]
        variables = {name: (dims, values[row] if has_seed else values) for name, dims, values, has_seed in arrays}
        yield Content(variables, coords, attrs)


def encode(content: Content) -> bytes:
    """Return content as safetensors bytes.

    Raises:
        ValueError: if a variable is neither numbers nor booleans nor text.

    >>> encoded = encode(Content({"loss": (("step",), np.ones(2, "float32"))}, {"step": np.array([0, 5])}, {}))
    >>> decode(encoded).coords["step"].tolist()
    [0, 5]
    """
    tensors: dict[str, np.ndarray] = {}
    layout: dict[str, Any] = {"dims": {}, "text": {}, "attrs": content.attrs}
    strings: dict[str, Any] = {}
    for name, labels in content.coords.items():
        if labels.dtype.kind in "OUT":
            layout["text"][name] = labels.astype(str).tolist()
        else:
            tensors[f"coord:{name}"] = labels
    for name, (dims, values) in content.variables.items():
        layout["dims"][name] = dims
        if values.dtype.kind in "OUT":
            strings[name] = [values.shape, _texts(name, values)]
        elif values.dtype.kind in "biuf" and values.dtype.itemsize <= 8:
            tensors[name] = np.asarray(values, order="C")
        else:
            raise ValueError(f"the variable {name!r} of the results is {values.dtype}: give numbers, booleans or text")
    if strings:
        layout["strings"] = strings
    return save(tensors, {"flylab": json.dumps(layout, sort_keys=True, separators=(",", ":"))})


def _texts(name: str, values: np.ndarray) -> list[str]:
    texts = values.ravel().tolist()
    if kinds := {type(value).__name__ for value in texts if not isinstance(value, str)}:
        raise ValueError(f"the variable {name!r} of the results holds {kinds.pop()}: give numbers, booleans or text")
    return texts


def decode(data: bytes) -> Content:
    """Return the content that `encode` wrote.

    Raises:
        DamagedError: if the bytes have another form.
    """
    try:
        layout = _layout(data[8 : 8 + int.from_bytes(data[:8], "little")])
        tensors = load(data)
        for name, (shape, texts) in layout.get("strings", {}).items():
            tensors[name] = text_array(texts, len(data)).reshape(shape)
        variables = {name: (tuple(dims), tensors[name]) for name, dims in layout["dims"].items()}
        coords = {name: text_array(labels, len(data)) for name, labels in layout["text"].items()}
        coords |= {name.removeprefix("coord:"): t for name, t in tensors.items() if name.startswith("coord:")}
    except Exception as error:  # whatever a damaged header makes json, safetensors or NumPy raise
        raise DamagedError(f"the content cannot be read ({type(error).__name__})") from None
    return Content(variables, coords, dict(layout["attrs"]))


@functools.lru_cache(maxsize=64)  # members of one condition have the same header
def _layout(header: bytes) -> dict[str, Any]:
    return json.loads(json.loads(header)["__metadata__"]["flylab"])


def digest(name: str, data: bytes) -> bytes:
    """Return the SHA-256 of a member's name and encoded content."""
    return hashlib.sha256(name.encode() + data).digest()


def verified(name: str, data: bytes, expected: bytes) -> Content:
    """Return the content of a member, if name and bytes have the expected digest.

    Raises:
        DamagedError: if they do not, or the content cannot be read.
    """
    if type(name) is not str or type(data) is not bytes or digest(name, data) != expected:
        raise DamagedError("the content does not match its digest")
    return decode(data)
