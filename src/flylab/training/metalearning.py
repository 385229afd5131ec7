"""Metalearning: the derivative of a training run's history with respect to its hyper-parameters, and descent along it.

Hyper-parameters are any tree of numbers that the objective, the optimiser or the source of data reads: a learning rate, a
schedule, weight decay by layer, an activation's weights, a generator's noise. The whole inner run is differentiated
(Maclaurin, Duvenaud & Adams 2015): in forward mode, which needs no memory, where the hyper-parameters are few, else in reverse
mode, which keeps some of the inner states and computes the others again.
"""

import functools
import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax.core import Tracer
from jax.flatten_util import ravel_pytree

from flylab.base import runtime
from flylab.base.constraints import Checked, NonNegativeInt, PositiveInt
from flylab.base.constraints import check as check_value
from flylab.base.rng import stream
from flylab.base.types import Hparams, Key, Params, Scalar
from flylab.base.units import attach_units
from flylab.data.splits import Source, Splits
from flylab.training.objectives import Objective
from flylab.training.population import Progress, run_members
from flylab.training.step import Arrays, Laid, Member, Plan, State, arrays, not_data, parts_of
from flylab.training.train import Steps, check, whole

History = dict[str, jax.Array]
Mode = Literal["auto", "forward", "reverse"]
FEW = 3  # hparams, up to which forward mode is the faster
EXPLODED = 1e3  # times the outer loss: a gradient of that norm says nothing about where to go


class Metagradient(NamedTuple):
    """An outer loss, its gradient with respect to the hyper-parameters (a tree like them), and each inner step's loss."""

    value: Scalar
    gradient: Hparams
    losses: jax.Array


class Metalearned(NamedTuple):
    """What metalearning found.

    Attributes:
        hparams: after the last outer step, NumPy arrays with axes `start` and `seed` in front.
        saved_hparams: after each outer step of the plan's `save_hparams_at`, with axes `start`, `seed` and the step in front; {} without.
        results: `outer_loss`, `last_loss` (of the last inner step) and `gradient_norm` over `start, seed, outer_step`,
            each before the outer step.
    """

    hparams: Hparams
    saved_hparams: Hparams
    results: xr.Dataset


def mean_loss(history: History) -> Scalar:
    """The mean training loss of all inner steps."""
    return history["loss"].mean()


@dataclass(frozen=True)
class MetaPlan(Checked):
    """What shapes the compiled program of a metalearning run.

    Attributes:
        inner: the plan of the inner runs.
        n_steps: outer steps.
        optimizer: an optax transformation of the outer gradient.
        outer: history of an inner run → the scalar to minimise. The history is that of `flylab.train`.
        mode: "forward", "reverse", or "auto": forward for up to three hyper-parameters.
        fresh_start: new initial parameters in every outer step, else always the same ones. Everything else that is
            random in an inner run (noise, shuffled order, a source's data) is new in every outer step.
        save_hparams_at: outer steps after which the hyper-parameters are saved, in ascending order; 0 is before the first.

    Raises:
        ValueError: naming the field, its value and what is allowed.
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
    objective: Objective,
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
    """The gradient of an outer loss, a function of the training history, with respect to `hparams`.

    Args:
        objective: what the inner run learns, e.g. `supervised(model)`.
        data: `Splits`, or a `Source`, whose hyper-parameters may be differentiated too.
        plan: of the inner run.
        hparams: to differentiate by.
        key: the root of the inner run's randomness.
        params: to start from; by default the objective's own, as the hyper-parameters make them.
        fixed: hparams that are not differentiated.
        outer: history → scalar.
        mode: "forward", "reverse", or "auto".

    Raises:
        ValueError: for an unknown mode, a hyper-parameter that nothing reads, or a label beyond the network's outputs.
        TypeError: if `data` is neither.

    >>> import jax
    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> plan, hparams = Plan(20, optimizer="sgd"), {"learning_rate": 0.1}
    >>> found = metagradient(supervised(get_model("logistic")), splits, plan, hparams, key=jax.random.key(0))
    >>> bool(found.gradient["learning_rate"] < 0)  # a greater rate would lower the mean training loss
    True
    """
    check_value("mode", mode, Mode)
    if not isinstance(data, Splits | Source):
        raise not_data(data)
    source, sets = (data, None) if isinstance(data, Source) else (None, arrays(data))
    member = Member(key, dict(fixed or {}), params)
    hparams = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), hparams)
    given = data if sets is None else sets
    check(objective, plan, given, member._replace(hparams=member.hparams | hparams))  # pyright: ignore[reportArgumentType]
    found = _program(objective, plan, outer, mode, source)(sets, member, hparams)
    if not isinstance(found.value, Tracer):
        _warn_if_exploded(found.value, optax.tree.norm(found.gradient), plan)
    return found


@functools.cache
def _program(objective: Objective, plan: Plan, outer: Callable, mode: str, source: Source | None):
    parts, differentiate = parts_of(objective, plan, source), _differentiated(objective, plan, outer, mode, source)

    def program(data: Arrays | None, member: Member, hparams: Hparams) -> Metagradient:
        laid = None if data is None else parts.lay_out(data, hparams)
        return differentiate(laid, member, member.key, hparams)

    return jax.jit(program)


def _differentiated(objective: Objective, plan: Plan, outer: Callable, mode: str, source: Source | None):
    """(laid data or None, member with the fixed hyper-parameters, key of the start, hyper-parameters) → `Metagradient`."""

    def run(forward: bool, laid: Laid | None, member: Member, start: Key, hparams: Hparams):
        own = objective._replace(predict=_in_plain_operations(objective.predict)) if forward else objective
        parts, every = parts_of(own, plan, source), member.hparams | hparams
        data = parts.lay_out(None, every) if laid is None else laid
        params = own.init(stream(start, "init"), every) if member.params is None else member.params
        history = whole(parts, plan, data, Member(member.key, every, params), remat=not forward).history
        return outer(history), history["loss"]

    def reverse(laid: Laid | None, member: Member, start: Key, hparams: Hparams) -> Metagradient:
        value_and_grad = jax.value_and_grad(lambda one: run(False, laid, member, start, one), has_aux=True)
        (value, losses), gradient = value_and_grad(hparams)
        return Metagradient(value, gradient, losses)

    def forward(laid: Laid | None, member: Member, start: Key, hparams: Hparams) -> Metagradient:
        flat, restored = ravel_pytree(hparams)

        def along(direction):
            return jax.jvp(
                lambda one: run(True, laid, member, start, restored(one)), (flat,), (direction,), has_aux=True
            )

        if flat.size == 1:
            value, slopes, losses = along(jnp.ones_like(flat))
            slopes = slopes[None]
        else:
            value, slopes, losses = jax.vmap(along, out_axes=(None, 0, None))(jnp.eye(flat.size, dtype=flat.dtype))
        return Metagradient(value, restored(slopes), losses)

    def differentiate(laid: Laid | None, member: Member, start: Key, hparams: Hparams) -> Metagradient:
        few = sum(jnp.size(leaf) for leaf in jax.tree.leaves(hparams)) <= FEW
        if mode == "reverse" or (mode == "auto" and not few):
            return reverse(laid, member, start, hparams)
        try:
            return forward(laid, member, start, hparams)
        except TypeError as error:  # a gradient written by hand, within one
            if mode == "forward" or "custom_vjp" not in str(error):
                raise
            return reverse(laid, member, start, hparams)

    return differentiate


def _in_plain_operations(predict: Callable) -> Callable:
    """The same, without the functions whose gradient is written by hand: forward mode cannot differentiate these.

    Of a function under reverse mode JAX sees the forward rule, which is made of plain operations.
    """

    def plain(params, x, hparams, key):
        return jax.vjp(lambda *given: predict(*given, key), params, x, hparams)[0]

    return plain


def metalearn(
    objective: Objective,
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
    """Descend the metagradient from every start and for every seed, on all cores, through one compiled program.

    Args:
        objective: what the inner runs learn.
        data: `Splits`; or a function of the seed; or a `Source`.
        plan: what shapes the program.
        starts: hparams to start from, trees of one shape; or functions of the seed.
        seeds: repetitions; each gives the inner runs their key, `fold_in(key, seed)`.
        fixed: hparams that are not learned.
        key: the root of all randomness: a key, or a number to make one from.
        params: initial parameters of the inner runs by seed; by default the objective's own.
        progress: called after each piece of work with the number of inner steps.

    Raises:
        ValueError: for a hyper-parameter that nothing reads, or a label beyond the network's outputs.
        TypeError: if `data` is none of the three.

    >>> import optax
    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> plan = MetaPlan(Plan(10, optimizer="sgd"), n_steps=3, optimizer=optax.sgd(0.1))
    >>> found = metalearn(supervised(get_model("logistic")), splits, plan, [{"learning_rate": 0.1}], seeds=range(2))
    >>> dict(found.results.outer_loss.sizes)
    {'start': 1, 'seed': 2, 'outer_step': 3}
    """
    if not (isinstance(data, Splits | Source) or callable(data)):
        raise not_data(data)
    if not len(starts) or not len(seeds):
        raise ValueError(f"{len(starts)} starts and {len(seeds)} seeds give nothing to learn: give one of each")
    runtime.initialise()  # before anything else starts JAX
    root = jax.random.key(key) if isinstance(key, int) else key
    source = data if isinstance(data, Source) else None
    given = arrays(data) if isinstance(data, Splits) else None

    def sets(seed: int) -> Arrays | None:
        return arrays(data(seed)) if callable(data) else given

    def member(start: Hparams | Callable[[int], Hparams], seed: int) -> Member:
        learned = start(seed) if callable(start) else start
        own = jax.tree.map(np.float32, {"learned": learned, "fixed": fixed or {}})
        return Member(jax.random.fold_in(root, int(seed)), own, None if params is None else params(seed))

    first = member(starts[0], seeds[0])
    checked = first._replace(hparams=first.hparams["fixed"] | first.hparams["learned"])
    check(objective, plan.inner, source or sets(seeds[0]), checked)  # pyright: ignore[reportArgumentType]
    members = ((sets(seed), member(start, seed)) for start, seed in itertools.product(starts, seeds))
    tell = progress and (lambda n_steps: progress(n_steps * max(plan.inner.n_steps, 1)))
    found = list(run_members(_steps(objective, plan, source), members, progress=tell))
    sizes = (len(starts), len(seeds))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(*sizes, *np.shape(leaves[0])), *found)
    variables = {name: (("start", "seed", "outer_step"), values) for name, values in stacked.history.items()}
    coords = {"start": range(len(starts)), "seed": list(seeds), "outer_step": range(plan.n_steps)}
    results = attach_units(xr.Dataset(variables, coords))
    _warn_if_exploded(results.outer_loss.values, results.gradient_norm.values, plan.inner)
    return Metalearned(stacked.params, stacked.saved_params[0] if plan.save_hparams_at else {}, results)


@functools.cache
def _steps(objective: Objective, plan: MetaPlan, source: Source | None) -> Steps:
    """The outer loop in pieces, as `training.steps` gives the inner one: its parameters are the hyper-parameters."""
    parts = parts_of(objective, plan.inner, source)
    differentiate = _differentiated(objective, plan.inner, plan.outer, plan.mode, source)

    def lay_out(data: Arrays | None, hparams: Hparams) -> Laid | None:
        return (
            None if data is None else parts.lay_out(data, hparams["fixed"])
        )  # a source's follow the learned hyper-parameters

    def saved(state: State) -> State:
        """With the hyper-parameters in their slot, if this step's are to be saved."""
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
        nothing = (jnp.zeros(1, jnp.int32), history, jnp.int32(0), jnp.zeros(1, jnp.uint8))
        return saved(State(jnp.int32(0), hparams, plan.optimizer.init(hparams), *nothing, slots))

    def step(data: Any, member: Member, state: State) -> State:
        key = jax.random.fold_in(stream(member.key, "outer"), state.step)
        inner = Member(key, member.hparams["fixed"], member.params)
        found = differentiate(data, inner, key if plan.fresh_start else member.key, state.params)
        values = {
            "outer_loss": found.value,
            "last_loss": found.losses[-1],
            "gradient_norm": optax.tree.norm(found.gradient),
        }
        history = {name: state.history[name].at[state.step].set(value) for name, value in values.items()}
        updates, optimizer = plan.optimizer.update(found.gradient, state.optimizer, state.params)
        hparams = optax.apply_updates(state.params, updates)
        return saved(state._replace(step=state.step + 1, params=hparams, optimizer=optimizer, history=history))

    def advance(data: Any, member: Member, state: State, stop) -> State:
        stop = jnp.minimum(stop, plan.n_steps)
        return jax.lax.while_loop(lambda s: s.step < stop, lambda s: step(data, member, s), state)

    return Steps(lay_out, start, advance, plan.n_steps, objective.options, first_chunk=1)


def _warn_if_exploded(values: Any, norms: Any, plan: Plan) -> None:
    """Say so if a gradient is useless: a long unrolled run may be chaotic in its hyper-parameters."""
    values, norms = np.abs(np.asarray(values)), np.asarray(norms)
    wild = ~(norms <= EXPLODED * np.maximum(values, 1e-3))
    if wild.any():
        worst = norms.max() if np.isfinite(norms).all() else np.nan
        advice = "shorten the inner run, or lower its learning rate; outer gradients may be clipped by optax.clip"
        if plan.optimizer == "adam" and not np.isfinite(worst):
            advice += "; Adam's square root has no derivative at 0: give it an eps_root, e.g. Plan(optimizer=lambda "
            advice += "hparams: optax.adam(hparams['learning_rate'], eps_root=1e-8))"
        warnings.warn(
            f"the metagradient through {plan.n_steps} inner steps exploded (norm {worst:.3g} in {wild.sum()} of "
            f"{wild.size} outer steps): {advice}",
            stacklevel=3,
        )
