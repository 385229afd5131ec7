"""Weights of a trained network for PyTorch: a `state_dict`, in a safetensors file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from flylab.base.files import write_atomic
from flylab.base.optional import need
from flylab.base.types import Params

_GRU = {"wi": "weight_ih", "wh": "weight_hh", "bi": "bias_ih", "bh": "bias_hh"}


def state_dict(params: Params) -> dict[str, np.ndarray]:
    """The parameters of one network of flylab by the names and in the shapes of PyTorch's layers.

    A layer's `w` and `b` become `layer.weight` and `layer.bias`: `nn.Linear`'s as they are, `nn.Conv1d`'s turned from
    our `(out, kernel, in)` to `(out, in, kernel)`; a bidirectional GRU becomes `nn.GRU`'s eight arrays.

    Args:
        params: of one network. Of a population take one member first:
            `jax.tree.map(lambda leaf: leaf[0, 3], population.params)`.

    Raises:
        ValueError: for a parameter that is not of such a layer, naming it.

    >>> import jax
    >>> from flylab.models import get_model
    >>> {name: w.shape for name, w in state_dict(get_model("logistic").init(jax.random.key(0))).items()}
    {'weight': (10, 40), 'bias': (10,)}
    """
    found: dict[str, np.ndarray] = {}
    _collect(params, "", found)
    return found


def save_weights(path: str | Path, params: Params) -> Path:
    """Write `state_dict(params)` as safetensors, for `safetensors.torch.load_file` and `module.load_state_dict`.

    Raises:
        ValueError: as `state_dict`; or if `safetensors` is not installed.
        OSError: if the path cannot be written.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in state_dict(params).items()}
    write_atomic(Path(path), need("safetensors.numpy", "data", "save_weights").save(arrays))
    return Path(path)


def _collect(tree: Params, place: str, found: dict[str, np.ndarray]) -> None:
    if not isinstance(tree, Mapping):
        raise ValueError(f"{place or 'params'} is {type(tree).__name__}, not a layer's weights by name")
    inner = {name: value for name, value in tree.items() if isinstance(value, Mapping)}
    own = {name: np.asarray(value) for name, value in tree.items() if name not in inner}
    for name, value in inner.items():
        _collect(value, f"{place}{name}.", found)
    if set(own) == set(_GRU) and own["bi"].ndim == 3:
        hidden = own["bi"].shape[-1]
        for direction, ending in enumerate(("", "_reverse")):
            for name, theirs in _GRU.items():
                shape = {"wi": (3 * hidden, -1), "wh": (3 * hidden, hidden)}.get(name, (3 * hidden,))
                found[f"{place}{theirs}_l0{ending}"] = own[name][direction].reshape(shape)
    elif own:
        is_layer = {"w"} <= set(own) <= {"w", "b"}
        if not is_layer or own["w"].ndim not in (2, 3) or own.get("b", np.ones(1)).ndim != 1:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in own.items())
            raise ValueError(f"{place or 'params'} has {shapes}: no linear layer, convolution or GRU of one network")
        found[f"{place}weight"] = own["w"].transpose(0, 2, 1) if own["w"].ndim == 3 else own["w"]
        if "b" in own:
            found[f"{place}bias"] = own["b"]
