"""Training one network: pure functions, whether run to the end at once or in pieces.

`train` is one pure, differentiable function. `steps` gives the same training in pieces, for populations: between any
two steps it can be stopped, shown, saved and taken up again, which changes nothing in the result.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params
from flylab.data.splits import SETS, Source, Splits
from flylab.training.objectives import Objective
from flylab.training.step import Arrays, Laid, Member, Parts, Plan, State, arrays, not_data, parts_of

REMAT_BYTES = 2**27  # of states that reverse mode may keep


class Trained(NamedTuple):
    """A trained network.

    Attributes:
        params: the parameters after the last step.
        history: at each evaluation `{train,valid,test}_{loss,accuracy} (n_evaluations,)`, accuracies in percent; from
            `train` also `loss (n_steps,)`, of each step's batch before the step. (Populations leave it out unless the
            plan asks for it: to keep it costs the smallest networks a tenth of their time.)
        prediction: the predicted class of every test example after the last step, `(n_test,)` uint8.
        saved_params: the parameters after each step of the plan's `save_params_at`, one tree each.
    """

    params: Params
    history: dict[str, jax.Array]
    prediction: jax.Array
    saved_params: tuple[Params, ...] = ()


class Steps(NamedTuple):
    """A training run in pieces: pure functions.

    Attributes:
        lay_out: (data, hparams) → the form of the data that the others take; of a `Source`, which is not data but
            part of the program, `(None, hparams)`.
        start: (data, member) → state before the first step.
        advance: (data, member, state, stop) → state after `stop` steps, evaluated on the way and at the end.
        n_steps: steps in all.
        options: XLA's compiler options for it.
        first_chunk: steps of the first dispatch, from whose time the number for the next is learnt.
    """

    lay_out: Callable[[Arrays | None, Hparams], Any]
    start: Callable[[Any, Member], State]
    advance: Callable[[Any, Member, State, Any], State]
    n_steps: int
    options: tuple[tuple[str, bool | str], ...]
    first_chunk: int = 25


def check(objective: Objective, plan: Plan, data: Arrays | Source, member: Member) -> None:
    """Refuse hyper-parameters that nothing reads and labels beyond the network's outputs: both would train in silence.

    Raises:
        ValueError: naming the hyper-parameter, or the label.
    """
    source, sets = (data, None) if isinstance(data, Source) else (None, data)
    leaves, tree = jax.tree.flatten((sets, member))
    shapes = tuple(jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    unread, n_outputs = _looked_through(objective, plan, source, tree, shapes)
    if unread:
        raise ValueError(f"the hyper-parameter {unread[0]!r} is read by nothing in this training: is it spelt right?")
    for name, one in zip(SETS, sets or (), strict=False):
        if len(one.y) and not 0 <= one.y.min() <= one.y.max() < n_outputs:
            wrong = one.y.min() if one.y.min() < 0 else one.y.max()
            raise ValueError(f"label {wrong} in the {name} set, but the network has {n_outputs} outputs: give it more")


@functools.lru_cache(maxsize=64)
def _looked_through(
    objective: Objective, plan: Plan, source: Source | None, tree: Any, shapes: tuple[Any, ...]
) -> tuple[tuple[str, ...], int]:
    """The hyper-parameters that one step and its evaluation do not read, and the number of outputs. Traced once per program."""
    parts = parts_of(objective, plan, source)
    sets, member = tree.unflatten(shapes)

    def once(hparams: Hparams, sets: Arrays | None, member: Member):
        member = member._replace(hparams=hparams)
        laid, own = parts.lay_out(sets, hparams), parts.prepared(member)
        state = parts.ordered(laid, own, parts.start(laid, member))
        out = objective.predict(state.params, laid.evaluated[0], own.hparams, stream(member.key, "predict"))
        return parts.step(laid, own, state)[1], out

    traced, (_, out) = jax.make_jaxpr(once, return_shape=True)(member.hparams, sets, member._replace(hparams={}))
    read = {id(variable) for equation in traced.jaxpr.eqns for variable in equation.invars}
    paths = jax.tree.flatten_with_path(member.hparams)[0]
    names = [path[0].key for (path, _), v in zip(paths, traced.jaxpr.invars, strict=False) if id(v) not in read]
    return tuple(dict.fromkeys(names)), out.shape[0]


def train(
    objective: Objective,
    params: Params,
    data: Splits | Source,
    plan: Plan,
    hparams: Hparams,
    *,
    key: Key,
    remat: bool = False,
) -> Trained:
    """Train one network from `params`: a pure function, to jit, vmap or differentiate with respect to `hparams`.

    On a `Source` there is no training set: the history has the validation and test set only, and `loss`.

    Args:
        objective: what to learn, e.g. `supervised(model)`.
        params: to start from.
        data: `Splits`, or a `Source` of fresh data.
        plan: what shapes the program.
        hparams: the rest, e.g. `{"learning_rate": 1e-2}`.
        key: the root of all randomness.
        remat: whether reverse-mode differentiation is to save memory: it then keeps the state between some steps
            only and computes the others again. Without differentiation it changes nothing.

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
        raise not_data(data)
    parts, member = parts_of(objective, plan, source), Member(key, hparams, params)
    laid = parts.lay_out(arrays(data) if isinstance(data, Splits) else None, hparams)
    return whole(parts, plan, laid, member, remat)


def whole(parts: Parts, plan: Plan, data: Laid, member: Member, remat: bool = False) -> Trained:
    """A training run from its start to its end."""
    evaluate = jax.checkpoint(parts.evaluate) if remat else parts.evaluate
    state, member = parts.start(data, member), parts.prepared(member)

    def step(state: State) -> tuple[State, jax.Array]:
        return parts.step(data, member, parts.ordered(data, member, state))

    losses, evaluations, saved_params = [], [], []
    for begin, end in zip(plan.evaluated[:-1], plan.evaluated[1:], strict=True):
        evaluations.append(evaluate(data, member, state.params)[0])
        saved_params += [state.params] * (begin in plan.save_params_at)
        state, loss = _repeated(step, state, end - begin, remat)
        losses.append(loss)
    last, prediction = evaluate(data, member, state.params)
    saved_params += [state.params] * (plan.n_steps in plan.save_params_at)
    history = jax.tree.map(lambda *values: jnp.stack(values), *evaluations, last)
    history["loss"] = jnp.concatenate(losses) if losses else jnp.zeros(0)
    return Trained(state.params, history, prediction, tuple(saved_params))


def _repeated(step: Callable, state: State, n: int, remat: bool) -> tuple[State, jax.Array]:
    """`n` steps. With `remat`, reverse mode keeps every `inner`th state, as many as fit in REMAT_BYTES."""
    if not remat:
        return jax.lax.scan(lambda s, _: step(s), state, length=n)
    n_bytes = n * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    inner = min(max(round(n_bytes / REMAT_BYTES), 1), max(math.isqrt(n), 1))
    one = jax.checkpoint(step)
    if inner == 1:
        return jax.lax.scan(lambda s, _: one(s), state, length=n)
    some = jax.checkpoint(lambda s: jax.lax.scan(lambda s, _: one(s), s, length=inner))
    state, losses = jax.lax.scan(lambda s, _: some(s), state, length=n // inner)
    state, rest = jax.lax.scan(lambda s, _: one(s), state, length=n % inner)
    return state, jnp.concatenate([losses.ravel(), rest])


@functools.cache
def steps(objective: Objective, plan: Plan, source: Source | None = None) -> Steps:
    """The same training in pieces, its history filled in as it goes. Cached: the same arguments compile once."""
    parts = parts_of(objective, plan, source)
    evaluated = np.array(plan.evaluated, np.int32)

    def record(data: Laid, member: Member, state: State) -> State:
        values, prediction = parts.evaluate(data, member, state.params)
        history = {name: state.history[name].at[state.n_evaluated].set(value) for name, value in values.items()}
        saved_params = tuple(
            jax.lax.cond(state.step == step, lambda: state.params, lambda one=one: one)
            for step, one in zip(plan.save_params_at, state.saved_params, strict=True)
        )
        return state._replace(
            history=state.history | history,
            n_evaluated=state.n_evaluated + 1,
            prediction=prediction,
            saved_params=saved_params,
        )

    def start(data: Laid, member: Member) -> State:
        state = parts.start(data, member)
        shapes, _ = jax.eval_shape(parts.evaluate, data, parts.prepared(member), state.params)
        history = {name: jnp.zeros((len(plan.evaluated), *s.shape), s.dtype) for name, s in shapes.items()}
        history |= {"loss": jnp.zeros(plan.n_steps)} if plan.record_loss else {}
        return state._replace(
            history=history, saved_params=(jax.tree.map(jnp.zeros_like, state.params),) * len(plan.save_params_at)
        )

    def due(state: State):
        return state.step == jnp.asarray(evaluated)[jnp.minimum(state.n_evaluated, len(evaluated) - 1)]

    def one(data: Laid, member: Member, state: State) -> State:
        after, loss = parts.step(data, member, state)
        if plan.record_loss:
            after = after._replace(history=state.history | {"loss": state.history["loss"].at[state.step].set(loss)})
        return after

    def segment(data: Laid, member: Member, state: State, stop) -> State:
        """To the next evaluation, the epoch's end, or `stop`. No branch within the inner loop: it would copy the state
        each step."""
        state = jax.lax.cond(due(state), lambda s: record(data, member, s), lambda s: s, state)
        target = jnp.minimum(stop, jnp.asarray(evaluated)[jnp.minimum(state.n_evaluated, len(evaluated) - 1)])
        if parts.epoch_end is not None:
            state, target = parts.ordered(data, member, state), jnp.minimum(target, parts.epoch_end(data, state))
        return jax.lax.while_loop(lambda s: s.step < target, lambda s: one(data, member, s), state)

    def advance(data: Laid, member: Member, state: State, stop) -> State:
        stop = jnp.minimum(stop, plan.n_steps)  # beyond it nothing would ever be finished
        member = parts.prepared(member)

        def unfinished(state: State):
            return (state.step < stop) | ((state.step == plan.n_steps) & (state.n_evaluated < len(evaluated)))

        return jax.lax.while_loop(unfinished, lambda s: segment(data, member, s, stop), state)

    return Steps(parts.lay_out, start, advance, plan.n_steps, objective.options)
