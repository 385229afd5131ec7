"""The work of a network: operations of its matrix products and convolutions, counted in what JAX traces."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

from flylab.models.model import Model, n_params


def forward_flops(model: Model, shape: tuple[int, ...]) -> int:
    """Floating-point operations of one example's forward pass, two per multiply-add.

    Matrix products and convolutions are counted, elementwise operations are not, as in
    `torch.utils.flop_counter.FlopCounterMode`. A training step does about three times as much for each example.

    >>> from flylab.models import get_model
    >>> forward_flops(get_model("logistic"), (40,))
    800
    """
    params = jax.eval_shape(model.init, jax.random.key(0))
    return count(model.apply, params, jax.ShapeDtypeStruct(shape, "float32"))


@functools.lru_cache(maxsize=1024)
def _forward_and_params(model: Model, shape: tuple[int, ...]) -> tuple[int, int]:
    return forward_flops(model, shape), n_params(model)


def training_cost(
    model: Model, shape: tuple[int, ...], n_steps: int, batch_size: int, n_evaluations: int, n_examples: int
) -> tuple[int, int]:
    """FLOPs of a training with Adam, and bytes of its data and network: what a dry run says beforehand.

    A step does about three times the work of a forward pass; beside the weights there are a gradient and two moments.

    >>> from flylab.models import get_model
    >>> training_cost(get_model("logistic"), (40,), 10, 100, 0, 1000)
    (2400000, 170560)
    """
    forward, n_weights = _forward_and_params(model, shape)
    flops = forward * (3 * batch_size * n_steps + n_evaluations * n_examples)
    return flops, 4 * (n_examples * (math.prod(shape) + 1) + 4 * n_weights)


def count(function: Callable, *args: Any) -> int:
    """Operations of the matrix products and convolutions that `function` does to arguments of these shapes.

    A loop whose number of rounds is not known beforehand counts as one round; of several branches the longest counts.
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        name, params = equation.primitive.name, equation.params
        if name == "dot_general":
            contracted = params["dimension_numbers"][0][0]
            lhs = equation.invars[0].aval.shape
            total += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(lhs[axis] for axis in contracted)
        elif name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            n_out = kernel[params["dimension_numbers"].rhs_spec[0]]
            total += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // n_out
        else:
            inner = [_count(one) for one in _jaxprs(params.values())]
            total += params.get("length", 1) * (max(inner, default=0) if name == "cond" else sum(inner))
    return total


def _jaxprs(values: Any) -> Iterator[Any]:
    """The programs within an operation, such as a loop's body."""
    for value in values:
        if isinstance(value, tuple | list):
            yield from _jaxprs(value)
        elif hasattr(value, "eqns"):
            yield value
        elif hasattr(getattr(value, "jaxpr", None), "eqns"):
            yield value.jaxpr
