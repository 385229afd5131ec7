"""What the playground gives away: data, weights, results, as the content of files."""

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
    """The data set as npz, for `flylab.data.load`."""
    with tempfile.TemporaryDirectory() as folder:
        return formats.save(Path(folder) / "mnist1d.npz", splits(config)).read_bytes()


def weights(training: Training) -> bytes:
    """All networks' weights by PyTorch's names, as safetensors: `model.seed.layer.weight`; those of other layers flat.

    Raises:
        MissingExtraError: without safetensors.
    """
    found: dict[str, np.ndarray] = {}
    for name, population in training.populations.items():
        for i in range(training.settings.n_seeds):
            params = jax.tree.map(lambda leaf, i=i: leaf[0, i], population.params)
            try:
                own = state_dict(params)
            except ValueError:  # a layer that PyTorch has not
                leaves = jax.tree_util.tree_leaves_with_path(params)
                own = {".".join(str(getattr(key, "key", key)) for key in path): leaf for path, leaf in leaves}
            found |= {f"{name}.{i}.{key}": np.ascontiguousarray(value) for key, value in own.items()}
    return need("safetensors.numpy", "data", "weights").save(found, {"made_by": as_python(training.settings)})


def results(training: Training) -> bytes:
    """Curves and predictions as netCDF, with the program that makes them among the attributes."""
    parts = {name: one.results.squeeze("learning_rate", drop=True) for name, one in training.populations.items()}
    joined = xr.concat(list(parts.values()), xr.DataArray(list(parts), dims="model", name="model"))
    return netcdf.encoded(attach_units(joined).assign_attrs(program=as_python(training.settings)))
