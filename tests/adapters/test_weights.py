"""Weights of every network of flylab in the torch modules that docs/in-pytorch.md shows."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from flylab.adapters.weights import save_weights, state_dict
from flylab.models import dense, outputs, recurrent
from flylab.models.registry import PUBLISHED, get_model

PAGE = (Path(__file__).parents[2] / "docs" / "in-pytorch.md").read_text()
SHOWN: dict = {"nn": nn}
exec(re.search(r"class MLP\(.*?\nMODULES = [^\n]*\n", PAGE, re.S).group(), SHOWN)
MODULES = SHOWN["MODULES"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_same_logits_in_pytorch(name, tmp_path, rng):
    model = get_model(name)
    params = model.init(jax.random.key(3))
    module = MODULES[name]()
    module.load_state_dict(load_file(save_weights(tmp_path / "w.safetensors", params)))
    x = rng.normal(size=(7, 40)).astype("float32")
    want = outputs(model, params, jnp.asarray(x.T)).T
    np.testing.assert_allclose(module(torch.tensor(x)).detach(), want, atol=1e-5)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ([1.0], "params must be a layer's weights by name, not list"),
        ({"a": {"v": np.ones(3)}}, r"a\. must be a linear layer, .*; it has v \(3,\)"),
        ({"w": np.ones((2, 3, 4, 5)), "b": np.ones(3)}, "of one network"),
        ({"w": np.ones((2, 3, 4)), "b": np.ones((2, 3))}, "of one network"),  # a population's
        ({"b": np.ones(3)}, "must be a linear layer"),
        (jax.tree.map(lambda x: np.stack([x, x]), recurrent.bidirectional_gru().init(jax.random.key(0))), "gru"),
    ],
)  # fmt: skip
def test_refuses_what_is_no_layer(params, says):
    with pytest.raises(ValueError, match=says):
        state_dict(params)


def test_unwritable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write"):
        save_weights(tmp_path / "file" / "w.safetensors", dense.logistic().init(jax.random.key(0)))
