"""Similarity of representations (CKA), and the tangent kernel of a network."""

from typing import Any

import jax
import jax.numpy as jnp

from flylab.analysis.networks import flat_weights, outputs_of
from flylab.base.types import Params
from flylab.models.model import Model
from flylab.training.objectives import Objective


def cka(a: Any, b: Any, *, debiased: bool = False) -> jax.Array:
    """Compute the linear centred kernel alignment of two representations of the same examples.

    It is 1 for representations that are equal up to rotation, scale and shift, and NaN if one is constant. From few
    examples with many features, the usual estimate (Kornblith et al. 2019) is too high, even of independent ones. The
    debiased one (Nguyen et al. 2021, after Song et al. 2012) is not, and may be negative.

    Args:
        a: features `(n, *shape)`.
        b: features `(n, *other_shape)` of the same examples.
        debiased: whether to use the debiased estimate, which takes the memory of `n²` numbers.

    Raises:
        ValueError: if they have different numbers of examples, or fewer than 2 (4 if debiased).

    >>> x = jax.random.normal(jax.random.key(0), (50, 3))
    >>> round(cka(x, 5 * x[:, ::-1] + 1).item(), 5)
    1.0
    """
    a, b = (jnp.asarray(features, jnp.float32).reshape(len(features), -1) for features in (a, b))
    least = 4 if debiased else 2
    if len(a) != len(b) or len(a) < least:
        raise ValueError(f"cka needs features of the same examples, at least {least}, not of {len(a)} and {len(b)}")
    a, b = (features - features.mean(0) for features in (a, b))
    dependence = _debiased_dependence if debiased else _dependence
    return dependence(a, b) / jnp.sqrt(dependence(a, a) * dependence(b, b))


def _dependence(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.square(a.T @ b).sum()


def _debiased_dependence(a: jax.Array, b: jax.Array) -> jax.Array:
    n = len(a)
    k, l = (kernel - jnp.diag(jnp.diag(kernel)) for kernel in (a @ a.T, b @ b.T))  # noqa: E741
    rows = k.sum(0), l.sum(0)
    within = (k * l).sum() + rows[0].sum() * rows[1].sum() / ((n - 1) * (n - 2))
    return (within - 2 * (rows[0] @ rows[1]) / (n - 2)) / (n * (n - 3))


def ntk(model: Model | Objective, params: Params, x: Any, other: Any = None) -> jax.Array:
    """Compute the neural tangent kernel of a network at its parameters (Jacot et al. 2018).

    Its entry for two examples and two outputs is the scalar product of the outputs' gradients by all parameters. These
    are all in memory: `n · n_outputs · n_params` numbers.

    Args:
        model: the network, or an objective.
        params: its parameters.
        x: examples `(n, *shape)`.
        other: other examples `(m, *shape)`; by default the same.

    Returns:
        The kernel `(n, m, n_outputs, n_outputs)`.

    >>> linear = Model(lambda key: jnp.zeros((1, 3)), lambda weights, x: weights @ x)
    >>> x = jnp.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    >>> ntk(linear, linear.init(jax.random.key(0)), x)[:, :, 0, 0].tolist()  # x · x'
    [[5.0, 2.0], [2.0, 2.0]]
    """
    flat, unravel = flat_weights(params)

    def gradients(x: Any) -> jax.Array:  # (n, n_outputs, n_params)
        return jax.jacrev(lambda point: outputs_of(model, unravel(point), x))(flat)

    of_x = gradients(x)
    return jnp.einsum("ikp,jlp->ijkl", of_x, of_x if other is None else gradients(other))
