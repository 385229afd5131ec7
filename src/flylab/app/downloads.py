"""The playground's downloads: data, weights and results, as the bytes of files."""

import tempfile
from pathlib import Path

import jax
import numpy as np
import xarray as xr

from flylab.adapters.weights import state_dict
from flylab.app.background import Training
from flylab.app.settings import as_python, splits
from flylab.base import netcdf
from flylab.base.optional import need
from flylab.base.units import attach_units
from flylab.data import MNIST1D, formats


def data(config: MNIST1D) -> bytes:
    """Return the data set as npz, which `flylab.data.load` reads."""
    with tempfile.TemporaryDirectory() as folder:
        return formats.save(Path(folder) / "mnist1d.npz", splits(config)).read_bytes()


def weights(training: Training) -> bytes:
    """Return all networks' weights as safetensors, named as in PyTorch: `model.seed.layer.weight`.

    Layers that PyTorch does not have keep flylab's names.

    Raises:
        MissingExtraError: if safetensors is not installed.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, population in training.populations.items():
        for i in range(training.settings.n_seeds):
            params = jax.tree.map(lambda leaf, i=i: leaf[0, i], population.params)
            try:
                named = state_dict(params)
            except ValueError:  # a layer that PyTorch does not have
                leaves = jax.tree_util.tree_leaves_with_path(params)
                named = {".".join(str(getattr(key, "key", key)) for key in path): leaf for path, leaf in leaves}
            arrays |= {f"{name}.{i}.{key}": np.ascontiguousarray(value) for key, value in named.items()}
    return need("safetensors.numpy", "data", "weights").save(arrays, {"made_by": as_python(training.settings)})


def results(training: Training) -> bytes:
    """Return curves and predictions as netCDF; the attribute `program` is the Python that reproduces them."""
    parts = {
        name: population.results.squeeze("learning_rate", drop=True)
        for name, population in training.populations.items()
    }
    joined = xr.concat(list(parts.values()), xr.DataArray(list(parts), dims="model", name="model"))
    return netcdf.encoded(attach_units(joined).assign_attrs(program=as_python(training.settings)))
