"""The published networks in plain JAX, batch first, as a user of JAX writes them: `(init, apply)` by name."""

import jax
import jax.numpy as jnp


def _linear_init(key, n_in: int, n_out: int) -> dict:
    w, b = jax.random.split(key)
    bound = n_in**-0.5
    return {
        "w": jax.random.uniform(w, (n_in, n_out), minval=-bound, maxval=bound),
        "b": jax.random.uniform(b, (n_out,), minval=-bound, maxval=bound),
    }


def _linear(p, x):
    return x @ p["w"] + p["b"]


def _logistic_init(key):
    return _linear_init(key, 40, 10)


def _mlp_init(key):
    a, b, c = jax.random.split(key, 3)
    return {"a": _linear_init(a, 40, 100), "b": _linear_init(b, 100, 100), "c": _linear_init(c, 100, 10)}


def _mlp(p, x):
    h = jax.nn.relu(_linear(p["a"], x))
    return _linear(p["c"], h + jax.nn.relu(_linear(p["b"], h)))


def _conv_init(key, kernel: int, n_in: int, n_out: int) -> dict:
    p = _linear_init(key, kernel * n_in, n_out)
    return {"w": p["w"].reshape(kernel, n_in, n_out), "b": p["b"]}


def _conv(p, x):
    dimensions = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x, p["w"], (2,), [(1, 1)], dimension_numbers=dimensions) + p["b"]


def _cnn_init(key):
    a, b, c, d = jax.random.split(key, 4)
    convolutions = {"a": _conv_init(a, 5, 1, 25), "b": _conv_init(b, 3, 25, 25), "c": _conv_init(c, 3, 25, 25)}
    return convolutions | {"d": _linear_init(d, 125, 10)}


def _cnn(p, x):
    h = x[..., None]
    for name in "abc":
        h = jax.nn.relu(_conv(p[name], h))
    return _linear(p["d"], h.reshape(len(h), -1))


def _gru_init(key):
    ahead, back, out = jax.random.split(key, 3)

    def direction(key):
        i, h = jax.random.split(key)
        return {"i": _linear_init(i, 1, 18), "h": _linear_init(h, 6, 18)}

    return {"ahead": direction(ahead), "back": direction(back), "out": _linear_init(out, 480, 10)}


def _gru_direction(p, x, reverse: bool):
    def cell(h, x):
        i, r = jnp.split(_linear(p["i"], x), 3, -1), jnp.split(_linear(p["h"], h), 3, -1)
        reset, update = jax.nn.sigmoid(i[0] + r[0]), jax.nn.sigmoid(i[1] + r[1])
        h = (1 - update) * jnp.tanh(i[2] + reset * r[2]) + update * h
        return h, h

    return jax.lax.scan(cell, jnp.zeros((x.shape[0], 6)), x.T[..., None], reverse=reverse)[1]


def _gru(p, x):
    states = jnp.concatenate([_gru_direction(p["ahead"], x, False), _gru_direction(p["back"], x, True)], -1)
    return _linear(p["out"], states.swapaxes(0, 1).reshape(len(x), -1))


def _cnn2d_of(shape: tuple[int, int, int], widths: tuple[int, int, int]):
    def init(key):
        *keys, last = jax.random.split(key, 4)
        convolutions = {}
        for name, k, n_in, n_out in zip("abc", keys, (shape[2], *widths), widths, strict=False):
            p = _linear_init(k, 9 * n_in, n_out)
            convolutions[name] = {"w": p["w"].reshape(3, 3, n_in, n_out), "b": p["b"]}
        return convolutions | {"d": _linear_init(last, widths[-1] * 4 * 4, 10)}

    def apply(p, x):
        h = x.reshape(len(x), *shape)
        for name in "abc":
            w, dimensions = p[name]["w"], ("NHWC", "HWIO", "NHWC")
            h = jax.lax.conv_general_dilated(h, w, (2, 2), [(1, 1)] * 2, dimension_numbers=dimensions) + p[name]["b"]
            h = jax.nn.relu(h)
        return _linear(p["d"], h.reshape(len(h), -1))

    return init, apply


NETWORKS = {
    "logistic": (_logistic_init, _linear),
    "mlp": (_mlp_init, _mlp),
    "cnn": (_cnn_init, _cnn),
    "gru": (_gru_init, _gru),
    "mnist cnn": _cnn2d_of((28, 28, 1), (16, 16, 16)),
    "cifar cnn": _cnn2d_of((32, 32, 3), (32, 48, 64)),
}
