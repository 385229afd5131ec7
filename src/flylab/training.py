"""Training one network: pure functions, whether run to the end at once or in pieces.

`train` is one pure, differentiable function. `steps` gives the same training in pieces, for populations: between any
two steps it can be stopped, shown, saved and taken up again, which changes nothing in the result.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from flylab.data.splits import SETS, Dataset, Source, Splits
from flylab.keys import stream
from flylab.objectives import Batch, Objective
from flylab.types import Key, Knobs, Params

ORDERS = ("fixed", "shuffled")
EVALUATION_CHUNK = 1000  # examples evaluated at once: more would fall out of the cache


def _adam(knobs: Knobs) -> optax.GradientTransformation:
    return optax.adam(knobs["learning_rate"])


def _sgd(knobs: Knobs) -> optax.GradientTransformation:
    return optax.sgd(knobs["learning_rate"], momentum=knobs.get("momentum"))


OPTIMIZERS: dict[str, Callable[[Knobs], optax.GradientTransformation]] = {"adam": _adam, "sgd": _sgd}


@dataclass(frozen=True)
class Plan:
    """What shapes the compiled program of a training run.

    Attributes:
        n_steps: optimiser steps.
        batch_size: examples a step.
        eval_every: steps between evaluations, or the steps to evaluate after; the start and the last step always are.
        order: "fixed" takes the examples in order, round and round, as the published notebooks do; "shuffled" draws a
            new order for each epoch (a last incomplete batch is dropped). On a `Source` every batch is fresh.
        optimizer: "adam", "sgd", or a function from the knobs to an optax transformation.
        keep: steps after which the parameters are kept (and the network evaluated), in ascending order.

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """

    n_steps: int
    batch_size: int = 100
    eval_every: int | tuple[int, ...] = 250
    order: str = "fixed"
    optimizer: str | Callable[[Knobs], optax.GradientTransformation] = "adam"
    keep: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("n_steps", 0), ("batch_size", 1), ("eval_every", 1)):
            value = getattr(self, name)
            if min(value, default=least) < least if isinstance(value, tuple) else value < least:
                raise ValueError(f"{name}={value} is not allowed: give a whole number ≥ {least}")
        if self.order not in ORDERS:
            raise ValueError(f"order={self.order!r} is not allowed: give one of {', '.join(ORDERS)}")
        if list(self.keep) != sorted(set(self.keep)) or not all(0 <= step <= self.n_steps for step in self.keep):
            raise ValueError(f"keep={self.keep} is not allowed: give steps from 0 to {self.n_steps} in ascending order")
        if isinstance(self.optimizer, str) and self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optimizer={self.optimizer!r} is not allowed: give one of {', '.join(OPTIMIZERS)}, or a function"
            )

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The steps after which the network is evaluated, 0, `n_steps` and those of `keep` among them."""
        every = self.eval_every
        steps = every if isinstance(every, tuple) else range(0, self.n_steps, every)
        return tuple(sorted({0, *(step for step in steps if step < self.n_steps), *self.keep, self.n_steps}))


class Trained(NamedTuple):
    """A trained network.

    Attributes:
        params: the parameters after the last step.
        history: at each evaluation `{train,valid,test}_{loss,accuracy} (n_evaluations,)`, accuracies in percent; from
            `train` also `loss (n_steps,)`, of each step's batch before the step. (Populations leave it out: to keep it
            costs the smallest networks a tenth of their time.)
        prediction: the predicted class of every test example after the last step, `(n_test,)` uint8.
        kept: the parameters after each step of the plan's `keep`, one tree each.
    """

    params: Params
    history: dict[str, jax.Array]
    prediction: jax.Array
    kept: tuple[Params, ...] = ()


class State(NamedTuple):
    """A training run between two steps."""

    step: jax.Array
    params: Params
    optimizer: Any
    order: jax.Array  # of the examples in this epoch, where it is not fixed
    history: dict[str, jax.Array]
    n_evaluated: jax.Array
    prediction: jax.Array  # of the test examples, at the last evaluation
    kept: tuple[Params, ...] = ()


class Arrays(NamedTuple):
    """The three sets of a `Splits`, in the engine's precision."""

    train: Dataset
    valid: Dataset
    test: Dataset


class Member(NamedTuple):
    """What tells one training run from another of the same shape on the same data."""

    key: Key
    knobs: Knobs
    params: Params | None = None  # to start from; by default the objective's own


class Laid(NamedTuple):
    """Data laid out for the loop: done once, since XLA would do it again in every step."""

    train: Any  # Dataset, x (n_batches, *shape, batch) where the order is fixed and divides, else (n, *shape);
    # of a Source what its examples share
    evaluated: jax.Array  # all sets one after the other, in chunks: (n_chunks, *shape, chunk)
    labels: tuple[jax.Array, ...]  # of each of SETS


class Steps(NamedTuple):
    """A training run in pieces: pure functions.

    Attributes:
        lay_out: (data, knobs) → the form of the data that the others take; of a `Source`, which is not data but
            part of the program, `(None, knobs)`.
        start: (data, member) → state before the first step.
        advance: (data, member, state, stop) → state after `stop` steps, evaluated on the way and at the end.
        n_steps: steps in all.
        options: XLA's compiler options for it.
    """

    lay_out: Callable[[Arrays | None, Knobs], Laid]
    start: Callable[[Laid, Member], State]
    advance: Callable[[Laid, Member, State, Any], State]
    n_steps: int
    options: tuple[tuple[str, bool | str], ...]


def not_data(given: Any) -> TypeError:
    """The error for what is neither splits nor a source."""
    return TypeError(
        f"{type(given).__name__} is no data to train on: give splits, as from published(config), or a source, as from "
        "endless(config)"
    )


def arrays(splits: Splits) -> Arrays:
    """A `Splits` as float32 inputs and int32 labels (NumPy: nothing goes to a device yet).

    Raises:
        ValueError: if the training or the test set is empty.
    """
    sets = [getattr(splits, name) for name in SETS]
    for name, one in zip(SETS, sets, strict=True):
        if len(one.y) == 0 and name != "valid":
            raise ValueError(f"n_{name}=0: training needs at least one {name} example")
    return Arrays(*(Dataset(one.x.astype("float32"), one.y.astype("int32")) for one in sets))


def check(objective: Objective, plan: Plan, data: Arrays | Source, member: Member) -> None:
    """Refuse knobs that nothing reads and labels beyond the network's outputs: both would train in silence.

    Raises:
        ValueError: naming the knob, or the label.
    """
    source, sets = (data, None) if isinstance(data, Source) else (None, data)
    leaves, tree = jax.tree.flatten((sets, member))
    shapes = tuple(jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    unread, n_outputs = _looked_through(objective, plan, source, tree, shapes)
    if unread:
        raise ValueError(f"the knob {unread[0]!r} is read by nothing in this training: is it spelt right?")
    for name, one in zip(SETS, sets or (), strict=False):
        if len(one.y) and not 0 <= one.y.min() <= one.y.max() < n_outputs:
            wrong = one.y.min() if one.y.min() < 0 else one.y.max()
            raise ValueError(f"label {wrong} in the {name} set, but the network has {n_outputs} outputs: give it more")


@functools.lru_cache(maxsize=64)
def _looked_through(
    objective: Objective, plan: Plan, source: Source | None, tree: Any, shapes: tuple[Any, ...]
) -> tuple[tuple[str, ...], int]:
    """The knobs that one step and its evaluation do not read, and the number of outputs. Traced once per program."""
    parts = _parts(objective, plan, source)
    sets, member = tree.unflatten(shapes)

    def once(knobs: Knobs, sets: Arrays | None, member: Member):
        own = member._replace(knobs=knobs)
        laid = parts.lay_out(sets, knobs)
        state = parts.start(laid, own)
        key = stream(member.key, "predict")
        return parts.step(laid, own, state)[1], objective.predict(state.params, laid.evaluated[0], knobs, key)

    traced, (_, out) = jax.make_jaxpr(once, return_shape=True)(member.knobs, sets, member._replace(knobs={}))
    read = {id(variable) for equation in traced.jaxpr.eqns for variable in equation.invars}
    paths = jax.tree.flatten_with_path(member.knobs)[0]
    names = [path[0].key for (path, _), v in zip(paths, traced.jaxpr.invars, strict=False) if id(v) not in read]
    return tuple(dict.fromkeys(names)), out.shape[0]


def train(
    objective: Objective, params: Params, splits: Splits | Source, plan: Plan, knobs: Knobs, *, key: Key
) -> Trained:
    """Train one network from `params`: a pure function, to jit, vmap or differentiate with respect to `knobs`.

    On a `Source` there is no training set: the history has the validation and test set only, and `loss`.

    >>> import jax
    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import zoo
    >>> from flylab.objectives import supervised
    >>> objective, key = supervised(zoo.logistic()), jax.random.key(0)
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> trained = train(objective, objective.init(key, {}), splits, Plan(n_steps=20), {"learning_rate": 1e-2}, key=key)
    >>> trained.history["loss"].shape
    (20,)
    """
    source = splits if isinstance(splits, Source) else None
    if not isinstance(splits, Splits | Source):
        raise not_data(splits)
    parts, member = _parts(objective, plan, source), Member(key, knobs, params)
    data = parts.lay_out(arrays(splits) if isinstance(splits, Splits) else None, knobs)
    state = parts.start(data, member)
    losses, evaluations, kept = [], [], []
    for begin, end in zip(plan.evaluated[:-1], plan.evaluated[1:], strict=True):
        evaluations.append(parts.evaluate(data, member, state.params)[0])
        kept += [state.params] * (begin in plan.keep)
        state, loss = jax.lax.scan(lambda s, _: parts.step(data, member, s), state, length=end - begin)
        losses.append(loss)
    last, prediction = parts.evaluate(data, member, state.params)
    kept += [state.params] * (plan.n_steps in plan.keep)
    history = jax.tree.map(lambda *values: jnp.stack(values), *evaluations, last)
    history["loss"] = jnp.concatenate(losses) if losses else jnp.zeros(0)
    return Trained(state.params, history, prediction, tuple(kept))


@functools.cache
def steps(objective: Objective, plan: Plan, source: Source | None = None) -> Steps:
    """The same training in pieces, its history filled in as it goes. Cached: the same arguments compile once."""
    parts = _parts(objective, plan, source)
    evaluated = np.array(plan.evaluated, np.int32)

    def record(data: Laid, member: Member, state: State) -> State:
        values, prediction = parts.evaluate(data, member, state.params)
        history = {name: state.history[name].at[state.n_evaluated].set(value) for name, value in values.items()}
        kept = tuple(
            jax.lax.cond(state.step == step, lambda: state.params, lambda one=one: one)
            for step, one in zip(plan.keep, state.kept, strict=True)
        )
        return state._replace(
            history=state.history | history, n_evaluated=state.n_evaluated + 1, prediction=prediction, kept=kept
        )

    def start(data: Laid, member: Member) -> State:
        state = parts.start(data, member)
        shapes, _ = jax.eval_shape(parts.evaluate, data, member, state.params)
        history = {name: jnp.zeros((len(plan.evaluated), *s.shape), s.dtype) for name, s in shapes.items()}
        return state._replace(history=history, kept=(jax.tree.map(jnp.zeros_like, state.params),) * len(plan.keep))

    def due(state: State):
        return state.step == jnp.asarray(evaluated)[jnp.minimum(state.n_evaluated, len(evaluated) - 1)]

    def segment(data: Laid, member: Member, state: State, stop) -> State:
        """To the next evaluation, or to `stop`. No branch within the inner loop: it would copy the state each step."""
        state = jax.lax.cond(due(state), lambda s: record(data, member, s), lambda s: s, state)
        target = jnp.minimum(stop, jnp.asarray(evaluated)[jnp.minimum(state.n_evaluated, len(evaluated) - 1)])
        return jax.lax.while_loop(lambda s: s.step < target, lambda s: parts.step(data, member, s)[0], state)

    def advance(data: Laid, member: Member, state: State, stop) -> State:
        stop = jnp.minimum(stop, plan.n_steps)  # beyond it nothing would ever be finished

        def unfinished(state: State):
            return (state.step < stop) | ((state.step == plan.n_steps) & (state.n_evaluated < len(evaluated)))

        return jax.lax.while_loop(unfinished, lambda s: segment(data, member, s, stop), state)

    return Steps(parts.lay_out, start, advance, plan.n_steps, objective.options)


class _Parts(NamedTuple):
    lay_out: Callable[[Arrays | None, Knobs], Laid]
    start: Callable[[Laid, Member], State]
    step: Callable[[Laid, Member, State], tuple[State, jax.Array]]
    evaluate: Callable[[Laid, Member, Params], tuple[dict[str, jax.Array], jax.Array]]


def _parts(objective: Objective, plan: Plan, source: Source | None = None) -> _Parts:
    make = OPTIMIZERS[plan.optimizer] if isinstance(plan.optimizer, str) else plan.optimizer

    def lay_out(data: Arrays | None, knobs: Knobs) -> Laid:
        if data is not None:
            sets = jax.tree.map(jnp.asarray, data)
            train = _batched(sets.train, plan)
        else:
            assert source is not None
            train = source.prepare(knobs)
            valid, test = source.evaluation(train, knobs)
            if len(test.y) == 0:
                raise ValueError("the source's test set is empty (n_test=0): training needs at least one test example")
            sets = Arrays(Dataset(test.x[:0], test.y[:0]), valid, test)
        x = jnp.concatenate([one.x for one in sets])  # one program for all sets compiles in a third of the time
        return Laid(train, _chunked(x), tuple(one.y for one in sets))

    def start(data: Laid, member: Member) -> State:
        params = member.params
        if params is None:
            params = objective.init(stream(member.key, "init"), member.knobs)
        order = jnp.zeros(len(data.train.y) if plan.order == "shuffled" and source is None else 1, jnp.int32)
        unknown = jnp.zeros(len(data.labels[-1]), jnp.uint8)
        return State(jnp.int32(0), params, make(member.knobs).init(params), order, {}, jnp.int32(0), unknown)

    def step(data: Laid, member: Member, state: State) -> tuple[State, jax.Array]:
        if source is None:
            order, batch = _batch(data.train, plan, state.step, state.order, member.key)
        else:
            order, batch = state.order, _fresh(source, data.train, plan, state.step, member)
        key = jax.random.fold_in(stream(member.key, "loss"), state.step)
        (loss, _), gradient = jax.value_and_grad(objective.loss, has_aux=True)(state.params, batch, member.knobs, key)
        updates, optimizer = make(member.knobs).update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return state._replace(step=state.step + 1, params=params, optimizer=optimizer, order=order), loss

    def evaluate(data: Laid, member: Member, params: Params) -> tuple[dict[str, jax.Array], jax.Array]:
        key = stream(member.key, "predict")
        out = jax.lax.map(lambda x: objective.predict(params, x, member.knobs, key), data.evaluated)
        out = jnp.moveaxis(out, 0, 1).reshape(out.shape[1], -1)  # from (n_chunks, n_outputs, chunk)
        y = jnp.concatenate(data.labels)
        loss, right = objective.error(out[:, : len(y)], y), out[:, : len(y)].argmax(0) == y
        values, begin, rows = {}, 0, slice(0)
        for name, labels in zip(SETS, data.labels, strict=True):
            rows = slice(begin, begin := begin + len(labels))
            if len(labels):
                values |= {f"{name}_loss": loss[rows].mean(), f"{name}_accuracy": 100 * right[rows].mean()}
        return values, out[:, rows].argmax(0).astype(jnp.uint8)  # of the last set, the test set

    return _Parts(lay_out, start, step, evaluate)


def _batched(train: Dataset, plan: Plan) -> Dataset:
    n, size = len(train.y), plan.batch_size
    if plan.order != "fixed" or n % size:
        return train
    x = train.x.reshape(n // size, size, *train.x.shape[1:])
    return Dataset(jnp.moveaxis(x, 1, -1), train.y.reshape(n // size, size))


def _batch(train: Dataset, plan: Plan, step, order, key: Key) -> tuple[jax.Array, Batch]:
    """The batch of a step, batch last, and the epoch's order."""
    if train.y.ndim == 2:  # laid out in batches
        i = step % len(train.y)
        return order, Batch(train.x[i], train.y[i])
    n, size = len(train.y), plan.batch_size
    if plan.order == "shuffled":
        n_batches = max(n // size, 1)
        epoch, i = step // n_batches, step % n_batches
        drawn = stream(key, "order")
        order = jax.lax.cond(
            i == 0,
            lambda: _shuffled(jax.random.fold_in(drawn, epoch), n),
            lambda: order,
        )
        rows = jax.lax.dynamic_slice_in_dim(order, i * size, min(size, n))
    else:
        rows = (step * size + jnp.arange(size)) % n
    return order, Batch(jnp.moveaxis(train.x[rows], 0, -1), train.y[rows])


def _shuffled(key: Key, n: int) -> jax.Array:
    """0 … n − 1 in random order, much faster than `jax.random.permutation`, which costs more than a small network.

    One sort of single words: random bits above, the number below. Of the few whose random bits are equal, either comes
    first as often as the other, since all numbers are masked by the same random bits.
    """
    n_bits = max(n - 1, 1).bit_length()
    if n_bits > 14:  # too few random bits would be left
        return jax.random.permutation(key, n).astype(jnp.int32)
    low = jnp.uint32((1 << n_bits) - 1)
    bits = jax.random.bits(key, (n + 1,))
    mask = bits[n] & low
    ordered = jnp.sort((bits[:n] & ~low) | (jnp.arange(n, dtype=jnp.uint32) ^ mask))
    return ((ordered & low) ^ mask).astype(jnp.int32)


def _fresh(source: Source, shared: Any, plan: Plan, step, member: Member) -> Batch:
    """The batch of a step, batch last, made for it."""
    key = stream(member.key, "data")
    numbers = step * plan.batch_size + jnp.arange(plan.batch_size)
    return Batch(*jax.vmap(lambda i: source.example(shared, member.knobs, key, i), out_axes=(-1, -1))(numbers))


def _chunked(x) -> jax.Array:
    """Rows `x (n, *shape)` in equal batch-last chunks `(n_chunks, *shape, chunk)`, the last filled up."""
    n = len(x)
    n_chunks = -(-n // EVALUATION_CHUNK)
    size = -(-n // n_chunks)
    padded = jnp.concatenate([x, jnp.repeat(x[-1:], n_chunks * size - n, axis=0)])
    return jnp.moveaxis(padded.reshape(n_chunks, size, *x.shape[1:]), 1, -1)
