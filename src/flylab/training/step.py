"""One optimiser step and one evaluation of one network, as pure functions that all ways of training share."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from flylab.base.constraints import Checked, NonNegativeInt, PositiveInt
from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params
from flylab.data.inputs import Targets, class_dtype
from flylab.data.splits import SETS, Dataset, Source
from flylab.models.model import joined, parted
from flylab.training.inputs import SplitArrays
from flylab.training.objectives import Batch, Objective

MOST_EVALUATIONS = 10**6
EVALUATION_CHUNK = 1000  # examples evaluated at once; more would exceed the processor's cache


def _adam(hparams: Hparams) -> optax.GradientTransformation:
    return optax.adam(hparams["learning_rate"])


def _sgd(hparams: Hparams) -> optax.GradientTransformation:
    return optax.sgd(hparams["learning_rate"], momentum=hparams.get("momentum"))


OPTIMIZERS: dict[str, Callable[[Hparams], optax.GradientTransformation]] = {"adam": _adam, "sgd": _sgd}


@dataclass(frozen=True)
class Plan(Checked):
    """The part of a training run's settings that determines its compiled program.

    Attributes:
        n_steps: optimiser steps.
        batch_size: examples per step.
        eval_every: steps between evaluations, or the steps to evaluate after. The start and the last step are always
            evaluated.
        shuffle: whether to draw a new order of the examples for each epoch, dropping a last incomplete batch. By
            default examples are taken cyclically in order, as in the published notebooks. Batches of a `Source` are
            always fresh.
        optimizer: "adam", "sgd", an optax transformation, or a function from the hyper-parameters to one. Its update is
            given the batch's loss as `value`, its gradient as `grad`, and both as functions of the parameters,
            `value_fn(params)` and `grad_fn(params, i)`, as line searches, plateaus and SAM need.
        save_params_at: steps after which the parameters are saved and the network is evaluated, in ascending order.
        record_loss: whether a population records the loss of every step's batch (`train` always does). Metrics that
            the objective's loss returns are always recorded.
        n_train_evaluated: training examples that are evaluated, the first ones; by default all. On large sets,
            evaluating them would take as long as training. (Of a `Source` none is; loops in PyTorch evaluate all.)

    Raises:
        ValueError: for an invalid value.
    """

    n_steps: NonNegativeInt
    batch_size: PositiveInt = 100
    eval_every: PositiveInt | tuple[PositiveInt, ...] = 250
    shuffle: bool = False
    optimizer: (
        Literal["adam", "sgd"] | optax.GradientTransformation | Callable[[Hparams], optax.GradientTransformation]
    ) = "adam"
    save_params_at: tuple[NonNegativeInt, ...] = ()
    record_loss: bool = False
    n_train_evaluated: PositiveInt | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        steps, every = self.save_params_at, self.eval_every
        is_few = isinstance(every, tuple) or self.n_steps // every <= MOST_EVALUATIONS
        self._require(is_few, "eval_every", f"larger: {self.n_steps} steps have at most {MOST_EVALUATIONS} evaluations")
        is_ascending = list(steps) == sorted(set(steps)) and max(steps, default=0) <= self.n_steps
        self._require(is_ascending, "save_params_at", f"steps from 0 to {self.n_steps} in ascending order")
        is_constructor = getattr(self.optimizer, "__module__", "").startswith("optax.") and callable(self.optimizer)
        self._require(not is_constructor, "optimizer", "a transformation, such as optax.adam(1e-2), or a function that "
                      "makes one, such as lambda hparams: optax.adam(hparams['learning_rate'])")  # fmt: skip

    @property
    def evaluated(self) -> tuple[int, ...]:
        """Steps after which the network is evaluated, including 0, `n_steps` and `save_params_at`."""
        every = self.eval_every
        steps = every if isinstance(every, tuple) else range(0, self.n_steps, every)
        return tuple(sorted({0, *(step for step in steps if step < self.n_steps), *self.save_params_at, self.n_steps}))


class State(NamedTuple):
    """The state of a training run between two steps."""

    step: jax.Array
    params: Params
    optimizer: Any
    order: jax.Array  # order of the examples in this epoch, if they are shuffled
    history: dict[str, jax.Array]
    n_evaluated: jax.Array
    prediction: jax.Array  # predicted classes of the test set at the last evaluation
    saved_params: tuple[Params, ...] = ()


class Member(NamedTuple):
    """One network of a population: its key, hyper-parameters and, optionally, initial parameters."""

    key: Key
    hparams: Hparams
    params: Params | None = None  # None: initialised by the objective


class PreparedData(NamedTuple):
    """Data in the layout of the training loop, made once; XLA would otherwise rearrange it in every step.

    Attributes:
        train: a `Batch` with inputs `(n_batches, *shape, batch)` if the order is fixed and `batch_size` divides the
            set, otherwise a `Dataset` with `(n, *shape)`; for a `Source`, the values that its examples share.
        evaluated: inputs of all sets, concatenated and in chunks, `(n_chunks, *shape, chunk)`.
        labels: labels of each of `SETS`; None for one that is empty.
    """

    train: Any
    evaluated: jax.Array
    labels: tuple[jax.Array | None, ...]


class TrainingFunctions(NamedTuple):
    """The pure functions that a training run consists of.

    `draw_order`, `step` and `evaluate` take a member from `prepare_member`.

    Attributes:
        prepare_member: member → member whose hyper-parameters went through `Objective.prepare`.
        prepare_data: (data, hparams) → data in the layout of the loop; `(None, hparams)` for a `Source`.
        start: (data, member) → state before the first step.
        draw_order: (data, member, state) → state with a new order, if an epoch begins. Call it at least once per epoch.
        epoch_end: (data, state) → step at which the current epoch ends; None if there is no order to draw.
        step: (data, member, state) → (state after one step, `loss` and metrics of its batch).
        evaluate: (data, member, parameters) → (metrics by name, predicted classes of the test set; or its outputs
            `(n_test, n_outputs)`, where targets are no classes).
    """

    prepare_member: Callable[[Member], Member]
    prepare_data: Callable[[SplitArrays | None, Hparams], PreparedData]
    start: Callable[[PreparedData, Member], State]
    draw_order: Callable[[PreparedData, Member, State], State]
    epoch_end: Callable[[PreparedData, State], Any] | None
    step: Callable[[PreparedData, Member, State], tuple[State, dict[str, jax.Array]]]
    evaluate: Callable[[PreparedData, Member, Params], tuple[dict[str, jax.Array], jax.Array]]


def updated(
    optimizer: optax.GradientTransformation, gradient: Params, state: Any, params: Params, value: jax.Array,
    loss_of: Callable[[Params], tuple[jax.Array, Any]],
) -> tuple[Params, Any]:  # fmt: skip
    """Return an optimiser's updates and its next state; it is given what its `update` takes of a batch's loss."""

    def value_fn(params: Params, grad_fn: Any = None) -> jax.Array:  # line searches pass on what they do not take
        return loss_of(params)[0]

    def grad_fn(params: Params, i: Any) -> Params:
        return jax.grad(loss_of, has_aux=True)(params)[0]

    given = {"value": value, "grad": gradient, "value_fn": value_fn, "grad_fn": grad_fn}
    takes = inspect.signature(optimizer.update).parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes.values()):
        given = {name: part for name, part in given.items() if name in takes}
    return optimizer.update(gradient, state, params, **given)


def trained_params(state: State) -> Params:
    """Return the parameters that a state has learned: those of an optimiser's average, where it keeps one.

    Schedule-free optimisers evaluate another point than that at which they take gradients (Defazio et al. 2024).
    """
    kept = [part for part in jax.tree.leaves(state.optimizer, is_leaf=_is_average) if _is_average(part)]
    if not kept:
        return state.params
    return joined(optax.contrib.schedule_free_eval_params(kept[0], parted(state.params)[0]), state.params)


def _is_average(part: Any) -> bool:
    return isinstance(part, optax.contrib.ScheduleFreeState)


def training_functions(objective: Objective, plan: Plan, source: Source | None = None) -> TrainingFunctions:
    """Build the functions of a training run."""
    make_optimizer = optimizer_of(plan.optimizer)
    shuffled = plan.shuffle and source is None

    def prepare_member(member: Member) -> Member:
        return member._replace(hparams=objective.prepare(member.hparams))

    def prepare_data(data: SplitArrays | None, hparams: Hparams) -> PreparedData:
        if data is not None:
            sets = tuple(jax.tree.map(jnp.asarray, data))
            train = _batched(sets[0], plan)
            sets = (Dataset(*(part[: plan.n_train_evaluated] for part in sets[0])), *sets[1:])
        else:
            assert source is not None
            train = source.prepare(hparams)
            valid, test = source.evaluation(train, hparams)
            if len(test.y) == 0:
                raise ValueError("n_test=0 must be an integer ≥ 1; the source's test set is empty")
            for name, part in (("validation", valid), ("test", test)):
                _require_targets(f"the source's {name} set", len(part.x), part.y, objective.targets)
            sets = (None, valid if len(valid.y) else None, test)
        # one program for all sets: a third of the compile time
        x = jnp.concatenate([part.x for part in sets if part is not None])
        return PreparedData(train, chunked(x), tuple(part and part.y for part in sets))

    def start(data: PreparedData, member: Member) -> State:
        params = initial(objective)(member) if member.params is None else member.params
        order = jnp.zeros(len(data.train.y) if shuffled else 1, jnp.int32)
        unused = jnp.zeros(0, jnp.uint8)
        optimizer = make_optimizer(member.hparams).init(parted(params)[0])
        return State(jnp.int32(0), params, optimizer, order, {}, jnp.int32(0), unused)

    def draw_order(data: PreparedData, member: Member, state: State) -> State:
        if not shuffled:
            return state
        n, n_train = _n_batches(data.train, plan), len(data.train.y)
        drawn = jax.lax.cond(
            state.step % n == 0, lambda: epoch_order(member.key, state.step // n, n_train), lambda: state.order
        )
        return state._replace(order=drawn)

    def epoch_end(data: PreparedData, state: State):
        n = _n_batches(data.train, plan)
        return (state.step // n + 1) * n

    def step(data: PreparedData, member: Member, state: State) -> tuple[State, dict[str, jax.Array]]:
        if source is None:
            batch = _batch(data.train, plan, state.step, state.order)
        else:
            batch = _fresh(source, data.train, plan, state.step, member, objective.targets)
        key = jax.random.fold_in(stream(member.key, "loss"), state.step)

        def loss_of(trained: Params) -> tuple[jax.Array, tuple[dict, list]]:
            loss, metrics, *after = objective.loss(joined(trained, state.params), batch, member.hparams, key)
            return loss, (metrics, after)

        trained, _ = parted(state.params)
        (loss, (metrics, after)), gradient = jax.value_and_grad(loss_of, has_aux=True)(trained)
        optimizer = make_optimizer(member.hparams)
        updates, optimizer = updated(optimizer, gradient, state.optimizer, trained, loss, loss_of)
        params = joined(optax.apply_updates(trained, updates), state.params)
        if after:
            params = params._replace(state=after[0])
        return state._replace(step=state.step + 1, params=params, optimizer=optimizer), _recorded(loss, metrics, member)

    def evaluate(data: PreparedData, member: Member, params: Params) -> tuple[dict[str, jax.Array], jax.Array]:
        key = stream(member.key, "predict")
        out = predicted(objective, params, data.evaluated, member.hparams, key)
        y = jnp.concatenate([labels for labels in data.labels if labels is not None])
        is_class = objective.targets == "classes"
        loss = objective.per_example_loss(out[:, : len(y)], jnp.moveaxis(y, 0, -1))
        correct = out[:, : len(y)].argmax(0) == y if is_class else None
        values, begin, rows = {}, 0, slice(0)
        for name, labels in zip(SETS, data.labels, strict=True):
            if labels is not None:
                rows = slice(begin, begin := begin + len(labels))
                values[f"{name}_loss"] = loss[rows].mean()
                if correct is not None:
                    values[f"{name}_accuracy"] = 100 * correct[rows].mean()
        out = out[:, rows]  # of the test set, the last of SETS
        return values, out.argmax(0).astype(class_dtype(len(out))) if is_class else out.T

    return TrainingFunctions(
        prepare_member, prepare_data, start, draw_order, epoch_end if shuffled else None, step, evaluate
    )


@functools.cache
def initial(objective: Objective) -> Callable[[Member], Params]:
    """Return the function that draws a member's initial parameters."""
    return lambda member: objective.init(stream(member.key, "init"), member.hparams)


def optimizer_of(given: Any) -> Callable[[Hparams], optax.GradientTransformation]:
    """Return the function from hyper-parameters to an optax transformation that a `Plan.optimizer` stands for.

    Raises:
        TypeError: from that function, if what is given makes none.
    """
    if isinstance(given, str):
        return OPTIMIZERS[given]

    def make(hparams: Hparams) -> optax.GradientTransformation:
        made = given if isinstance(given, optax.GradientTransformation) else given(hparams)
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError(f"the plan's optimizer must make an optax transformation, not {type(made).__name__}")
        return made

    return make


def predicted(objective: Objective, params: Params, chunks: jax.Array, hparams: Hparams, key: Key) -> jax.Array:
    """Return a network's outputs `(n_outputs, n_chunks · chunk)` for examples in `chunked`, the padding included."""
    out = jax.lax.map(lambda x: objective.predict(params, x, hparams, key), chunks)
    return jnp.moveaxis(out, 0, 1).reshape(out.shape[1], -1)  # from (n_chunks, n_outputs, chunk)


def _require_targets(subject: str, n: int, y: jax.Array, targets: Targets) -> None:
    """Refuse what a source makes as labels, or as targets that are no classes, of `n` examples, which come first."""
    is_class = targets == "classes"
    kind, most, wanted = (
        (jnp.integer, 1, "one integer label") if is_class else (jnp.floating, 2, "one number or a vector")
    )
    if y.shape[:1] != (n,) or y.ndim > most or not jnp.issubdtype(y.dtype, kind):
        raise ValueError(f"{subject} must have {wanted} for each example, not {y.dtype} of shape {y.shape}")


def _recorded(loss: jax.Array, metrics: Any, member: Member) -> dict[str, jax.Array]:
    """Return what a step records by name."""
    taken = {"loss", "prediction", "seed", "step", "update", "example", "output", *member.hparams}
    taken |= {f"{name}_{metric}" for name in SETS for metric in ("loss", "accuracy")}
    for name, value in (metrics or {}).items():
        if name in taken or jnp.shape(value) != ():
            problem = "has a name that is taken" if name in taken else f"has shape {jnp.shape(value)}: give a scalar"
            raise ValueError(f"the metric {name!r} that the objective's loss returns {problem}")
    return {"loss": loss, **{name: jnp.asarray(value) for name, value in (metrics or {}).items()}}


def _batched(train: Dataset, plan: Plan) -> Dataset | Batch:
    n, size = len(train.y), plan.batch_size
    if plan.shuffle or n % size:
        return train
    x, y = (array.reshape(n // size, size, *array.shape[1:]) for array in train)
    return Batch(jnp.moveaxis(x, 1, -1), jnp.moveaxis(y, 1, -1))


def _n_batches(train: Dataset, plan: Plan) -> int:
    """Return the number of batches per epoch."""
    return max(len(train.y) // plan.batch_size, 1)


def _batch(train: Dataset | Batch, plan: Plan, step, order) -> Batch:
    """Take the batch of a step from the training set, batch last."""
    if isinstance(train, Batch):
        i = step % len(train.y)
        return Batch(train.x[i], train.y[i])
    n, size = len(train.y), plan.batch_size
    if plan.shuffle:
        rows = jax.lax.dynamic_slice_in_dim(order, step % _n_batches(train, plan) * size, min(size, n))
    else:
        rows = (step * size + jnp.arange(size)) % n
    x = jax.lax.optimization_barrier(train.x[rows])  # otherwise XLA gathers in the order in which the network reads
    return Batch(jnp.moveaxis(x, 0, -1), jnp.moveaxis(train.y[rows], 0, -1))


def epoch_order(key: Key, epoch: int | jax.Array, n: int) -> jax.Array:
    """Return the order of the examples in an epoch of the member with a key, if the plan shuffles: `(n,)`."""
    return _shuffled(jax.random.fold_in(stream(key, "order"), epoch), n)


def _shuffled(key: Key, n: int) -> jax.Array:
    """Permute 0 … n − 1 at random, faster than `jax.random.permutation`, which takes longer than a small network.

    It sorts single words with random bits above and the number below. Ties of random bits are broken fairly, because
    all numbers are masked by the same random bits.
    """
    n_bits = max(n - 1, 1).bit_length()
    if n_bits > 14:  # too few random bits would be left
        return jax.random.permutation(key, n).astype(jnp.int32)
    low = jnp.uint32((1 << n_bits) - 1)
    bits = jax.random.bits(key, (n + 1,))
    mask = bits[n] & low
    ordered = jnp.sort((bits[:n] & ~low) | (jnp.arange(n, dtype=jnp.uint32) ^ mask))
    return ((ordered & low) ^ mask).astype(jnp.int32)


def _fresh(source: Source, shared: Any, plan: Plan, step, member: Member, targets: Targets) -> Batch:
    """Generate the batch of a step from a source, batch last."""
    key = stream(member.key, "data")
    numbers = step * plan.batch_size + jnp.arange(plan.batch_size)
    batch = Batch(*jax.vmap(lambda i: source.example(shared, member.hparams, key, i), out_axes=(-1, -1))(numbers))
    _require_targets("the source's example", len(numbers), jnp.moveaxis(batch.y, -1, 0), targets)
    return batch


def chunked(x) -> jax.Array:
    """Split rows `x (n, *shape)` into equal batch-last chunks `(n_chunks, *shape, chunk)`, the last one padded."""
    n = len(x)
    n_chunks = -(-n // EVALUATION_CHUNK)
    size = -(-n // n_chunks)
    padded = jnp.concatenate([x, jnp.repeat(x[-1:], n_chunks * size - n, axis=0)])
    return jnp.moveaxis(padded.reshape(n_chunks, size, *x.shape[1:]), 1, -1)
