"""FLOPs of a network: its matrix products and convolutions, counted in the traced program."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax

from flylab.models.model import Model, keywords, n_params, outputs

METAGRADIENT = 2.5  # what a step costs with its derivative by hyper-parameters, in steps, in either mode: counted


@functools.lru_cache(maxsize=1024)
def forward_flops(model: Model, shape: tuple[int, ...]) -> int:
    """Count the floating-point operations of one example's forward pass, two per multiply-add.

    Matrix products and convolutions count, elementwise operations do not, as in
    `torch.utils.flop_counter.FlopCounterMode`. A training step takes about three times as many per example.

    Args:
        model: the network.
        shape: shape of one example.

    >>> from flylab.models import get_model
    >>> forward_flops(get_model("logistic"), (40,))
    800
    """
    params = jax.eval_shape(model.init, jax.random.key(0))
    if not keywords(model):
        return count(model.apply, params, jax.ShapeDtypeStruct(shape, "float32"))
    return count(functools.partial(outputs, model), params, jax.ShapeDtypeStruct((*shape, 1), "float32"))


def training_cost(
    model: Model, shape: tuple[int, ...], n_steps: int, batch_size: int, n_evaluations: int, n_examples: int
) -> tuple[int, int]:
    """Estimate the FLOPs and the memory in bytes of one training run with Adam.

    A step counts as three forward passes. Memory is that of the examples, a batch, and of the weights, gradient and two
    moments.

    >>> from flylab.models import get_model
    >>> training_cost(get_model("logistic"), (40,), 10, 100, 0, 1000)
    (2400000, 186960)
    """
    flops = forward_flops(model, shape) * (3 * batch_size * n_steps + n_evaluations * n_examples)
    return flops, 4 * ((n_examples + batch_size) * (math.prod(shape) + 1) + 4 * n_params(model))


def count(function: Callable, *args: Any) -> int:
    """Count the operations of the matrix products and convolutions in `function(*args)`.

    A loop with an unknown number of iterations counts once; a conditional counts as its most expensive branch.
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
            inner = [_count(nested) for nested in _jaxprs(params.values())]
            total += params.get("length", 1) * (max(inner, default=0) if name == "cond" else sum(inner))
    return total


def _jaxprs(values: Any) -> Iterator[Any]:
    """Yield the programs nested in an operation's parameters, such as a loop's body."""
    for value in values:
        if isinstance(value, tuple | list):
            yield from _jaxprs(value)
        elif hasattr(value, "eqns"):
            yield value
        elif hasattr(getattr(value, "jaxpr", None), "eqns"):
            yield value.jaxpr
