"""Weights of every network of flylab in the torch modules that docs/in-pytorch.md shows."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from flylab.adapters.weights import save_weights, state_dict
from flylab.models import outputs, recurrent
from flylab.models.registry import PUBLISHED, get_model

PAGE = (Path(__file__).parents[2] / "docs" / "in-pytorch.md").read_text()
SHOWN: dict = {"nn": nn}
exec(re.search(r"class MLP\(.*?\nMODULES = [^\n]*\n", PAGE, re.S).group(), SHOWN)
MODULES = SHOWN["MODULES"]


def shapes_of(model):
    return jax.eval_shape(model.init, jax.random.key(3))


@pytest.mark.parametrize("name", PUBLISHED)
def test_same_logits_in_pytorch(name, tmp_path, rng):
    model = get_model(name)
    # numbers of NumPy: drawing them in JAX would compile for seconds
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype("float32"), shapes_of(model))
    module = MODULES[name]()
    module.load_state_dict(load_file(save_weights(tmp_path / "w.safetensors", params)))
    x = rng.normal(size=(7, 40)).astype("float32")
    want = jax.jit(outputs, static_argnums=0)(model, params, x.T).T
    np.testing.assert_allclose(module(torch.tensor(x)).detach(), want, atol=1e-5)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ([1.0], "params must be a layer's weights by name, not list"),
        ({"a": {"v": np.ones(3)}}, r"a\. must be a linear layer, .*; it has v \(3,\)"),
        ({"w": np.ones((2, 3, 4, 5)), "b": np.ones(3)}, "of one network"),
        ({"w": np.ones((2, 3, 4)), "b": np.ones((2, 3))}, "of one network"),  # a population's
        ({"b": np.ones(3)}, "must be a linear layer"),
        (jax.tree.map(lambda leaf: np.ones((2, *leaf.shape)), shapes_of(recurrent.bidirectional_gru())), "gru"),
    ],
)  # fmt: skip
def test_refuses_what_is_no_layer(params, says):
    with pytest.raises(ValueError, match=says):
        state_dict(params)


def test_unwritable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write"):
        save_weights(tmp_path / "file" / "w.safetensors", {"w": np.ones((3, 4)), "b": np.ones(3)})
