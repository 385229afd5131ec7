"""Curvature of the loss around a network: Hessian's top eigenvalues and trace, and the worst case in a ball.

The Hessian is never made: all of it is known by its products with vectors.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from msgspec import Meta

from flylab.analysis.networks import flat_weights, mean_loss
from flylab.base.constraints import MOST, PositiveFloat, PositiveInt, check, refusal
from flylab.base.types import Key, Params
from flylab.data.splits import Dataset
from flylab.models.model import Model
from flylab.training.inputs import as_key
from flylab.training.objectives import Objective

_BREAKDOWN = 1e-5  # what is left of a product in float32, as a share of it, when nothing is left


class Eigenvalues(NamedTuple):
    """The largest eigenvalues of a symmetric matrix.

    Attributes:
        eigenvalue: the largest ones `(k,)`, in descending order.
        residual: for each, a distance within which the matrix has an eigenvalue `(k,)`, but for rounding.
    """

    eigenvalue: jax.Array
    residual: jax.Array
    dim = "rank"


class Trace(NamedTuple):
    """An estimate of a trace, and its standard error."""

    trace: jax.Array
    standard_error: jax.Array


def hessian_eigenvalues(
    model: Model | Objective, params: Params, data: Dataset, k: int = 1, *, n_iterations: int = 40, key: Key | int = 0
) -> Eigenvalues:
    """Compute the largest eigenvalues of the Hessian of the mean loss, by Lanczos' method.

    The first is the sharpness of Cohen et al. (2021), which gradient descent drives to 2 / learning rate.

    Args:
        model: the network, or an objective.
        params: its parameters.
        data: the examples, e.g. `splits.train`.
        k: number of eigenvalues.
        n_iterations: products with the Hessian; more make the residuals smaller.
        key: of the random vector that it starts from.

    Raises:
        ValueError: if `k` is not from 1 to `n_iterations` and the number of parameters.

    >>> from flylab.data import published
    >>> from flylab.models import get_model
    >>> model = get_model("logistic")
    >>> found = hessian_eigenvalues(model, model.init(jax.random.key(0)), published().train, k=2)
    >>> found.eigenvalue.shape, bool((found.residual < 1e-3 * found.eigenvalue).all())
    ((2,), True)
    """
    product, n = hessian_product(model, params, data)
    return top_eigenvalues(product, n, k, n_iterations=n_iterations, key=key)


def hessian_trace(
    model: Model | Objective, params: Params, data: Dataset, *, n_probes: int = 100, key: Key | int = 0
) -> Trace:
    """Estimate the trace of the Hessian of the mean loss by Hutchinson's method.

    Args:
        model: the network, or an objective.
        params: its parameters.
        data: the examples, e.g. `splits.train`.
        n_probes: random vectors, one product with the Hessian each; the error falls with their square root.
        key: of these vectors.

    Raises:
        ValueError: if `n_probes` is not an integer ≥ 2.
    """
    product, n = hessian_product(model, params, data)
    return random_trace(product, n, n_probes=n_probes, key=key)


def sharpness(
    model: Model | Objective, params: Params, data: Dataset, radius: float = 0.05, *, n_steps: int = 1
) -> jax.Array:
    """Compute by how much the mean loss can rise within a ball around the parameters (Foret et al. 2021).

    With one step, it is SAM's: the loss at `radius` along the gradient, less the loss. Each further step takes the
    gradient at the point found, and puts the next point in its direction, which climbs where the loss is convex
    (Journée et al. 2010). The best point counts, so this is a lower bound of the worst case. Where the
    gradient is exactly 0, it finds nothing.

    Args:
        model: the network, or an objective.
        params: its parameters.
        data: the examples, e.g. `splits.train`.
        radius: of the ball, in the Euclidean norm over all parameters.
        n_steps: gradients to take.

    Raises:
        ValueError: if the radius is not positive, or `n_steps` not an integer ≥ 1.

    >>> from flylab.data import published
    >>> from flylab.models import get_model
    >>> model = get_model("logistic")
    >>> bool(sharpness(model, model.init(jax.random.key(0)), published().train) > 0)
    True
    """
    radius, n_steps = check("radius", radius, PositiveFloat), check("n_steps", n_steps, PositiveInt)
    flat, loss = _flat(model, params, data)
    gradient = jax.grad(loss)

    def step(point: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        uphill = gradient(point)
        norm = jnp.linalg.norm(uphill)
        point = flat + radius * uphill / jnp.where(norm > 0, norm, 1)
        return point, loss(point)

    reached = jax.lax.scan(step, flat, length=n_steps)[1]
    return jnp.maximum(reached.max() - loss(flat), 0)


def hessian_product(
    model: Model | Objective, params: Params, data: Dataset
) -> tuple[Callable[[jax.Array], jax.Array], int]:
    """Return the function that multiplies a vector `(n_params,)` by the Hessian of the mean loss, and `n_params`.

    The order of parameters is that of `jax.flatten_util.ravel_pytree`.
    """
    flat, loss = _flat(model, params, data)
    return lambda vector: jax.jvp(jax.grad(loss), (flat,), (vector,))[1], flat.size


def _flat(model: Model | Objective, params: Params, data: Dataset) -> tuple[jax.Array, Callable]:
    flat, unravel = flat_weights(params)
    return flat, lambda point: mean_loss(model, unravel(point), data)


def top_eigenvalues(
    product: Callable[[jax.Array], jax.Array], n: int, k: int = 1, *, n_iterations: int = 40, key: Key | int = 0
) -> Eigenvalues:
    """Compute the largest eigenvalues of a symmetric matrix `(n, n)` from its products with vectors (Lanczos 1950).

    Each new vector is made orthogonal to all former ones, twice, since rounding would otherwise let the method find one
    eigenvalue several times. Arguments and errors are those of `hessian_eigenvalues`.

    >>> matrix = jnp.diag(jnp.array([3.0, -5.0, 1.0]))
    >>> [round(value.item(), 3) for value in top_eigenvalues(lambda vector: matrix @ vector, 3, 2).eigenvalue]
    [3.0, 1.0]
    """
    n_iterations = min(check("n_iterations", n_iterations, PositiveInt), n)
    if not 1 <= check("k", k, PositiveInt) <= n_iterations:
        raise refusal("k", k, f"an integer from 1 to {n_iterations}, the least of n_iterations and the parameters")
    vectors = jax.random.normal(as_key(key), (n_iterations + 1, n))  # each is replaced by the basis when its turn comes

    def orthogonal(vector: jax.Array, basis: jax.Array) -> jax.Array:
        for _ in range(2):
            vector = vector - basis.T @ (basis @ vector)
        return vector

    def step(i: jax.Array, state: tuple) -> tuple:
        vectors, diagonal, beside = state
        basis = jnp.where(jnp.arange(n_iterations + 1)[:, None] <= i, vectors, 0)
        image = product(vectors[i])
        rest = orthogonal(image, basis)
        norm = jnp.linalg.norm(rest)
        is_new = norm > _BREAKDOWN * jnp.linalg.norm(image)  # or else the space is left by a random direction
        rest = jnp.where(is_new, rest, orthogonal(vectors[i + 1], basis))
        vectors = vectors.at[i + 1].set(rest / jnp.linalg.norm(rest))
        return vectors, diagonal.at[i].set(basis[i] @ image), beside.at[i].set(jnp.where(is_new, norm, 0))

    vectors = vectors.at[0].divide(jnp.linalg.norm(vectors[0]))
    zeros = jnp.zeros(n_iterations)
    _, diagonal, beside = jax.lax.fori_loop(0, n_iterations, step, (vectors, zeros, zeros))
    small = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
    values, eigenvectors = jnp.linalg.eigh(small)
    return Eigenvalues(values[::-1][:k], jnp.abs(beside[-1] * eigenvectors[-1])[::-1][:k])


def random_trace(
    product: Callable[[jax.Array], jax.Array], n: int, *, n_probes: int = 100, key: Key | int = 0
) -> Trace:
    """Estimate the trace of a matrix `(n, n)` from its products with random signs (Hutchinson 1990).

    Arguments and errors are those of `hessian_trace`.

    >>> matrix = jnp.diag(jnp.array([3.0, -5.0, 1.0]))  # of a diagonal matrix, the estimate is exact
    >>> [part.item() for part in random_trace(lambda vector: matrix @ vector, 3)]
    [-1.0, 0.0]
    """
    n_probes = check("n_probes", n_probes, Annotated[int, Meta(ge=2, le=MOST)])

    def probe(key: Key) -> jax.Array:
        signs = jax.random.rademacher(key, (n,), jnp.float32)
        return signs @ product(signs)

    found = jax.lax.map(probe, jax.random.split(as_key(key), n_probes))
    return Trace(found.mean(), found.std(ddof=1) / jnp.sqrt(n_probes))
