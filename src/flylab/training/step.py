"""One optimiser step and one evaluation of one network: the pure functions that every way of training consists of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from flylab.base.constraints import Checked, NonNegativeInt, PositiveInt
from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params
from flylab.data.splits import SETS, Dataset, Source, Splits
from flylab.training.objectives import Batch, Objective

EVALUATION_CHUNK = 1000  # examples evaluated at once: more would fall out of the cache


def _adam(hparams: Hparams) -> optax.GradientTransformation:
    return optax.adam(hparams["learning_rate"])


def _sgd(hparams: Hparams) -> optax.GradientTransformation:
    return optax.sgd(hparams["learning_rate"], momentum=hparams.get("momentum"))


OPTIMIZERS: dict[str, Callable[[Hparams], optax.GradientTransformation]] = {"adam": _adam, "sgd": _sgd}


@dataclass(frozen=True)
class Plan(Checked):
    """What shapes the compiled program of a training run.

    Attributes:
        n_steps: optimiser steps.
        batch_size: examples a step.
        eval_every: steps between evaluations, or the steps to evaluate after; the start and the last step always are.
        shuffle: draw a new order of the examples for each epoch (a last incomplete batch is dropped). By default they
            are taken in order, round and round, as the published notebooks do. On a `Source` every batch is fresh.
        optimizer: "adam", "sgd", or a function from the hyper-parameters to an optax transformation.
        save_params_at: steps after which the parameters are saved (and the network evaluated), in ascending order.
        record_loss: whether a population records the loss of every step's batch, too (`train` always does).

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """

    n_steps: NonNegativeInt
    batch_size: PositiveInt = 100
    eval_every: PositiveInt | tuple[PositiveInt, ...] = 250
    shuffle: bool = False
    optimizer: Literal["adam", "sgd"] | Callable[[Hparams], optax.GradientTransformation] = "adam"
    save_params_at: tuple[NonNegativeInt, ...] = ()
    record_loss: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = self.save_params_at
        is_ascending = list(steps) == sorted(set(steps)) and max(steps, default=0) <= self.n_steps
        self._require(is_ascending, "save_params_at", f"steps from 0 to {self.n_steps} in ascending order")

    @property
    def evaluated(self) -> tuple[int, ...]:
        """The steps after which the network is evaluated, 0, `n_steps` and those of `save_params_at` among them."""
        every = self.eval_every
        steps = every if isinstance(every, tuple) else range(0, self.n_steps, every)
        return tuple(sorted({0, *(step for step in steps if step < self.n_steps), *self.save_params_at, self.n_steps}))


class State(NamedTuple):
    """A training run between two steps."""

    step: jax.Array
    params: Params
    optimizer: Any
    order: jax.Array  # of the examples in this epoch, where it is not fixed
    history: dict[str, jax.Array]
    n_evaluated: jax.Array
    prediction: jax.Array  # of the test examples, at the last evaluation
    saved_params: tuple[Params, ...] = ()


class Arrays(NamedTuple):
    """The three sets of a `Splits`, in the engine's precision."""

    train: Dataset
    valid: Dataset
    test: Dataset


class Member(NamedTuple):
    """What tells one training run from another of the same shape on the same data."""

    key: Key
    hparams: Hparams
    params: Params | None = None  # to start from; by default the objective's own


class Laid(NamedTuple):
    """Data laid out for the loop: done once, since XLA would do it again in every step."""

    train: Any  # Dataset, x (n_batches, *shape, batch) where the order is fixed and divides, else (n, *shape);
    # of a Source what its examples share
    evaluated: jax.Array  # all sets one after the other, in chunks: (n_chunks, *shape, chunk)
    labels: tuple[jax.Array, ...]  # of each of SETS


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


class Parts(NamedTuple):
    """What a training run consists of; `evaluate` gives the metrics, and the predicted classes of the test set.

    The member that the last four are given has been `prepared`. Before a step the state is to be `ordered`, once in an
    epoch at least; `epoch_end` is the step with which the state's epoch ends, None where there is no order to draw.
    """

    prepared: Callable[[Member], Member]
    lay_out: Callable[[Arrays | None, Hparams], Laid]
    start: Callable[[Laid, Member], State]
    ordered: Callable[[Laid, Member, State], State]
    epoch_end: Callable[[Laid, State], Any] | None
    step: Callable[[Laid, Member, State], tuple[State, jax.Array]]
    evaluate: Callable[[Laid, Member, Params], tuple[dict[str, jax.Array], jax.Array]]


def parts_of(objective: Objective, plan: Plan, source: Source | None = None) -> Parts:
    """Build the parts of a training run."""
    make = OPTIMIZERS[plan.optimizer] if isinstance(plan.optimizer, str) else plan.optimizer
    shuffled = plan.shuffle and source is None

    def prepared(member: Member) -> Member:
        return member._replace(hparams=objective.prepare(member.hparams))

    def lay_out(data: Arrays | None, hparams: Hparams) -> Laid:
        if data is not None:
            sets = jax.tree.map(jnp.asarray, data)
            train = _batched(sets.train, plan)
        else:
            assert source is not None
            train = source.prepare(hparams)
            valid, test = source.evaluation(train, hparams)
            if len(test.y) == 0:
                raise ValueError("the source's test set is empty (n_test=0): training needs at least one test example")
            sets = Arrays(Dataset(test.x[:0], test.y[:0]), valid, test)
        x = jnp.concatenate([one.x for one in sets])  # one program for all sets compiles in a third of the time
        return Laid(train, _chunked(x), tuple(one.y for one in sets))

    def start(data: Laid, member: Member) -> State:
        params = member.params
        if params is None:
            params = objective.init(stream(member.key, "init"), member.hparams)
        order = jnp.zeros(len(data.train.y) if shuffled else 1, jnp.int32)
        unknown = jnp.zeros(len(data.labels[-1]), jnp.uint8)
        return State(jnp.int32(0), params, make(member.hparams).init(params), order, {}, jnp.int32(0), unknown)

    def ordered(data: Laid, member: Member, state: State) -> State:
        """With the order of its epoch, if the epoch is about to begin."""
        if not shuffled:
            return state
        n = _n_batches(data.train, plan)
        key = jax.random.fold_in(stream(member.key, "order"), state.step // n)
        begins, n_train = state.step % n == 0, len(data.train.y)
        return state._replace(order=jax.lax.cond(begins, lambda: _shuffled(key, n_train), lambda: state.order))

    def epoch_end(data: Laid, state: State):
        n = _n_batches(data.train, plan)
        return (state.step // n + 1) * n

    def step(data: Laid, member: Member, state: State) -> tuple[State, jax.Array]:
        if source is None:
            batch = _batch(data.train, plan, state.step, state.order)
        else:
            batch = _fresh(source, data.train, plan, state.step, member)
        key = jax.random.fold_in(stream(member.key, "loss"), state.step)
        (loss, _), gradient = jax.value_and_grad(objective.loss, has_aux=True)(state.params, batch, member.hparams, key)
        updates, optimizer = make(member.hparams).update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        return state._replace(step=state.step + 1, params=params, optimizer=optimizer), loss

    def evaluate(data: Laid, member: Member, params: Params) -> tuple[dict[str, jax.Array], jax.Array]:
        key = stream(member.key, "predict")
        out = jax.lax.map(lambda x: objective.predict(params, x, member.hparams, key), data.evaluated)
        out = jnp.moveaxis(out, 0, 1).reshape(out.shape[1], -1)  # from (n_chunks, n_outputs, chunk)
        y = jnp.concatenate(data.labels)
        loss, right = objective.per_example_loss(out[:, : len(y)], y), out[:, : len(y)].argmax(0) == y
        values, begin, rows = {}, 0, slice(0)
        for name, labels in zip(SETS, data.labels, strict=True):
            rows = slice(begin, begin := begin + len(labels))
            if len(labels):
                values |= {f"{name}_loss": loss[rows].mean(), f"{name}_accuracy": 100 * right[rows].mean()}
        return values, out[:, rows].argmax(0).astype(jnp.uint8)  # of the last set, the test set

    return Parts(prepared, lay_out, start, ordered, epoch_end if shuffled else None, step, evaluate)


def _batched(train: Dataset, plan: Plan) -> Dataset:
    n, size = len(train.y), plan.batch_size
    if plan.shuffle or n % size:
        return train
    x = train.x.reshape(n // size, size, *train.x.shape[1:])
    return Dataset(jnp.moveaxis(x, 1, -1), train.y.reshape(n // size, size))


def _n_batches(train: Dataset, plan: Plan) -> int:
    """Of an epoch."""
    return max(len(train.y) // plan.batch_size, 1)


def _batch(train: Dataset, plan: Plan, step, order) -> Batch:
    """The batch of a step, batch last."""
    if train.y.ndim == 2:  # laid out in batches
        i = step % len(train.y)
        return Batch(train.x[i], train.y[i])
    n, size = len(train.y), plan.batch_size
    if plan.shuffle:
        rows = jax.lax.dynamic_slice_in_dim(order, step % _n_batches(train, plan) * size, min(size, n))
    else:
        rows = (step * size + jnp.arange(size)) % n
    x = jax.lax.optimization_barrier(train.x[rows])  # else XLA gathers in the order in which a network reads
    return Batch(jnp.moveaxis(x, 0, -1), train.y[rows])


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
    return Batch(*jax.vmap(lambda i: source.example(shared, member.hparams, key, i), out_axes=(-1, -1))(numbers))


def _chunked(x) -> jax.Array:
    """Rows `x (n, *shape)` in equal batch-last chunks `(n_chunks, *shape, chunk)`, the last filled up."""
    n = len(x)
    n_chunks = -(-n // EVALUATION_CHUNK)
    size = -(-n // n_chunks)
    padded = jnp.concatenate([x, jnp.repeat(x[-1:], n_chunks * size - n, axis=0)])
    return jnp.moveaxis(padded.reshape(n_chunks, size, *x.shape[1:]), 1, -1)
