"""A bidirectional GRU read at every step, for one signal and, faster, for a batch.

The batched form runs both directions in one scan with one matrix product per step. It saves the gates for a
hand-written backward pass with two products per step, one of which accumulates the gradients of all parameters.

Parameters: `wi (2, 3, hidden)`, `wh (2, 3, hidden, hidden)` and biases `bi, bh (2, 3, hidden)`, by direction and gate
(reset, update, candidate), as in `torch.nn.GRU`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flylab.base.types import Key, Params
from flylab.models.layers import uniform


def gru_init(key: Key, hidden: int) -> Params:
    """Initialise a bidirectional GRU on scalar inputs from U(−1/√hidden, 1/√hidden), as `torch.nn.GRU` does."""
    shapes = {"wi": (2, 3, hidden), "wh": (2, 3, hidden, hidden), "bi": (2, 3, hidden), "bh": (2, 3, hidden)}
    keys = jax.random.split(key, len(shapes))
    return {name: uniform(k, shape, hidden) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}


def _sigmoid(x):
    return 0.5 * jnp.tanh(0.5 * x) + 0.5  # faster than the exponential on a CPU


def gru(params: Params, x: Float[Array, " length"]) -> Float[Array, "length outputs"]:
    """Return the hidden states of one signal at every step, forward then backward: `(length, 2·hidden)`."""

    def direction(wi, wh, bi, bh, x):
        def cell(h, x_t):
            inputs = wi * x_t + bi  # (3, hidden)
            recurrent = jnp.einsum("koi,i->ko", wh, h) + bh
            reset, update = _sigmoid(inputs[:2] + recurrent[:2])
            candidate = jnp.tanh(inputs[2] + reset * recurrent[2])
            h = (1 - update) * candidate + update * h
            return h, h

        return jax.lax.scan(cell, jnp.zeros(wh.shape[-1]), x)[1]

    p = params
    ahead, back = (
        direction(p["wi"][d], p["wh"][d], p["bi"][d], p["bh"][d], signal) for d, signal in enumerate((x, x[::-1]))
    )
    return jnp.concatenate([ahead, back[::-1]], axis=1)


def gru_batch(params: Params, x: Float[Array, "length batch"]) -> Float[Array, "length outputs batch"]:
    """Compute `gru` for a batch: `(length, 2·hidden, batch)`. Do not vmap it over its parameters."""
    both = jnp.stack([x, x[::-1]], axis=1)  # (length, 2, batch): direction 1 sees the signal backwards
    states = _states(params, both)
    return jnp.concatenate([states[:, 0], states[::-1, 1]], axis=1)


# All products of a step in one matrix. Rows: reset, update, candidate (recurrent part, input part); columns: state,
# input, 1.
def _packed(p: Params) -> Float[Array, "2 rows columns"]:
    hidden = p["wi"].shape[-1]
    blank = jnp.zeros((2, hidden, hidden + 2))
    wh, wi, bi, bh = p["wh"], p["wi"][..., None], p["bi"][..., None], p["bh"][..., None]
    gates = jnp.concatenate([wh[:, :2], wi[:, :2], bi[:, :2] + bh[:, :2]], axis=-1).reshape(2, 2 * hidden, -1)
    recurrent = blank.at[:, :, :hidden].set(wh[:, 2]).at[:, :, hidden + 1 :].set(bh[:, 2])
    inputs = blank.at[:, :, hidden:].set(jnp.concatenate([wi[:, 2], bi[:, 2]], axis=-1))
    return jnp.concatenate([gates, recurrent, inputs], axis=1)


def _unpacked(d: Float[Array, "2 rows columns"]) -> Params:
    """Apply the transpose of `_packed`."""
    hidden = d.shape[-1] - 2
    d = d.reshape(2, 4, hidden, hidden + 2)
    inputs = d[:, jnp.array([0, 1, 3])]  # the rows that see the input
    return {"wi": inputs[..., hidden], "wh": d[:, :3, :, :hidden], "bi": inputs[..., -1], "bh": d[:, :3, :, -1]}


def _with_one(x: Float[Array, "length 2 batch"]) -> Float[Array, "length 2 2 batch"]:
    return jnp.stack([x, jnp.ones_like(x)], axis=2)


def _scan(p: Params, x: Float[Array, "length 2 batch"]):
    hidden, packed = p["wi"].shape[-1], _packed(p)

    def cell(h, x_t):
        rows = jnp.einsum("dri,dib->drb", packed, jnp.concatenate([h, x_t], axis=1))
        gates = _sigmoid(rows[:, : 2 * hidden])
        reset, update = gates[:, :hidden], gates[:, hidden:]
        recurrent = rows[:, 2 * hidden : 3 * hidden]
        candidate = jnp.tanh(rows[:, 3 * hidden :] + reset * recurrent)
        h = candidate + update * (h - candidate)
        return h, (h, gates, recurrent, candidate)

    zeros = jnp.zeros((2, hidden, x.shape[-1]), jnp.result_type(packed, x))
    return jax.lax.scan(cell, zeros, _with_one(x))[1]


@jax.custom_vjp
def _states(p: Params, x: Float[Array, "length 2 batch"]) -> Float[Array, "length 2 hidden batch"]:
    return _scan(p, x)[0]


def _states_forward(p: Params, x):
    saved = _scan(p, x)
    return saved[0], (p, x, saved)


def _states_backward(residuals, g):
    p, x, (h, gates, recurrent, candidate) = residuals
    hidden, packed = p["wi"].shape[-1], _packed(p)
    before = jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])  # the state before each step
    before = jnp.concatenate([before, _with_one(x)], axis=2)
    transposed = jax.lax.optimization_barrier(packed[..., :-1].swapaxes(1, 2))  # once, and not in every step

    def cell(carry, step):
        dh, d_packed = carry
        g, gates, recurrent, candidate, before = step
        reset, update = gates[:, :hidden], gates[:, hidden:]
        dh = dh + g
        d_candidate = dh * (1 - update) * (1 - candidate * candidate)
        d_update = dh * (before[:, :hidden] - candidate) * update * (1 - update)
        d_reset = d_candidate * recurrent * reset * (1 - reset)
        d_rows = jnp.concatenate([d_reset, d_update, d_candidate * reset, d_candidate], axis=1)
        d_packed = d_packed + jnp.einsum("drb,dib->dri", d_rows, before)
        back = jnp.einsum("dir,drb->dib", transposed, d_rows)  # gradients of the state and of the input
        return (dh * update + back[:, :hidden], d_packed), back[:, hidden]

    steps = (g, gates, recurrent, candidate, before)
    (_, d_packed), dx = jax.lax.scan(cell, (jnp.zeros_like(h[0]), jnp.zeros_like(packed)), steps, reverse=True)
    return _unpacked(d_packed), dx.astype(x.dtype)


_states.defvjp(_states_forward, _states_backward)
