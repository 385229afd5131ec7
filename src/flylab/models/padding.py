"""Zero-padded networks, so that several widths share one compiled program."""

import functools

import jax
import jax.numpy as jnp

from flylab.models.model import Model


@functools.cache
def padded(model: Model, like: Model) -> Model:
    """Pad `model` to the shapes of `like`, a wider network of the same kind, so that they share one compiled program.

    Weights start as those of `model`, with zeros at the end of each axis. In ReLU networks the padding stays exactly
    zero under gradient descent: a padded unit outputs 0, so its outgoing weights get no gradient, and relu'(0) = 0, so
    its incoming weights get none. A layer that reads a flattened one needs channels first, as in `cnn`.

    Raises:
        ValueError: if `like` has different layers, or a layer narrower than that of `model`.

    >>> from flylab.models import get_model
    >>> narrow = padded(get_model("mlp", width=5), get_model("mlp", width=8))
    >>> narrow.init(jax.random.key(0))["hidden2"]["w"].shape
    (8, 8)
    """
    small, large = (jax.eval_shape(network.init, jax.random.key(0)) for network in (model, like))
    if jax.tree.structure(small) != jax.tree.structure(large):
        raise ValueError("the two networks have different layers; pad to a wider network of the same kind")
    for narrow, wide in zip(jax.tree.leaves(small), jax.tree.leaves(large), strict=True):
        if any(n > m for n, m in zip(narrow.shape, wide.shape, strict=True)):
            raise ValueError(f"weights of shape {narrow.shape} do not fit into {wide.shape}; pad to a wider network")

    def zero_padded(leaf, wide):
        return jnp.pad(leaf, [(0, m - n) for n, m in zip(leaf.shape, wide.shape, strict=True)])

    # one program per width instead of one per array; it runs once, so compile time matters more than run time
    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
    def init(key):
        return jax.tree.map(zero_padded, model.init(key), large)

    return like._replace(init=init)
