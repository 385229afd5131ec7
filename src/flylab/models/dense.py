"""Networks without spatial structure: logistic regression and MLPs.

Constructors are cached: the same arguments give the same `Model`, so that training it twice compiles once.
"""

import functools
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from flylab.models import layers
from flylab.models.model import Model
from flylab.models.registry import register_model


@register_model("logistic", title="logistic regression")
@functools.cache
def logistic(length: int = 40, n_outputs: int = 10) -> Model:
    """Build multinomial logistic regression: 410 parameters by default."""

    def features(params, x):
        return {"output": layers.linear(params, x)}

    return Model(lambda key: layers.linear_init(key, length, n_outputs), layers.linear, layers.linear_batch, features)


@register_model("mlp", title="MLP")
@functools.cache
def mlp(
    length: int = 40,
    n_outputs: int = 10,
    width: int = 100,
    residual: bool = True,
    activation: Callable[[jax.Array], jax.Array] = jax.nn.relu,
) -> Model:
    """Build the published MLP of two hidden layers, the second residual: 15 210 parameters by default.

    `residual=False` removes the skip connection. `activation` is any elementwise function.
    """

    def init(key):
        keys = jax.random.split(key, 3)
        sizes = {"hidden1": (length, width), "hidden2": (width, width), "output": (width, n_outputs)}
        return {name: layers.linear_init(k, *size) for k, (name, size) in zip(keys, sizes.items(), strict=True)}

    def features(linear, params, x):
        h1 = activation(linear(params["hidden1"], x))
        h2 = (h1 if residual else 0.0) + activation(linear(params["hidden2"], h1))
        return {"hidden1": h1, "hidden2": h2, "output": linear(params["output"], h2)}

    return _dense(init, features)


@register_model("shallow", title="one hidden layer")
@functools.cache
def shallow(length: int = 40, n_outputs: int = 10, width: int = 50, activation: Callable = jnp.tanh) -> Model:
    """Build an MLP of one hidden layer with any elementwise activation: 2 560 parameters by default."""

    def init(key):
        hidden, output = jax.random.split(key)
        return {
            "hidden": layers.linear_init(hidden, length, width),
            "output": layers.linear_init(output, width, n_outputs),
        }

    def features(linear, params, x):
        h = activation(linear(params["hidden"], x))
        return {"hidden": h, "output": linear(params["output"], h)}

    return _dense(init, features)


def _dense(init: Callable, features: Callable) -> Model:
    """Make a model of its activations by layer as a function of (linear layer, parameters, x), the outputs last."""

    def forward(linear, params, x):
        return features(linear, params, x)["output"]

    one, batch = layers.linear, layers.linear_batch
    return Model(init, partial(forward, one), partial(forward, batch), partial(features, one))
