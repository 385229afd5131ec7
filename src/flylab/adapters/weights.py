"""The weights of a trained network for PyTorch: a `state_dict` and its safetensors file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flylab.base.files import user_path, write_atomic
from flylab.base.optional import need
from flylab.base.types import Params

_GRU = {"wi": "weight_ih", "wh": "weight_hh", "bi": "bias_ih", "bh": "bias_hh"}


def state_dict(params: Params) -> dict[str, np.ndarray]:
    """Return the parameters of a network with the names and shapes of PyTorch's layers.

    A layer's `w` and `b` become `layer.weight` and `layer.bias`. Those of `nn.Linear` keep their shape; kernels of
    `nn.Conv1d` change from `(out, kernel, in)` to `(out, in, kernel)`. A bidirectional GRU becomes the eight arrays of
    `nn.GRU`.

    Args:
        params: the parameters of one network. Of a population, choose one member first, e.g.
            `population.sel(seed=3, learning_rate=1e-2).params`.

    Raises:
        ValueError: if a parameter does not belong to a linear layer, a convolution or a GRU.

    >>> import jax
    >>> from flylab.models import get_model
    >>> {name: w.shape for name, w in state_dict(get_model("logistic").init(jax.random.key(0))).items()}
    {'weight': (10, 40), 'bias': (10,)}
    """
    arrays: dict[str, np.ndarray] = {}
    _collect(params, "", arrays)
    return arrays


def save_weights(path: str | Path, params: Params) -> Path:
    """Write `state_dict(params)` to a safetensors file, for `safetensors.torch.load_file`.

    Args:
        path: the file to write.
        params: the parameters of one network, as for `state_dict`.

    Returns:
        The path.

    Raises:
        ValueError: as `state_dict`.
        MissingExtraError: if `safetensors` is not installed.
        OSError: if the path cannot be written.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in state_dict(params).items()}
    path = user_path(path)
    write_atomic(path, need("safetensors.numpy", "data", "save_weights").save(arrays))
    return path


def _collect(tree: Params, place: str, arrays: dict[str, np.ndarray]) -> None:
    if not isinstance(tree, Mapping):
        raise ValueError(f"{place or 'params'} must be a layer's weights by name, not {type(tree).__name__}")
    inner = {name: value for name, value in tree.items() if isinstance(value, Mapping)}
    layer = {name: np.asarray(value) for name, value in tree.items() if name not in inner}
    for name, value in inner.items():
        _collect(value, f"{place}{name}.", arrays)
    if set(layer) == set(_GRU) and layer["bi"].ndim == 3:
        hidden = layer["bi"].shape[-1]
        for direction, ending in enumerate(("", "_reverse")):
            for name, torch_name in _GRU.items():
                shape = {"wi": (3 * hidden, -1), "wh": (3 * hidden, hidden)}.get(name, (3 * hidden,))
                arrays[f"{place}{torch_name}_l0{ending}"] = layer[name][direction].reshape(shape)
    elif layer:
        is_layer = {"w"} <= set(layer) <= {"w", "b"}
        if not is_layer or layer["w"].ndim not in (2, 3) or layer.get("b", np.ones(1)).ndim != 1:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in layer.items())
            raise ValueError(
                f"{place or 'params'} must be a linear layer, convolution or GRU of one network; it has {shapes}"
            )
        arrays[f"{place}weight"] = layer["w"].transpose(0, 2, 1) if layer["w"].ndim == 3 else layer["w"]
        if "b" in layer:
            arrays[f"{place}bias"] = layer["b"]
