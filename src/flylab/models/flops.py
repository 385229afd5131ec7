"""The work of a network: operations of its matrix products and convolutions, counted in what JAX traces."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

from flylab.models.model import Model


def forward_flops(model: Model, shape: tuple[int, ...]) -> int:
    """Floating-point operations of one example's forward pass, two per multiply-add.

    Matrix products and convolutions are counted, elementwise operations are not, as in
    `torch.utils.flop_counter.FlopCounterMode`. A training step does about three times as much for each example.

    >>> from flylab.models import zoo
    >>> forward_flops(zoo.logistic(), (40,))
    800
    """
    params = jax.eval_shape(model.init, jax.random.key(0))
    return count(model.apply, params, jax.ShapeDtypeStruct(shape, "float32"))


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
