"""Training of one network, as one pure function or in chunks.

`train` is one pure, differentiable function. `training_run` gives the same training in chunks, for populations: it can
be stopped, saved and resumed between any two steps without changing the result.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from flylab.base import files
from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params
from flylab.data.inputs import data_type_error
from flylab.data.splits import SETS, Source, Splits
from flylab.models.model import Model
from flylab.training.inputs import SplitArrays, as_arrays, as_objective
from flylab.training.objectives import Objective
from flylab.training.step import (
    Member,
    Plan,
    PreparedData,
    State,
    TrainingFunctions,
    initial,
    trained_params,
    training_functions,
)

REMAT_BYTES = 2**27  # limit on the states that reverse mode keeps


class Trained(NamedTuple):
    """A trained network.

    Attributes:
        params: parameters after the last step.
        history: `{train,valid,test}_{loss,accuracy} (n_evaluations,)`, accuracies in percent, and of classes only; and
            of each step's batch, before the step, `loss (n_steps,)` and the metrics that the objective's loss returns.
            Populations record `loss` only if the plan has `record_loss`, because recording it takes a tenth of the time
            of the smallest networks.
        prediction: predicted classes of the test set after the last step, `(n_test,)`, of the type that
            `data.inputs.class_dtype` gives for the outputs: uint8 for up to 255; where the objective's targets are no
            classes, the network's outputs `(n_test, n_outputs)`.
        saved_params: parameters after each step of the plan's `save_params_at`.
    """

    params: Params
    history: dict[str, jax.Array]
    prediction: jax.Array
    saved_params: tuple[Params, ...] = ()


class TrainingRun(NamedTuple):
    """A training run in chunks, as pure functions.

    Attributes:
        prepare_data: (data, hparams) → data in the layout that the other functions take. For a `Source`, which is part
            of the program, data is None.
        start: (data, member) → state before the first step.
        advance: (data, member, state, stop) → state after `stop` steps, with all evaluations due until then.
        n_steps: total number of steps.
        options: XLA's compiler options.
        first_chunk: steps of the first dispatch, whose duration determines the length of the next.
        most_at_once: members that one device may train at once, where each takes much memory.
        initial: member → the parameters that `start` would draw; in a program of its own, which other plans and data
            then share. None where `start` draws none.
    """

    prepare_data: Callable[[SplitArrays | None, Hparams], Any]
    start: Callable[[Any, Member], State]
    advance: Callable[[Any, Member, State, Any], State]
    n_steps: int
    options: tuple[tuple[str, bool | str], ...]
    first_chunk: int = 25
    most_at_once: int = 1 << 30
    initial: Callable[[Member], Params] | None = None


def check_training(objective: Objective, plan: Plan, data: SplitArrays | Source, member: Member) -> None:
    """Raise an error for hyper-parameters that nothing reads and for labels that the network has no output for.

    Without this check, both would be ignored silently.

    Raises:
        ValueError: for such a hyper-parameter or label, or a hyper-parameter that is missing.
    """
    source, sets = (data, None) if isinstance(data, Source) else (None, data)
    leaves, tree = jax.tree.flatten((sets, member))
    shapes = tuple(jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    if isinstance(plan.optimizer, str) and "learning_rate" not in member.hparams:
        given = ", ".join(member.hparams) or "none"
        raise ValueError(f"the hyper-parameter 'learning_rate' is missing; there are {given}")
    unread, n_outputs = _inspect(objective, plan, source, tree, shapes)
    if unread:
        raise ValueError(
            f"the hyper-parameter {unread[0]!r} is read by nothing in this training run; check its spelling"
        )
    for name, dataset in zip(SETS, (sets or ()) if objective.targets == "classes" else (), strict=False):
        if dataset is None or isinstance(dataset.y, Tracer) or dataset.y.max() < n_outputs:
            continue  # or else traced, and known to nobody
        allowed = f"from 0 to {n_outputs - 1}; the network has {n_outputs} outputs"
        raise ValueError(f"label {dataset.y.max()} in the {name} set must be {allowed}")


@functools.lru_cache(maxsize=64)
def _inspect(
    objective: Objective, plan: Plan, source: Source | None, tree: Any, shapes: tuple[Any, ...]
) -> tuple[tuple[str, ...], int]:
    """Return the hyper-parameters that one step and its evaluation do not read, and the number of outputs.

    Cached, so that each program is traced once.
    """
    functions = training_functions(objective, plan, source)
    sets, member = tree.unflatten(shapes)
    _check_network(objective, None if sets is None else sets.test.x, member)

    def one_step(hparams: Hparams, sets: SplitArrays | None, member: Member):
        member = member._replace(hparams=hparams)
        data, prepared_member = functions.prepare_data(sets, hparams), functions.prepare_member(member)
        state = functions.draw_order(data, prepared_member, functions.start(data, member))
        key = stream(member.key, "predict")
        out = objective.predict(state.params, data.evaluated[0], prepared_member.hparams, key)
        return functions.step(data, prepared_member, state)[1], out

    traced, (_, out) = jax.make_jaxpr(one_step, return_shape=True)(member.hparams, sets, member._replace(hparams={}))
    read = {id(variable) for equation in traced.jaxpr.eqns for variable in equation.invars}
    paths = jax.tree.flatten_with_path(member.hparams)[0]
    names = [path[0].key for (path, _), v in zip(paths, traced.jaxpr.invars, strict=False) if id(v) not in read]
    return tuple(dict.fromkeys(names)), out.shape[0]


def _check_network(objective: Objective, x: Any, member: Member) -> None:
    """Refuse a network that does not fit into memory, once for each device, or whose outputs are not as they must be.

    Args:
        objective: the objective.
        x: examples, as shapes; None for a `Source`.
        member: the network, as shapes.

    Raises:
        ValueError: for either.
    """
    params = member.params
    if params is None:
        params = jax.eval_shape(objective.init, member.key, member.hparams)
    if jax.default_backend() == "cpu":
        n_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))
        n_bytes *= 4 * jax.device_count()  # gradients and two moments as well
        files.require_memory(n_bytes, "training a network of this size")
    if x is None:
        return

    def predict(params: Params, x: Any, member: Member) -> Any:
        return objective.predict(params, x, objective.prepare(member.hparams), member.key)

    out = jax.eval_shape(predict, params, jax.ShapeDtypeStruct((*x.shape[1:], 2), x.dtype), member)
    is_array = hasattr(out, "shape")
    if not is_array or len(out.shape) != 2 or out.shape[1] != 2 or not jnp.issubdtype(out.dtype, jnp.floating):
        given = f"{out.dtype} of shape {out.shape}" if is_array else type(out).__name__
        raise ValueError(f"for 2 examples the network returns {given}; it must return floats of shape (n_outputs, 2)")


def train(
    objective: Objective | Model,
    params: Params,
    data: Splits | Source,
    plan: Plan,
    hparams: Hparams,
    *,
    key: Key,
    remat: bool = False,
) -> Trained:
    """Train one network: a pure function that can be jitted, vmapped and differentiated with respect to `hparams`.

    With a `Source` the history has no metrics of a training set.

    Args:
        objective: the objective, e.g. `supervised(model)`, or a model, which is classification's.
        params: initial parameters.
        data: `Splits`, or a `Source` of fresh data.
        plan: steps, batches, evaluations and optimiser.
        hparams: hyper-parameters, e.g. `{"learning_rate": 1e-2}`.
        key: root of all randomness.
        remat: whether reverse-mode differentiation saves memory by keeping only some states and recomputing the
            others. It has no effect without differentiation.

    Raises:
        TypeError: if `data` is neither `Splits` nor a `Source`, or `objective` neither an objective nor a model.
        ValueError: if the sets do not fit together (see `data.inputs`), for a hyper-parameter that is missing or that
            nothing reads, or a label that the network has no output for.

    >>> import jax
    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> objective, key = supervised(get_model("logistic")), jax.random.key(0)
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> trained = train(objective, objective.init(key, {}), splits, Plan(n_steps=20), {"learning_rate": 1e-2}, key=key)
    >>> trained.history["loss"].shape
    (20,)
    """
    source = data if isinstance(data, Source) else None
    if not isinstance(data, Splits | Source):
        raise data_type_error(data)
    objective = as_objective(objective)
    sets = as_arrays(data, objective.targets) if isinstance(data, Splits) else None
    functions, member = training_functions(objective, plan, source), Member(key, hparams, params)
    check_training(objective, plan, source or sets, member)  # pyright: ignore[reportArgumentType]
    return train_to_end(functions, plan, functions.prepare_data(sets, hparams), member, remat)


def train_to_end(
    functions: TrainingFunctions, plan: Plan, data: PreparedData, member: Member, remat: bool = False
) -> Trained:
    """Train from the first step to the last."""
    evaluate = jax.checkpoint(functions.evaluate) if remat else functions.evaluate
    state, member = functions.start(data, member), functions.prepare_member(member)

    def step(state: State) -> tuple[State, dict[str, jax.Array]]:
        return functions.step(data, member, functions.draw_order(data, member, state))

    records, evaluations, saved_params = [], [], []
    for begin, end in zip(plan.evaluated[:-1], plan.evaluated[1:], strict=True):
        params = trained_params(state)
        evaluations.append(evaluate(data, member, params)[0])
        saved_params += [params] * (begin in plan.save_params_at)
        state, record = _repeated(step, state, end - begin, remat)
        records.append(record)
    params = trained_params(state)
    last, prediction = evaluate(data, member, params)
    saved_params += [params] * (plan.n_steps in plan.save_params_at)
    history = jax.tree.map(lambda *values: jnp.stack(values), *evaluations, last)
    history |= jax.tree.map(lambda *parts: jnp.concatenate(parts), *records) if records else {"loss": jnp.zeros(0)}
    return Trained(params, history, prediction, tuple(saved_params))


def _repeated(step: Callable, state: State, n: int, remat: bool) -> tuple[State, dict[str, jax.Array]]:
    """Take `n` steps. With `remat`, reverse mode keeps every `inner`th state, as many as fit in REMAT_BYTES."""
    if not remat:
        return jax.lax.scan(lambda s, _: step(s), state, length=n)
    n_bytes = n * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    inner = min(max(round(n_bytes / REMAT_BYTES), 1), max(math.isqrt(n), 1))
    remat_step = jax.checkpoint(step)
    if inner == 1:
        return jax.lax.scan(lambda s, _: remat_step(s), state, length=n)
    remat_steps = jax.checkpoint(lambda s: jax.lax.scan(lambda s, _: remat_step(s), s, length=inner))
    state, records = jax.lax.scan(lambda s, _: remat_steps(s), state, length=n // inner)
    state, rest = jax.lax.scan(lambda s, _: remat_step(s), state, length=n % inner)
    return state, jax.tree.map(lambda many, few: jnp.concatenate([many.ravel(), few]), records, rest)


@functools.cache
def training_run(objective: Objective, plan: Plan, source: Source | None = None) -> TrainingRun:
    """Return the training of `train` in chunks, with a history that fills up. Cached, so that it compiles once."""
    functions = training_functions(objective, plan, source)
    evaluated = np.array(plan.evaluated, np.int32)

    def record(data: PreparedData, member: Member, state: State) -> State:
        params = trained_params(state)
        values, prediction = functions.evaluate(data, member, params)
        history = {name: state.history[name].at[state.n_evaluated].set(value) for name, value in values.items()}
        saved_params = tuple(
            jax.lax.cond(state.step == step, lambda: params, lambda saved=saved: saved)
            for step, saved in zip(plan.save_params_at, state.saved_params, strict=True)
        )
        return state._replace(
            history=state.history | history,
            n_evaluated=state.n_evaluated + 1,
            prediction=prediction,
            saved_params=saved_params,
        )

    def start(data: PreparedData, member: Member) -> State:
        state = functions.start(data, member)
        prepared = functions.prepare_member(member)
        shapes, predicted = jax.eval_shape(functions.evaluate, data, prepared, state.params)
        history = {name: jnp.zeros((len(plan.evaluated), *s.shape), s.dtype) for name, s in shapes.items()}
        for name, s in jax.eval_shape(functions.step, data, prepared, state)[1].items():
            if name != "loss" or plan.record_loss:
                history[name] = jnp.zeros(plan.n_steps, s.dtype)
        return state._replace(
            history=history,
            prediction=jnp.zeros(predicted.shape, predicted.dtype),
            saved_params=(jax.tree.map(jnp.zeros_like, state.params),) * len(plan.save_params_at),
        )

    def due(state: State):
        return state.step == jnp.asarray(evaluated)[jnp.minimum(state.n_evaluated, len(evaluated) - 1)]

    def step(data: PreparedData, member: Member, state: State) -> State:
        after, values = functions.step(data, member, state)
        kept = {name: state.history[name].at[state.step].set(values[name]) for name in values if name in state.history}
        return after._replace(history=state.history | kept) if kept else after

    def segment(data: PreparedData, member: Member, state: State, stop) -> State:
        # Advance to the next evaluation, the end of the epoch or `stop`. A branch within the inner loop would copy the
        # state in every step.
        state = jax.lax.cond(due(state), lambda s: record(data, member, s), lambda s: s, state)
        target = jnp.minimum(stop, jnp.asarray(evaluated)[jnp.minimum(state.n_evaluated, len(evaluated) - 1)])
        if functions.epoch_end is not None:
            ordered = functions.draw_order(data, member, state)
            state, target = ordered, jnp.minimum(target, functions.epoch_end(data, state))
        return jax.lax.while_loop(lambda s: s.step < target, lambda s: step(data, member, s), state)

    def advance(data: PreparedData, member: Member, state: State, stop) -> State:
        stop = jnp.minimum(stop, plan.n_steps)  # otherwise the loop would never end
        member = functions.prepare_member(member)

        def unfinished(state: State):
            return (state.step < stop) | ((state.step == plan.n_steps) & (state.n_evaluated < len(evaluated)))

        return jax.lax.while_loop(unfinished, lambda s: segment(data, member, s, stop), state)

    return TrainingRun(
        functions.prepare_data, start, advance, plan.n_steps, objective.options, initial=initial(objective)
    )
