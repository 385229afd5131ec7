"""Metalearning: descent along metagradients, from several starts and for several seeds."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from flylab.base import runtime
from flylab.base.constraints import Checked, NonNegativeInt, PositiveInt
from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params, Scalar
from flylab.base.units import attach_units
from flylab.data.inputs import data_type_error
from flylab.data.splits import Source, Splits
from flylab.models.model import Model
from flylab.training.dispatch import Progress, run_members
from flylab.training.inputs import SplitArrays, as_arrays, as_key, as_objective, as_seeds
from flylab.training.members import alike
from flylab.training.metagradient import History, Mode, differentiated, mean_loss, warn_if_exploded
from flylab.training.objectives import Objective
from flylab.training.step import (
    Member,
    Plan,
    PreparedData,
    State,
    training_functions,
)
from flylab.training.train import TrainingRun, check_training


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


@dataclass(frozen=True)
class MetaPlan(Checked):
    """The part of a metalearning run's settings that determines its compiled program.

    Attributes:
        inner: plan of the inner runs.
        n_steps: outer steps.
        optimizer: an optax transformation of the outer gradient.
        outer: history of an inner run (see `Trained`) → outer loss, a scalar to minimise.
        mode: "forward", "reverse", or "auto": forward for up to three hyper-parameters; or an `Evolution`, which
            estimates the gradient from several inner runs in each outer step, and needs the extra "evolution".
        fresh_start: whether every outer step has new initial parameters.
        fresh_noise: whether all other randomness of an inner run (noise, shuffled order, a source's data) is new in
            every outer step; else all have that of the first.
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
    fresh_noise: bool = True
    save_hparams_at: tuple[NonNegativeInt, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = self.save_hparams_at
        is_ascending = list(steps) == sorted(set(steps)) and max(steps, default=0) <= self.n_steps
        self._require(is_ascending, "save_hparams_at", f"steps from 0 to {self.n_steps} in ascending order")


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
    shared_sets = as_arrays(data, objective.targets) if isinstance(data, Splits) else None

    def sets(seed: int) -> SplitArrays | None:
        return as_arrays(data(seed), objective.targets) if callable(data) else shared_sets

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
    warn_if_exploded(results.outer_loss.values, results.gradient_norm.values, plan.inner)
    return Metalearned(stacked.params, stacked.saved_params[0] if plan.save_hparams_at else {}, results)


@functools.cache
def _outer_run(objective: Objective, plan: MetaPlan, source: Source | None) -> TrainingRun:
    """Return the outer loop in chunks, like `training_run`; its parameters are the hyper-parameters."""
    functions = training_functions(objective, plan.inner, source)
    differentiate = differentiated(objective, plan.inner, plan.outer, plan.mode, source)

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
        outer_key = stream(member.key, "outer")
        key = jax.random.fold_in(outer_key, state.step)
        noise_key = key if plan.fresh_noise else jax.random.fold_in(outer_key, 0)
        inner = Member(noise_key, member.hparams["fixed"], member.params)
        result = differentiate(data, inner, key if plan.fresh_start else member.key, state.params, key)
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
