"""Recurrent networks: the published bidirectional GRU, and an LSTM."""

import functools

import jax
import jax.numpy as jnp

from flylab.base.rng import stream
from flylab.models import layers
from flylab.models.batched import from_batch, readout
from flylab.models.gru import gru, gru_batch, gru_init
from flylab.models.model import Model
from flylab.models.registry import register_model


@register_model("gru", title="GRU")
@functools.cache
def bidirectional_gru(length: int = 40, n_outputs: int = 10, width: int = 6) -> Model:
    """Build the published bidirectional GRU, with a linear layer on all its states: 5 134 parameters by default."""

    def init(key):
        recurrent, output = jax.random.split(key)
        readout_params = layers.linear_init(output, 2 * width * length, n_outputs)
        return {"gru": gru_init(recurrent, width), "output": readout_params}

    def features(params, x):
        h = gru(params["gru"], x)
        return {"gru": h, "output": layers.linear(params["output"], h.ravel())}

    def apply(params, x):
        return features(params, x)["output"]

    def apply_batch(params, x):
        h = gru_batch(params["gru"], x)  # (length, 2·width, batch)
        return layers.linear_batch(params["output"], h.reshape(-1, h.shape[-1]))

    return Model(init, apply, apply_batch, features)


@register_model("lstm", title="LSTM")
@functools.cache
def lstm(length: int = 40, n_outputs: int = 10, width: int = 6) -> Model:
    """Build a bidirectional LSTM, with a linear layer on all its states: 5 194 parameters by default.

    Gates are those of `torch.nn.LSTM` (input, forget, cell, output), with one bias instead of two.
    """

    def init(key):
        w, b = jax.random.split(stream(key, "lstm"))
        shape = (2, 4 * width)
        recurrent = {"w": layers.uniform(w, (*shape, width + 1), width), "b": layers.uniform(b, shape, width)}
        return {"lstm": recurrent, "output": layers.linear_init(stream(key, "output"), 2 * width * length, n_outputs)}

    def apply_batch(params, x):
        w, b = params["lstm"]["w"], params["lstm"]["b"][..., None]
        both = jnp.stack([x, x[::-1]], axis=1)[:, :, None]  # (length, 2, 1, batch)

        def cell(state, x_t):
            h, c = state
            rows = jnp.einsum("dri,dib->drb", w, jnp.concatenate([h, x_t], axis=1)) + b
            i, f, g, o = jnp.split(rows, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((2, width, x.shape[-1]), jnp.result_type(w, x))
        states = jax.lax.scan(cell, (zeros, zeros), both)[1]  # (length, 2, width, batch)
        return readout(params["output"], jnp.concatenate([states[:, 0], states[::-1, 1]], axis=1))

    return from_batch(init, apply_batch)
