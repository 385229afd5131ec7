"""Training of populations: many networks over named axes, on all devices.

Each device trains one group of members at a time (of one member on a CPU, see `groups.py`), in dispatches of constant
shape that take about half a second. A member's result is therefore bit-identical whichever members train beside it, on
any number of devices and for any length of dispatches. Memory is that of one group per device, another number of seeds
compiles nothing, and progress, cancelling and saving happen between dispatches.
"""

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flylab.base import runtime
from flylab.base.types import Key, Params
from flylab.data.inputs import data_type_error
from flylab.data.splits import SETS, Source, Splits
from flylab.models.model import Model
from flylab.training.groups import grouped, width_of
from flylab.training.inputs import SplitArrays, as_arrays, as_axes, as_key, as_objective
from flylab.training.members import Members, alike
from flylab.training.objectives import Objective
from flylab.training.step import Member, Plan, State
from flylab.training.train import Trained, TrainingRun, check_training, training_run

CHUNK_SECONDS = 0.5


class Progress(Protocol):
    """A callback for progress."""

    def __call__(self, n_steps: int, /) -> None:
        """Record `n_steps` further optimiser steps, summed over members."""


class Population(NamedTuple):
    """A trained population.

    Attributes:
        params: last parameters, NumPy arrays with the grid's axes in front.
        results: `{train,valid,test}_{loss,accuracy}` over the grid's axes and `step`, accuracies in percent;
            `prediction` over `example`; the metrics that the objective's loss returns over `update` and, if the plan
            has `record_loss`, `loss`.
        saved_params: parameters after each step of the plan's `save_params_at`, as `params`.
    """

    params: Params
    results: xr.Dataset
    saved_params: tuple[Params, ...] = ()


@runtime.pinned()
def train_members(
    objective: Objective | Model,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Any],
    *,
    key: Key | int = 0,
    params: Callable[[int], Params] | None = None,
    progress: Progress | None = None,
) -> Population:
    """Train one network for each point of `grid`, on all cores, through one compiled program.

    Args:
        objective: the objective, e.g. `supervised(model)`, or a model, which is classification's.
        data: `Splits`; or a function of the seed, for fresh data per seed (of one shape); or a `Source`, for fresh
            data in every step (`flylab.endless(config)`), whose data parameters may then be axes of the grid.
        plan: steps, batches, evaluations and optimiser.
        grid: values by axis name, e.g. `{"learning_rate": [1e-3, 1e-2], "seed": range(20)}`. `seed` gives each member
            its key, `fold_in(key, seed)`; the others are hyper-parameters, of which a single number is no axis.
        key: root of all randomness, a key or an integer. Making a key yourself starts JAX; to use all cores, call
            `flylab.initialise` before.
        params: function from the seed to initial parameters; by default the objective initialises them.
        progress: callback after each dispatch.

    Raises:
        ValueError: for a grid without `seed`, seeds that are not different integers ≥ 0, hyper-parameters that are not
            finite numbers, that nothing reads or that are missing, a key of more than 32 bits, sets that do not fit
            together (see `data.inputs`) or have another shape for another seed, or a label that the network has no
            output for. What is made for each seed is checked in turn.
        TypeError: if `data` is none of the three, or `objective` neither an objective nor a model.

    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> grid = {"learning_rate": [1e-3, 1e-2], "seed": range(3)}
    >>> population = train_members(supervised(get_model("logistic")), splits, Plan(20), grid)
    >>> dict(population.results.test_accuracy.sizes)
    {'learning_rate': 2, 'seed': 3, 'step': 2}
    """
    run, axes, members = _checked_run(objective, data, plan, grid, key, params)
    one_data_set = isinstance(data, Splits)
    return _population(list(run_members(run, members, one_data_set=one_data_set, progress=progress)), axes, plan)


def watch_members(
    objective: Objective | Model,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Any],
    *,
    key: Key | int = 0,
) -> Iterator[Population]:
    """Train like `train_members`, with all members in parallel, and yield the population after each evaluation.

    The last population is bit-identical to that of `train_members`; earlier ones end at an earlier `step`. Training
    stops when the iteration stops. Memory is that of all members at once.

    Arguments and errors are those of `train_members`.

    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> watched = watch_members(supervised(get_model("logistic")), splits, Plan(20, eval_every=10), {"seed": [0, 1],
    ...                         "learning_rate": [1e-2]})
    >>> [population.results.step.values.tolist() for population in watched]
    [[0], [0, 10], [0, 10, 20]]
    """
    with runtime.pinned():
        run, axes, members = _checked_run(objective, data, plan, grid, key, None)
        program, members = _program_for(run, members, isinstance(data, Splits))
        groups = [[n, state, advance] for n, state, advance in _started(program, members)]
    for n_evaluated, step in enumerate(plan.evaluated, 1):
        trained: list[Trained] = []
        for group in groups:
            n, state, advance = group
            # an evaluation is made at the beginning of the next step
            group[1] = state = advance(state, np.int32(min(step + 1, plan.n_steps)))
            trained += _fetched([(n, _result(state))])
        yield _population(trained, axes, plan, n_evaluated)


def _checked_run(
    objective: Objective | Model,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Any],
    key: Key | int,
    params: Callable[[int], Params] | None,
) -> tuple[TrainingRun, dict[str, list], Members]:
    """Check the arguments of `train_members`; return the run, the axes and the members."""
    objective, (axes, numbers) = as_objective(objective), as_axes(grid)
    if not (isinstance(data, Splits | Source) or callable(data)):
        raise data_type_error(data)
    runtime.initialise()  # before JAX starts
    root = as_key(key)
    source = data if isinstance(data, Source) else None
    fixed = as_arrays(data) if isinstance(data, Splits) else None

    def made() -> Iterator[tuple[SplitArrays | None, Member]]:
        for point in itertools.product(*axes.values()):
            hparams = numbers | dict(zip(axes, point, strict=True))
            seed = hparams.pop("seed")
            sets = as_arrays(data(seed)) if callable(data) else fixed
            hparams = {name: np.float32(value) for name, value in hparams.items()}
            yield sets, Member(jax.random.fold_in(root, seed), hparams, None if params is None else params(seed))

    def check(sets: SplitArrays | None, member: Member) -> None:
        checked = sets if source is None else source
        assert checked is not None
        check_training(objective, plan, checked, member)

    if source is not None:
        hparam_axes = {name: values for name, values in axes.items() if name != "seed"}
        for point in itertools.product(*hparam_axes.values()):
            source.check(numbers | dict(zip(hparam_axes, point, strict=True)))
    _check_axes(axes)
    members = alike(made(), check)
    return training_run(objective, plan, source), axes, members


def _check_axes(axes: Mapping[str, Sequence]) -> None:
    """Refuse hyper-parameters that have the name of a variable or a dimension of the results.

    Raises:
        ValueError: naming it.
    """
    measured = (f"{name}_{metric}" for name in SETS for metric in ("loss", "accuracy"))
    if taken := axes.keys() & {"step", "example", "update", "prediction", "loss", *measured}:
        raise ValueError(f"{min(taken)!r} cannot be an axis: results have a variable or dimension of this name")


def _population(
    trained: Sequence[Trained], axes: Mapping[str, Sequence], plan: Plan, n_evaluated: int | None = None
) -> Population:
    sizes = tuple(len(values) for values in axes.values())
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(*sizes, *np.shape(leaves[0])), *trained)
    now = plan.n_steps if n_evaluated is None else plan.evaluated[n_evaluated - 1]
    results = to_dataset(stacked, axes, plan).isel(step=slice(n_evaluated))
    results = results.isel(update=slice(now), missing_dims="ignore")
    n_saved = sum(step <= now for step in plan.save_params_at)
    return Population(stacked.params, results, stacked.saved_params[:n_saved])


def to_dataset(stacked: Trained, axes: Mapping[str, Sequence], plan: Plan) -> xr.Dataset:
    """Label the stacked histories of a population with its axes and steps."""
    history = dict(stacked.history)
    variables = {"prediction": ((*axes, "example"), stacked.prediction)}
    evaluated = {f"{name}_{metric}" for name in SETS for metric in ("loss", "accuracy")}
    if plan.record_loss:
        variables["loss"] = ((*axes, "update"), history.pop("loss"))
    for name, values in history.items():
        variables[name] = ((*axes, "step" if name in evaluated else "update"), values)
    return xr.Dataset(variables, {**axes, "step": list(plan.evaluated)})


def run_members(
    run: TrainingRun, members: Members, *, one_data_set: bool = False, progress: Progress | None = None
) -> Iterator[Trained]:
    """Train each member to its end, a group per device at a time, and yield the results in order, as NumPy arrays.

    Args:
        run: the training run.
        members: the members, with their data.
        one_data_set: whether all members have the same data; saves accelerators memory and time.
        progress: callback after each dispatch.
    """
    program, members = _program_for(run, members, one_data_set)
    finished: list[tuple[int, Trained]] = []  # fetched while the next group trains
    for n, state, advance in _started(program, members):
        done = -1
        while done < run.n_steps:
            begin, done = time.perf_counter(), max(done, 0)
            stop = min(run.n_steps, done + program.chunk[0])
            state = advance(state, np.int32(stop))
            yield from _fetched(finished)
            jax.block_until_ready(state)
            program.chunk[0] = _next_chunk(stop - done, time.perf_counter() - begin)
            if progress is not None:
                progress((stop - done) * n)
            done = stop
        finished = [(n, _result(state))]
    yield from _fetched(finished)


def _program_for(run: TrainingRun, members: Members, one_data_set: bool) -> tuple["_Program", Members]:
    """Return the program that trains groups of the width that suits the members, and the members."""
    members = iter(members)
    first = list(itertools.islice(members, 1))
    width = width_of(run, *first[0]) if first else 1
    return _program(run, runtime.devices(), width, one_data_set and width > 1), itertools.chain(first, members)


def _started(program: "_Program", members: Members) -> Iterator[tuple[int, State, Callable]]:
    """Start members in groups, one per device; the last ones repeat the last member to be complete.

    Yield the number of members in the groups, their states, and a function (states, stop) → later states.
    """
    members = iter(members)
    prepared, prepared_from = None, []
    while group := list(itertools.islice(members, program.n_members)):
        data, group_members = zip(*group, *[group[-1]] * (program.n_members - len(group)), strict=True)
        stacked, data = program.put(group_members), data[:: program.n_members // program.n_data]
        inputs = _preparation_inputs(data, group_members)
        if prepared is None or not _same_objects(inputs, prepared_from):
            prepared, prepared_from = program.prepare_data(program.put(data), stacked.hparams), inputs
        start, advance = program.compiled(prepared, stacked)
        yield len(group), start(prepared, stacked), functools.partial(advance, prepared, stacked)


def _preparation_inputs(data: Sequence[SplitArrays | None], members: Sequence[Member]) -> list[Any]:
    """Return what prepared data depend on: each member's data or, for a source, its hyper-parameters."""
    return [member.hparams if sets is None else sets for sets, member in zip(data, members, strict=False)]


def _same_objects(new: Sequence[Any], old: Sequence[Any]) -> bool:
    return all(a is b for a, b in zip(new, old, strict=True))


def _result(state: State) -> Trained:
    return Trained(state.params, state.history, state.prediction, state.saved_params)


def _fetched(finished: list[tuple[int, Trained]]) -> Iterator[Trained]:
    """Fetch the members of finished groups as NumPy arrays, and empty the list."""
    while finished:
        n, result = finished.pop()
        result = jax.device_get(result)
        yield from (jax.tree.map(lambda leaf, i=i: leaf[i], result) for i in range(n))


def _next_chunk(n_steps: int, seconds: float) -> int:
    """Return the number of steps that take about CHUNK_SECONDS, at most eight times the last number."""
    return max(1, min(8 * n_steps, int(n_steps * CHUNK_SECONDS / max(seconds, 1e-9))))


def let_go() -> None:
    """Free all compiled programs: each maps memory, and a process has a limited number of maps (65 530 on Linux)."""
    _program.cache_clear()
    jax.clear_caches()


class _Program(NamedTuple):
    put: Callable[[Sequence], Any]
    prepare_data: Callable
    compiled: Callable[[Any, Any], tuple[Callable, Callable]]  # (data, members) → start, advance
    chunk: list[int]  # steps of the next dispatch, adapted after each one
    n_members: int  # that train at once
    n_data: int  # data sets that they have


@functools.cache
def _program(run: TrainingRun, devices: tuple[Any, ...], width: int, one_data_set: bool) -> _Program:
    mesh = Mesh(np.array(devices), ("member",))
    each = PartitionSpec("member")
    sharding = NamedSharding(mesh, each)

    def on_each(function: Callable, n_shared: int = 0, **kwargs) -> Any:
        def program(*args):
            specs = (each,) * (len(args) - n_shared) + (PartitionSpec(),) * n_shared
            return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=each, check_vma=False)(*args)

        return jax.jit(program, compiler_options=runtime.compiler_options(run.options), **kwargs)

    group = grouped(run, width, one_data_set)
    start, advance = on_each(group.start), on_each(group.advance, n_shared=1, donate_argnums=2)
    programs: dict[tuple, tuple[Callable, Callable]] = {}

    def compiled(prepared, stacked) -> tuple[Callable, Callable]:
        """Compile both programs in parallel for data and members of these shapes."""
        leaves, tree = jax.tree.flatten((prepared, stacked))
        shapes = (tree, *((leaf.shape, leaf.dtype) for leaf in leaves))
        if shapes not in programs:
            lowered = start.lower(prepared, stacked)
            state = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), lowered.out_info)
            with ThreadPoolExecutor(2) as pool:
                both = [lowered, advance.lower(prepared, stacked, state, np.int32(0))]
                compiled_start, compiled_advance = pool.map(lambda program: program.compile(), both)
            programs[shapes] = compiled_start, compiled_advance
        return programs[shapes]

    def put(group: Sequence):
        return jax.device_put(jax.tree.map(lambda *leaves: _stack(leaves), *group), sharding)

    n_members = len(devices) * width
    n_data = len(devices) if one_data_set else n_members
    return _Program(put, on_each(group.prepare_data), compiled, [run.first_chunk], n_members, n_data)


def _stack(leaves):
    if not isinstance(leaves[0], jax.Array):
        return np.stack(leaves)
    if jax.numpy.issubdtype(leaves[0].dtype, jax.dtypes.prng_key):
        words = _stack([jax.random.key_data(key) for key in leaves])
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaves[0]))
    return np.stack(jax.device_get(leaves))  # stacking hundreds of them on a device would compile for seconds
