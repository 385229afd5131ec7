"""Contestants that users bring: optimisers, losses, regularisers and activations, in JAX or in PyTorch."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from flylab.base.types import Hparams
from flylab.base.usercode import RefusedError, user_code
from flylab.data.mnist1d import MNIST1D
from flylab.models import Model, outputs
from flylab.models.registry import get_model
from flylab.study.slots import checked
from flylab.training.objectives import Objective, supervised
from flylab.training.step import updated
from flylab.training.tuning import RATES, Fit, Ranges, fit_of, trials

RATE: Ranges = {"learning_rate": RATES}
RATE_NAMES = ("learning_rate", "lr")


def ranges_of(function: Any, name: str, first: Ranges | None = None) -> Ranges:
    """Return the hyper-parameters of a contestant to tune, with their ranges.

    They are those of the attribute `ranges`, e.g. `my_optimizer.ranges = {"learning_rate": (1e-4, 1), "beta": (0.5,
    0.99)}`, or by default the learning rate, from 1e-4 to 1.

    Args:
        function: the user's function or class.
        name: its name.
        first: hyper-parameters that are tuned beside those that it declares.

    Raises:
        ValueError: if it declares what it does not take, or more than three, or a range that is none.
    """
    takes = inspect.signature(function).parameters
    declared = getattr(function, "ranges", None)
    if declared is None:
        declared = {rate: RATES for rate in RATE_NAMES if rate in takes and first is None}
        if not declared and first is None:
            raise RefusedError(
                f"{name} takes neither learning_rate nor lr: say what to tune as an attribute, such as "
                f"{name}.ranges = {{'step_size': (1e-4, 1.0)}}"
            )
    if not isinstance(declared, Mapping):
        raise RefusedError(f"{name}.ranges must be a dictionary of ranges by name, not {type(declared).__name__}")
    is_open = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values())
    if unknown := [key for key in declared if key not in takes and not is_open]:
        raise RefusedError(f"{name}.ranges names {unknown[0]!r}, which {name} does not take")
    ranges = {**(first or {}), **declared}
    try:
        trials({key: (float(low), float(high)) for key, (low, high) in ranges.items()}, 2)
    except (TypeError, ValueError) as error:
        raise RefusedError(f"{name}.ranges: {error}") from None
    return ranges


def is_of_torch(function: Any) -> bool:
    """Return whether an optimiser is PyTorch's: such a class, or a function whose first argument is `params`."""
    if inspect.isclass(function) and "torch" in sys.modules:
        return issubclass(function, sys.modules["torch"].optim.Optimizer)
    return next(iter(inspect.signature(function).parameters), "") == "params"


@functools.cache
def by_name(make: Callable[..., Any]) -> Callable[[Hparams], Any]:
    """Return a function of keywords as one of hyper-parameters; the same function gives the same."""
    return lambda hparams: make(**hparams)


def fit_of_optimizer(optimizer: Any, model: str, data: MNIST1D) -> Fit:
    """Return how a user's optimiser trains a network.

    Args:
        optimizer: the function in the slot: a `torch.optim.Optimizer` class, or a function of the parameters and
            hyper-parameters that makes one; or a function of hyper-parameters that returns an optax transformation.
        model: the network's name.
        data: the data set, for the network's size.

    Raises:
        ValueError: as `ranges_of`.
    """
    ranges = ranges_of(optimizer.function, optimizer.name)
    if is_of_torch(optimizer.function):
        from flylab.adapters import torch_contest

        return torch_contest.fit_of(optimizer.name, model, data, ranges, optimizer=optimizer)
    network = get_model(model, data.final_seq_length, data.outputs)
    return fit_of(supervised(network), by_name(optimizer), ranges)


def try_optimizer(optimizer: Any) -> None:
    """Take a step with an optimiser, and raise ValueError if that does not work."""
    function, name = optimizer.function, optimizer.name
    values = {key: float(column[0]) for key, column in trials(ranges_of(function, name), 3).values.items()}
    if is_of_torch(function):
        from flylab.adapters import torch_contest

        torch_contest.try_optimizer(name, optimizer, values)
        return
    made = optimizer(**{key: jnp.float32(value) for key, value in values.items()})
    if not isinstance(made, optax.GradientTransformation):
        raise RefusedError(
            f"{name} returns {type(made).__name__}, no optax transformation (one of PyTorch takes `params` first)"
        )
    network = get_model("mlp")
    with user_code(name):
        params = jax.tree.map(jnp.zeros_like, jax.eval_shape(network.init, jax.random.key(0)))
        one = jnp.float32(1)
        jax.eval_shape(lambda p: updated(made, p, made.init(p), p, one, lambda p: (one, {})), params)


def fit_of_loss(loss: Callable[..., jax.Array], model: str, data: MNIST1D, ranges: Ranges) -> Fit:
    """Return how a network trains by Adam with a loss.

    Args:
        loss: (outputs `(n_outputs, batch)`, labels `(batch,)`, **hyper-parameters) → losses `(batch,)`.
        model: the network's name.
        data: the data set, for the network's size.
        ranges: the hyper-parameters to tune: Adam's `learning_rate`, and those of the loss.
    """
    network = get_model(model, data.final_seq_length, data.outputs)
    names = tuple(name for name in ranges if name not in RATE)
    return fit_of(_objective(network, loss, names), "adam", ranges)


@functools.cache
def _objective(network: Model, loss: Callable[..., jax.Array], names: tuple[str, ...]) -> Objective:
    """Return the objective of classification by a loss with hyper-parameters; evaluations report cross-entropy."""

    def mean_loss(params, batch, hparams, key):
        values = loss(outputs(network, params, batch.x), batch.y, **{name: hparams[name] for name in names})
        return values.mean(), {}

    return supervised(network)._replace(loss=mean_loss)


def fit_of_users_loss(loss: Any, model: str, data: MNIST1D) -> Fit:
    """Return how a network trains with the loss in the slot, in JAX or in PyTorch, whichever takes it.

    Raises:
        ValueError: if neither does, or as `ranges_of`.
    """
    ranges = ranges_of(loss.function, loss.name, RATE)
    if _library_of(loss) == "jax":
        return fit_of_loss(loss, model, data, ranges)
    from flylab.adapters import torch_contest

    names = tuple(name for name in ranges if name not in RATE)
    return torch_contest.fit_of(loss.name, model, data, ranges, loss=_called(loss), of_loss=names)


def try_loss(loss: Any) -> None:
    """Compute a loss of some outputs, and raise ValueError if that does not work."""
    ranges_of(loss.function, loss.name, RATE)
    _library_of(loss)


def _called(loss: Any) -> Callable[..., Any]:
    """Return a loss as a function; a class of PyTorch, such as `nn.MultiMarginLoss`, is made first."""
    return loss() if inspect.isclass(loss.function) else loss


def _library_of(loss: Any) -> str:
    """Return which library's arrays a loss takes, "jax" or "torch".

    Raises:
        ValueError: if it takes neither, or returns no losses.
    """
    first = None
    if not inspect.isclass(loss.function):
        try:
            logits, y = jnp.linspace(-1, 1, 12).reshape(4, 3), jnp.arange(3)
            shape = jax.eval_shape(loss, logits, y).shape
            if shape == (3,):
                return "jax"
            first = RefusedError(f"{loss.name} returns shape {shape} for outputs (4, 3) and 3 labels, not one loss for "
                                 "each label")  # fmt: skip
        except RefusedError as error:
            first = error
    if "torch" in sys.modules:
        from flylab.adapters import torch_contest

        try:
            torch_contest.try_loss(_called(loss), loss.name)
            return "torch"
        except RefusedError as error:
            first = first or error
    assert first is not None
    raise first


STRENGTHS = (1e-6, 0.1)  # the range of a regulariser's strength


def fit_of_regulariser(penalty: Callable[..., Any], model: str, data: MNIST1D, *, is_tuned: bool = True) -> Fit:
    """Return how a network trains by Adam with a penalty on its parameters, times a strength that is tuned.

    Args:
        penalty: parameters → penalty.
        model: the network's name.
        data: the data set, for the network's size.
        is_tuned: whether there is a strength, or the learning rate alone.
    """
    network = get_model(model, data.final_seq_length, data.outputs)
    if not is_tuned:
        return fit_of(supervised(network), "adam", RATE)
    return fit_of(_penalised(network, penalty), "adam", {**RATE, "strength": STRENGTHS})


@functools.cache
def _penalised(network: Model, penalty: Callable[..., Any]) -> Objective:
    plain = supervised(network)

    def loss(params, batch, hparams, key):
        value, *rest = plain.loss(params, batch, hparams, key)
        return value + hparams["strength"] * penalty(params), *rest

    return plain._replace(loss=loss)


def try_regulariser(penalty: Any) -> None:
    """Compute the penalty of a network, and raise ValueError if that does not work."""
    params = jax.eval_shape(get_model("mlp").init, jax.random.key(0))
    shape = getattr(jax.eval_shape(penalty, params), "shape", None)
    if shape != ():
        raise RefusedError(f"{penalty.name} must return one number for a network's parameters, not shape {shape}")


def try_activation(activation: Any) -> None:
    """Apply an activation to some numbers, and raise ValueError if it does not work or is not elementwise."""
    x = jnp.linspace(-3, 3, 12).reshape(3, 4)
    values = checked(activation.name, activation(x), (3, 4))
    if not np.allclose(values, np.stack([activation(row) for row in x]), atol=1e-5):
        raise RefusedError(f"{activation.name} is not elementwise: its value for a number depends on others")
