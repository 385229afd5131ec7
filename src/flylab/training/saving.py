"""Populations in safetensors files: arrays by name, and in the metadata what they mean, as JSON.

A file holds no code. The structure of the parameters is that which the model gives them, so the model has to be known:
one of the registry is built by its name and sizes.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import xarray as xr
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from flylab.base.bounds import check_memory
from flylab.base.config import plain
from flylab.base.files import read_bytes, user_path, write_atomic
from flylab.base.types import Params
from flylab.models import Model, get_model
from flylab.models.registry import named
from flylab.training.inputs import as_axes, as_objective
from flylab.training.networks import Population
from flylab.training.objectives import Objective, predict_of, supervised

METADATA = "flylab.population"
EXAMPLES = {"numbers": "regression(model)", "flags": "multilabel(model)"}


class _Layout(msgspec.Struct, forbid_unknown_fields=True):
    """What a file's arrays mean: `model` is a registered model's name and sizes, `dims` the results' dimensions."""

    axes: dict[str, list[int | float]]
    hparams: dict[str, int | float]
    key: tuple[str, list[int]]
    model: tuple[str, dict[str, Any]] | None
    config: dict[str, Any]
    dims: dict[str, list[str]]
    n_saved: int
    targets: str = "classes"


def save(path: str | Path, population: Population) -> Path:
    """Write a population, see `Population.save`."""
    path = user_path(path)
    write_atomic(path, encode(population))
    return path


def load(path: str | Path, model: Objective | Model | None) -> Population:
    """Read a population, see `Population.load`."""
    path = user_path(path)
    return decode(read_bytes(path), model, str(path))


def encode(population: Population) -> bytes:
    """Return a population as the bytes of a safetensors file."""
    results, key = population.results, population.key
    for axis, labels in population.axes.items():
        if not labels or len({*labels}) < len(labels):
            raise ValueError(f"a population to save must have different labels along {axis}, at least one: {labels}")
    arrays = {f"results:{name}": variable.values for name, variable in results.variables.items()}
    for place, params in _trees(population):
        arrays |= {f"{place}{name}": np.asarray(leaf) for name, leaf in _leaves(params)}
    layout = _Layout(
        axes=plain(population.axes), hparams=plain(population.hparams), config=population.config,
        key=(str(jax.random.key_impl(key)), np.asarray(jax.random.key_data(key)).tolist()),
        model=registered(population.objective), targets=population.objective.targets,
        n_saved=len(population.saved_params),
        dims={str(name): [*map(str, variable.dims)] for name, variable in results.variables.items()},
    )  # fmt: skip
    metadata = {METADATA: msgspec.json.encode(layout).decode()}
    return save_arrays({name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata)


def decode(data: bytes, model: Objective | Model | None, place: str = "this") -> Population:
    """Return the population that `encode` made bytes of; errors name the place where they are from."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        layout = msgspec.json.decode(header["__metadata__"][METADATA], type=_Layout)
        arrays = load_arrays(data)
        key = jax.random.wrap_key_data(jnp.array(layout.key[1], jnp.uint32), impl=layout.key[0])
        results, hparams = _results(layout, arrays), _checked(layout)
    except Exception as error:  # whatever a damaged header makes json, safetensors, NumPy or JAX raise
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{place} is no population that flylab has saved ({reason[:200]})") from None
    if model is None and layout.model is None:
        raise ValueError(f"{place} is of a model that has no name: give it, Population.load(path, model=…)")
    try:
        objective = as_objective(model) if model is not None else _named(*layout.model, len(data))  # pyright: ignore
        shapes = jax.eval_shape(objective.init, key, hparams)
    except Exception as error:  # whatever sizes that are no sizes make a model raise
        if model is not None:
            raise
        raise ValueError(f"{place} is of a model that cannot be built ({str(error)[:200]})") from None
    if objective.targets != layout.targets:
        raise ValueError(f"{place} is of an objective that learns {layout.targets}: give that, such as "
                         f"Population.load(path, {EXAMPLES.get(layout.targets, 'objective')})")  # fmt: skip
    trees = [_tree(place, layout, arrays, which, shapes) for which in _places(layout.n_saved)]
    return Population(trees[0], results, tuple(trees[1:]), layout.axes, layout.hparams, objective, key, layout.config)


def _checked(layout: _Layout) -> dict[str, np.float32]:
    """Return the first member's hyper-parameters, if axes and what members share are those of a population."""
    every = {name: [value] for name, value in layout.hparams.items()} | layout.axes
    axes, _ = as_axes(every)
    return {name: np.float32(labels[0]) for name, labels in axes.items() if name != "seed"}


def _places(n_saved: int) -> list[str]:
    return ["params:", *(f"saved_params.{i}:" for i in range(n_saved))]


def _trees(population: Population) -> list[tuple[str, Params]]:
    params = (population.params, *population.saved_params)
    return [*zip(_places(len(population.saved_params)), params, strict=True)]


def _leaves(params: Params) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree.flatten_with_path(params)[0]]


def registered(objective: Objective) -> tuple[str, dict[str, Any]] | None:
    """Return by what name and sizes an objective's predictions can be had again."""
    model = objective.model
    if objective.targets != "classes" or not isinstance(model, Model) or objective.predict is not predict_of(model):
        return None
    known = named(model)
    try:
        return None if known is None else (known[0], plain(known[1]))
    except TypeError:  # a function among its sizes
        return None


def _named(name: str, sizes: dict[str, Any], n_bytes: int) -> Objective:
    listed = [value if isinstance(value, list) else [value] for value in sizes.values()]
    for size in itertools.chain.from_iterable(listed):
        if isinstance(size, int):
            check_memory(4 * size, n_bytes)
    return supervised(get_model(name, **sizes))


def _results(layout: _Layout, arrays: dict[str, np.ndarray]) -> xr.Dataset:
    variables = {name: (dims, arrays[f"results:{name}"]) for name, dims in layout.dims.items()}
    coords = {name for name in variables if name in {*layout.axes, *layout.hparams, "step"}}
    results = xr.Dataset(variables).set_coords(coords)
    for axis, labels in layout.axes.items():
        if results[axis].values.tolist() != labels:
            raise ValueError(f"the results have other labels of {axis}")
    return results


def _tree(place: str, layout: _Layout, arrays: dict[str, np.ndarray], which: str, shapes: Params) -> Params:
    """Return the parameters at a place, if they have the form that the model gives them."""
    sizes = tuple(map(len, layout.axes.values()))
    wanted = {f"{which}{name}": ((*sizes, *leaf.shape), np.dtype(leaf.dtype)) for name, leaf in _leaves(shapes)}
    there = {name: (array.shape, array.dtype) for name, array in arrays.items() if name.startswith(which)}
    for name in sorted(wanted.keys() | there.keys()):
        if there.get(name) != wanted.get(name):
            raise ValueError(
                f"{place} holds the parameters of another model: {name[:100]} has {there.get(name)} where the model "
                f"has {wanted.get(name)} (axes first)"
            )
    return jax.tree.unflatten(jax.tree.structure(shapes), [arrays[name] for name in wanted])
