"""Metalearning: gradients of a training run with respect to its hyper-parameters, and descent along them.

Hyper-parameters are any tree of numbers that the objective, the optimiser or the source of data reads: a learning rate,
a schedule, weight decay by layer, an activation's weights, a generator's noise. The whole inner run is differentiated
(Maclaurin, Duvenaud & Adams 2015): in forward mode, which keeps no states, for few hyper-parameters; otherwise in
reverse mode, which keeps some inner states and recomputes the others.
"""

import functools
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax.core import Tracer
from jax.flatten_util import ravel_pytree

from flylab.base import runtime
from flylab.base.constraints import Checked, NonNegativeInt, PositiveInt, check
from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params, Scalar
from flylab.base.units import attach_units
from flylab.data.inputs import data_type_error
from flylab.data.splits import Source, Splits
from flylab.models.model import Model
from flylab.training.inputs import SplitArrays, as_arrays, as_key, as_objective, as_seeds
from flylab.training.members import alike
from flylab.training.objectives import Objective
from flylab.training.population import Progress, run_members
from flylab.training.step import (
    Member,
    Plan,
    PreparedData,
    State,
    training_functions,
)
from flylab.training.train import TrainingRun, check_training, train_to_end

History = dict[str, jax.Array]
Mode = Literal["auto", "forward", "reverse"]
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


class Metalearned(NamedTuple):
    """The result of metalearning.

    Attributes:
        hparams: hyper-parameters after the last outer step, NumPy arrays with axes `start` and `seed` in front.
        saved_hparams: hyper-parameters after each outer step of the plan's `save_hparams_at`, with axes `start`, `seed`
            and the step in front; {} if no steps are saved.
        results: `outer_loss`, `last_loss` (training loss of the last inner step) and `gradient_norm` over `start`,
            `seed` and `outer_step`, each before the outer step.
    """

    hparams: Hparams
    saved_hparams: Hparams
    results: xr.Dataset


def mean_loss(history: History) -> Scalar:
    """Return the mean training loss of all inner steps."""
    return history["loss"].mean()


@dataclass(frozen=True)
class MetaPlan(Checked):
    """The part of a metalearning run's settings that determines its compiled program.

    Attributes:
        inner: plan of the inner runs.
        n_steps: outer steps.
        optimizer: an optax transformation of the outer gradient.
        outer: history of an inner run (see `Trained`) → outer loss, a scalar to minimise.
        mode: "forward", "reverse", or "auto": forward for up to three hyper-parameters.
        fresh_start: whether every outer step has new initial parameters. All other randomness of an inner run (noise,
            shuffled order, a source's data) is always new in every outer step.
        save_hparams_at: outer steps after which the hyper-parameters are saved, in ascending order; 0 is before the
            first.

    Raises:
        ValueError: for an invalid value.
    """

    inner: Plan
    n_steps: PositiveInt
    optimizer: optax.GradientTransformation
    outer: Callable[[History], Scalar] = mean_loss
    mode: Mode = "auto"
    fresh_start: bool = False
    save_hparams_at: tuple[NonNegativeInt, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = self.save_hparams_at
        is_ascending = list(steps) == sorted(set(steps)) and max(steps, default=0) <= self.n_steps
        self._require(is_ascending, "save_hparams_at", f"steps from 0 to {self.n_steps} in ascending order")


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
        mode: "forward", "reverse", or "auto": forward for up to three hyper-parameters.

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
    source, sets = (data, None) if isinstance(data, Source) else (None, as_arrays(data))
    objective = as_objective(objective)
    member = Member(key, dict(fixed or {}), params)
    hparams = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), hparams)
    checked_data = data if sets is None else sets
    checked_member = member._replace(hparams=member.hparams | hparams)
    check_training(objective, plan, checked_data, checked_member)  # pyright: ignore[reportArgumentType]
    result = _program(objective, plan, outer, mode, source)(sets, member, hparams)
    if not isinstance(result.value, Tracer):
        _warn_if_exploded(result.value, optax.tree.norm(result.gradient), plan)
    return result


@functools.cache
def _program(objective: Objective, plan: Plan, outer: Callable, mode: str, source: Source | None):
    functions = training_functions(objective, plan, source)
    differentiate = _differentiated(objective, plan, outer, mode, source)

    def program(data: SplitArrays | None, member: Member, hparams: Hparams) -> Metagradient:
        prepared = None if data is None else functions.prepare_data(data, hparams)
        return differentiate(prepared, member, member.key, hparams)

    return jax.jit(program)


def _differentiated(objective: Objective, plan: Plan, outer: Callable, mode: str, source: Source | None):
    """Return a function (prepared data or None, member with fixed hparams, initial key, hparams) → `Metagradient`."""

    def run(forward: bool, data: PreparedData | None, member: Member, init_key: Key, hparams: Hparams):
        run_objective = objective._replace(predict=_in_plain_operations(objective.predict)) if forward else objective
        functions, all_hparams = training_functions(run_objective, plan, source), member.hparams | hparams
        prepared = functions.prepare_data(None, all_hparams) if data is None else data
        params = member.params
        if params is None:
            params = run_objective.init(stream(init_key, "init"), all_hparams)
        run_member = Member(member.key, all_hparams, params)
        history = train_to_end(functions, plan, prepared, run_member, remat=not forward).history
        return outer(history), history["loss"]

    def reverse(data: PreparedData | None, member: Member, init_key: Key, hparams: Hparams) -> Metagradient:
        value_and_grad = jax.value_and_grad(lambda h: run(False, data, member, init_key, h), has_aux=True)
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

    def differentiate(data: PreparedData | None, member: Member, init_key: Key, hparams: Hparams) -> Metagradient:
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


@runtime.pinned()
def metalearn(
    objective: Objective | Model,
    data: Splits | Source | Callable[[int], Splits],
    plan: MetaPlan,
    starts: Sequence[Hparams | Callable[[int], Hparams]],
    seeds: Sequence[int] = (0,),
    *,
    fixed: Hparams | None = None,
    key: Key | int = 0,
    params: Callable[[int], Params] | None = None,
    progress: Progress | None = None,
) -> Metalearned:
    """Minimise the outer loss from each start and for each seed, on all cores, through one compiled program.

    Args:
        objective: objective of the inner runs, e.g. `supervised(model)`, or a model, which is classification's.
        data: `Splits`; or a function of the seed; or a `Source`.
        plan: outer steps and optimiser, and the plan of the inner runs.
        starts: initial hyper-parameters, trees of one shape, or functions from the seed to such trees; a single one is
            a list of one.
        seeds: repetitions; each gives the inner runs their key, `fold_in(key, seed)`.
        fixed: further hyper-parameters, which are not learned.
        key: root of all randomness, a key or an integer.
        params: function from the seed to initial parameters of the inner runs; by default the objective initialises
            them.
        progress: callback after each dispatch, with the number of inner steps.

    Raises:
        ValueError: for empty `starts`, seeds that are not different integers ≥ 0, a key of more than 32 bits, a
            hyper-parameter that is missing or that nothing reads, data of another shape for another seed, or a label
            that the network has no output for.
        TypeError: if `data` is none of the three.

    >>> import optax
    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> plan = MetaPlan(Plan(10, optimizer="sgd"), n_steps=3, optimizer=optax.sgd(0.1))
    >>> learned = metalearn(supervised(get_model("logistic")), splits, plan, [{"learning_rate": 0.1}], seeds=range(2))
    >>> dict(learned.results.outer_loss.sizes)
    {'start': 1, 'seed': 2, 'outer_step': 3}
    """
    if not (isinstance(data, Splits | Source) or callable(data)):
        raise data_type_error(data)
    objective, seeds = as_objective(objective), as_seeds(seeds)
    starts = cast(Any, [starts] if isinstance(starts, Mapping) or callable(starts) else starts)
    if not len(starts) or not seeds:
        raise ValueError(f"{len(starts)} starts and {len(seeds)} seeds are too few; pass at least one of each")
    runtime.initialise()  # before JAX starts
    root = as_key(key)
    source = data if isinstance(data, Source) else None
    shared_sets = as_arrays(data) if isinstance(data, Splits) else None

    def sets(seed: int) -> SplitArrays | None:
        return as_arrays(data(seed)) if callable(data) else shared_sets

    def member(start: Hparams | Callable[[int], Hparams], seed: int) -> Member:
        learned = start(seed) if callable(start) else start
        hparams = jax.tree.map(np.float32, {"learned": learned, "fixed": fixed or {}})
        return Member(jax.random.fold_in(root, seed), hparams, None if params is None else params(seed))

    def check(data: SplitArrays | None, member: Member) -> None:
        inner = member._replace(hparams=member.hparams["fixed"] | member.hparams["learned"])
        check_training(objective, plan.inner, source or data, inner)  # pyright: ignore[reportArgumentType]

    made = ((sets(seed), member(start, seed)) for start, seed in itertools.product(starts, seeds))
    members = alike(made, check)
    inner_progress = progress and (lambda n_steps: progress(n_steps * max(plan.inner.n_steps, 1)))
    run = _outer_run(objective, plan, source)
    trained = list(run_members(run, members, one_data_set=shared_sets is not None, progress=inner_progress))
    sizes = (len(starts), len(seeds))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(*sizes, *np.shape(leaves[0])), *trained)
    variables = {name: (("start", "seed", "outer_step"), values) for name, values in stacked.history.items()}
    coords = {"start": range(len(starts)), "seed": seeds, "outer_step": range(plan.n_steps)}
    results = attach_units(xr.Dataset(variables, coords))
    _warn_if_exploded(results.outer_loss.values, results.gradient_norm.values, plan.inner)
    return Metalearned(stacked.params, stacked.saved_params[0] if plan.save_hparams_at else {}, results)


@functools.cache
def _outer_run(objective: Objective, plan: MetaPlan, source: Source | None) -> TrainingRun:
    """Return the outer loop in chunks, like `training_run`; its parameters are the hyper-parameters."""
    functions = training_functions(objective, plan.inner, source)
    differentiate = _differentiated(objective, plan.inner, plan.outer, plan.mode, source)

    def prepare_data(data: SplitArrays | None, hparams: Hparams) -> PreparedData | None:
        # data of a source depend on the learned hyper-parameters and are prepared in each outer step
        return None if data is None else functions.prepare_data(data, hparams["fixed"])

    def save_if_due(state: State) -> State:
        """Save the hyper-parameters in their slot, if this step is one of `save_hparams_at`."""
        if not plan.save_hparams_at:
            return state
        due = jnp.asarray(plan.save_hparams_at, jnp.int32) == state.step

        def put(slots, leaf):
            return jnp.where(due.reshape(-1, *[1] * leaf.ndim), leaf, slots)

        return state._replace(saved_params=(jax.tree.map(put, state.saved_params[0], state.params),))

    def start(data: Any, member: Member) -> State:
        hparams = member.hparams["learned"]
        slots = (
            (jax.tree.map(lambda leaf: jnp.zeros((len(plan.save_hparams_at), *leaf.shape)), hparams),)
            if plan.save_hparams_at
            else ()
        )
        history = {name: jnp.zeros(plan.n_steps) for name in ("outer_loss", "last_loss", "gradient_norm")}
        unused = (jnp.zeros(1, jnp.int32), history, jnp.int32(0), jnp.zeros(1, jnp.uint8))
        return save_if_due(State(jnp.int32(0), hparams, plan.optimizer.init(hparams), *unused, slots))

    def step(data: Any, member: Member, state: State) -> State:
        key = jax.random.fold_in(stream(member.key, "outer"), state.step)
        inner = Member(key, member.hparams["fixed"], member.params)
        result = differentiate(data, inner, key if plan.fresh_start else member.key, state.params)
        values = {
            "outer_loss": result.value,
            "last_loss": result.losses[-1],
            "gradient_norm": optax.tree.norm(result.gradient),
        }
        history = {name: state.history[name].at[state.step].set(value) for name, value in values.items()}
        updates, optimizer = plan.optimizer.update(result.gradient, state.optimizer, state.params)
        hparams = optax.apply_updates(state.params, updates)
        return save_if_due(state._replace(step=state.step + 1, params=hparams, optimizer=optimizer, history=history))

    def advance(data: Any, member: Member, state: State, stop) -> State:
        stop = jnp.minimum(stop, plan.n_steps)
        return jax.lax.while_loop(lambda s: s.step < stop, lambda s: step(data, member, s), state)

    return TrainingRun(prepare_data, start, advance, plan.n_steps, objective.options, first_chunk=1, most_at_once=32)


def _warn_if_exploded(values: Any, norms: Any, plan: Plan) -> None:
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
