"""Networks of several widths through one compiled program: the narrower ones filled up with zeros."""

import functools

import jax
import jax.numpy as jnp

from flylab.models.model import Model


@functools.cache
def padded(model: Model, like: Model) -> Model:
    """`model` in the shapes of `like`, a wider network of the same kind: one compiled program then serves both.

    Its weights start as `model`'s, with zeros at the end of each axis. In ReLU networks these stay exactly zero under
    gradient descent: a padded unit gives 0, so what leads away from it gets no gradient, and relu'(0) = 0, so neither
    does what leads to it. Where a layer reads a flattened one, channels must come first, as in the registered `cnn`.

    Raises:
        ValueError: if `like` has other layers, or is narrower somewhere.

    >>> from flylab.models import get_model
    >>> narrow = padded(get_model("mlp", width=5), get_model("mlp", width=8))
    >>> narrow.init(jax.random.key(0))["hidden2"]["w"].shape
    (8, 8)
    """
    small, large = (jax.eval_shape(one.init, jax.random.key(0)) for one in (model, like))
    if jax.tree.structure(small) != jax.tree.structure(large):
        raise ValueError("the two networks have different layers: pad to a wider network of the same kind")
    for own, wanted in zip(jax.tree.leaves(small), jax.tree.leaves(large), strict=True):
        if any(n > m for n, m in zip(own.shape, wanted.shape, strict=True)):
            raise ValueError(f"weights of shape {own.shape} do not fit into {wanted.shape}: pad to a wider network")

    # One program a width, not one an array; run once, so that compiling it fast matters more than running it fast.
    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
    def init(key):
        return jax.tree.map(lambda leaf, wanted: _filled_up(leaf, wanted.shape), model.init(key), large)

    return Model(init, like.apply, like.apply_batch)


def _filled_up(leaf: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jnp.pad(leaf, [(0, m - n) for n, m in zip(leaf.shape, shape, strict=True)])
