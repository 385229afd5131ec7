"""Metagradients: gradients of a training run with respect to its hyper-parameters.

Hyper-parameters are any tree of numbers that the objective, the optimiser or the source of data reads: a learning rate,
a schedule, weight decay by layer, an activation's weights, a generator's noise. The whole inner run is differentiated
(Maclaurin, Duvenaud & Adams 2015): in forward mode, which keeps no states, for few hyper-parameters; otherwise in
reverse mode, which keeps some inner states and recomputes the others. Where a run is too long or too chaotic to be
differentiated, `Evolution` estimates a gradient from whole runs.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.flatten_util import ravel_pytree

from flylab.base.constraints import check
from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params, Scalar
from flylab.data.inputs import data_type_error
from flylab.data.splits import Source, Splits
from flylab.models.model import Model
from flylab.training.evolution import Evolution
from flylab.training.inputs import SplitArrays, as_arrays, as_objective
from flylab.training.objectives import Objective
from flylab.training.step import (
    Member,
    Plan,
    PreparedData,
    training_functions,
)
from flylab.training.train import check_training, train_to_end

History = dict[str, jax.Array]
Mode = Literal["auto", "forward", "reverse"] | Evolution
FEW = 3  # number of hyper-parameters up to which forward mode is faster
EXPLODED = 1e3  # a gradient norm of so many times the outer loss is useless for descent


class Metagradient(NamedTuple):
    """The gradient of an outer loss.

    Attributes:
        value: the outer loss.
        gradient: its gradient, a tree like the hyper-parameters.
        losses: training loss of each inner step, `(n_steps,)`.
    """

    value: Scalar
    gradient: Hparams
    losses: jax.Array


def mean_loss(history: History) -> Scalar:
    """Return the mean training loss of all inner steps."""
    return history["loss"].mean()


def metagradient(
    objective: Objective | Model,
    data: Splits | Source,
    plan: Plan,
    hparams: Hparams,
    *,
    key: Key,
    params: Params | None = None,
    fixed: Hparams | None = None,
    outer: Callable[[History], Scalar] = mean_loss,
    mode: Mode = "auto",
) -> Metagradient:
    """Compute the gradient of an outer loss, a function of the training history, with respect to `hparams`.

    Args:
        objective: objective of the inner run, e.g. `supervised(model)`, or a model, which is classification's.
        data: `Splits`, or a `Source`, whose data parameters may be among `hparams`.
        plan: plan of the inner run.
        hparams: hyper-parameters to differentiate with respect to.
        key: root of the inner run's randomness.
        params: initial parameters; by default the objective initialises them, given the hyper-parameters.
        fixed: further hyper-parameters.
        outer: history → outer loss, a scalar.
        mode: "forward", "reverse", or "auto": forward for up to three hyper-parameters; or an `Evolution`, which
            estimates the gradient from several runs.

    Raises:
        ValueError: for an unknown mode, a hyper-parameter that nothing reads, or a label that the network has no output
            for.
        TypeError: if `data` is neither `Splits` nor a `Source`.

    >>> import jax
    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> plan, hparams = Plan(20, optimizer="sgd"), {"learning_rate": 0.1}
    >>> result = metagradient(supervised(get_model("logistic")), splits, plan, hparams, key=jax.random.key(0))
    >>> bool(result.gradient["learning_rate"] < 0)  # a higher rate would lower the mean training loss
    True
    """
    check("mode", mode, Mode)
    if not isinstance(data, Splits | Source):
        raise data_type_error(data)
    objective = as_objective(objective)
    source, sets = (data, None) if isinstance(data, Source) else (None, as_arrays(data, objective.targets))
    member = Member(key, dict(fixed or {}), params)
    hparams = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), hparams)
    checked_data = data if sets is None else sets
    checked_member = member._replace(hparams=member.hparams | hparams)
    check_training(objective, plan, checked_data, checked_member)  # pyright: ignore[reportArgumentType]
    result = _program(objective, plan, outer, mode, source)(sets, member, hparams)
    if not isinstance(result.value, Tracer):
        warn_if_exploded(result.value, optax.tree.norm(result.gradient), plan)
    return result


@functools.cache
def _program(objective: Objective, plan: Plan, outer: Callable, mode: Mode, source: Source | None):
    functions = training_functions(objective, plan, source)
    differentiate = differentiated(objective, plan, outer, mode, source)

    def program(data: SplitArrays | None, member: Member, hparams: Hparams) -> Metagradient:
        prepared = None if data is None else functions.prepare_data(data, hparams)
        return differentiate(prepared, member, member.key, hparams, member.key)

    return jax.jit(program)


def differentiated(objective: Objective, plan: Plan, outer: Callable, mode: Mode, source: Source | None):
    """Return a function (prepared data or None, member with fixed hparams, initial key, hparams, key) → `Metagradient`.

    Only evolution uses the last key, from which it draws its deviates.
    """

    def run(in_plain: bool, data: PreparedData | None, member: Member, init_key: Key, hparams: Hparams, remat=False):
        run_objective = objective._replace(predict=_in_plain_operations(objective.predict)) if in_plain else objective
        functions, all_hparams = training_functions(run_objective, plan, source), member.hparams | hparams
        prepared = functions.prepare_data(None, all_hparams) if data is None else data
        params = member.params
        if params is None:
            params = run_objective.init(stream(init_key, "init"), all_hparams)
        run_member = Member(member.key, all_hparams, params)
        history = train_to_end(functions, plan, prepared, run_member, remat=remat).history
        return outer(history), history["loss"]

    def reverse(data: PreparedData | None, member: Member, init_key: Key, hparams: Hparams) -> Metagradient:
        value_and_grad = jax.value_and_grad(lambda h: run(False, data, member, init_key, h, remat=True), has_aux=True)
        (value, losses), gradient = value_and_grad(hparams)
        return Metagradient(value, gradient, losses)

    def forward(data: PreparedData | None, member: Member, init_key: Key, hparams: Hparams) -> Metagradient:
        flat, unravel = ravel_pytree(hparams)

        def along(direction):
            return jax.jvp(lambda h: run(True, data, member, init_key, unravel(h)), (flat,), (direction,), has_aux=True)

        if flat.size == 1:
            value, slopes, losses = along(jnp.ones_like(flat))
            slopes = slopes[None]
        else:
            value, slopes, losses = jax.vmap(along, out_axes=(None, 0, None))(jnp.eye(flat.size, dtype=flat.dtype))
        return Metagradient(value, unravel(slopes), losses)

    def differentiate(
        data: PreparedData | None, member: Member, init_key: Key, hparams: Hparams, key: Key
    ) -> Metagradient:
        if isinstance(mode, Evolution):
            value, losses = run(False, data, member, init_key, hparams)
            estimate = mode.gradient(
                lambda h: run(False, data, member, init_key, h)[0], hparams, stream(key, "deviates")
            )
            return Metagradient(value, estimate, losses)
        are_few = sum(jnp.size(leaf) for leaf in jax.tree.leaves(hparams)) <= FEW
        if mode == "reverse" or (mode == "auto" and not are_few):
            return reverse(data, member, init_key, hparams)
        try:
            return forward(data, member, init_key, hparams)
        except TypeError as error:  # a hand-written gradient within another
            if mode == "forward" or "custom_vjp" not in str(error):
                raise
            return reverse(data, member, init_key, hparams)

    return differentiate


def _in_plain_operations(predict: Callable) -> Callable:
    """Return `predict` without custom gradients, which forward mode cannot differentiate.

    Under reverse mode JAX replaces a function with a custom gradient by its forward rule, which has plain operations.
    """

    def plain(params, x, hparams, key):
        return jax.vjp(lambda *args: predict(*args, key), params, x, hparams)[0]

    return plain


def warn_if_exploded(values: Any, norms: Any, plan: Plan) -> None:
    """Warn if a gradient has exploded: a long run can be chaotic in its hyper-parameters."""
    values, norms = np.abs(np.asarray(values)), np.asarray(norms)
    exploded = ~(norms <= EXPLODED * np.maximum(values, 1e-3))
    if exploded.any():
        worst = norms.max() if np.isfinite(norms).all() else np.nan
        advice = "shorten the inner run, lower its learning rate, or clip outer gradients with optax.clip"
        if plan.optimizer != "sgd" and not np.isfinite(worst):
            advice += "; Adam's square root has no derivative at 0: set its eps_root, e.g. Plan(optimizer=lambda "
            advice += "hparams: optax.adam(hparams['learning_rate'], eps_root=1e-8))"
        warnings.warn(
            f"the metagradient through {plan.n_steps} inner steps exploded (norm {worst:.3g} in {exploded.sum()} of "
            f"{exploded.size} outer steps): {advice}",
            stacklevel=3,
        )
