"""Training many networks: a population over named axes, on all cores.

Every device trains one member at a time, in dispatches of constant shape, each at most about half a second. So a
member's result is bit for bit the same alone, in any company, on any number of devices and in any chunking (with two
or more members in one batched product it would not be), memory stays that of one member per device, a new number of
seeds compiles nothing, and progress, cancelling and saving happen between dispatches.
"""

import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flylab.base import runtime
from flylab.base.types import Key, Params
from flylab.data.splits import Source, Splits
from flylab.training.objectives import Objective
from flylab.training.step import Arrays, Member, Plan, State, arrays, not_data
from flylab.training.train import Steps, Trained, check, steps

CHUNK_SECONDS = 0.5


class Progress(Protocol):
    """Told of every piece of work done."""

    def __call__(self, n_steps: int, /) -> None:
        """`n_steps` more optimiser steps are done, summed over members."""


class Population(NamedTuple):
    """A trained population.

    Attributes:
        params: the last parameters, as NumPy arrays with the grid's axes in front.
        results: metrics with the grid's named axes: `{train,valid,test}_{loss,accuracy}` over `step`, and
            `prediction` over `example`; with the plan's `record_loss` also `loss` over `update`.
    """

    params: Params
    results: xr.Dataset


def train_members(
    objective: Objective,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Sequence],
    *,
    key: Key | int = 0,
    params: Callable[[int], Params] | None = None,
    progress: Progress | None = None,
) -> Population:
    """Train one network for every point of `grid`, on all cores, through one compiled program.

    Args:
        objective: what to learn, e.g. `supervised(model)`.
        data: `Splits`; or a function of the seed, for fresh data per seed (of one shape); or a `Source`, for fresh
            data in every step (`flylab.endless(config)`), whose hyper-parameters may then be axes of the grid.
        plan: what shapes the program.
        grid: values by axis name, e.g. `{"learning_rate": [1e-3, 1e-2], "seed": range(20)}`. `seed` gives each member
            its key, `fold_in(key, seed)`; the others are hyper-parameters.
        key: the root of all randomness: a key, or a number to make one from. (Making a key starts JAX, and only what
            flylab starts itself uses all cores: see `flylab.setup`.)
        params: initial parameters by seed; by default the objective's own.
        progress: called after each piece of work.

    Raises:
        ValueError: if an axis is empty or read by nothing, there is no `seed`, or a label exceeds the outputs.
        TypeError: if `data` is none of the three.

    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> grid = {"learning_rate": [1e-3, 1e-2], "seed": range(3)}
    >>> population = train_members(supervised(get_model("logistic")), splits, Plan(20), grid)
    >>> dict(population.results.test_accuracy.sizes)
    {'learning_rate': 2, 'seed': 3, 'step': 2}
    """
    run, axes, members = _asked(objective, data, plan, grid, key, params)
    return _population(list(run_members(run, members, progress=progress)), axes, plan)


def watch_members(
    objective: Objective,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Sequence],
    *,
    key: Key | int = 0,
) -> Iterator[Population]:
    """Train as `train_members` does, all members side by side, and yield the population after each evaluation.

    The last one is that of `train_members`, bit for bit; those before end at an earlier `step`. Whoever stops asking
    stops the training. Memory is that of all members at once.

    Args:
        objective, data, plan, grid, key: as for `train_members`.

    Raises:
        ValueError, TypeError: as `train_members`.

    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> watched = watch_members(supervised(get_model("logistic")), splits, Plan(20, eval_every=10), {"seed": [0, 1],
    ...                         "learning_rate": [1e-2]})
    >>> [population.results.step.values.tolist() for population in watched]
    [[0], [0, 10], [0, 10, 20]]
    """
    run, axes, members = _asked(objective, data, plan, grid, key, None)
    program, groups = _program(run, runtime.devices()), []
    for group in _grouped(members, len(runtime.devices())):
        needs, last = _needs(group.data, group.own), groups[-1] if groups else None
        stacked = program.put(group.own)
        is_laid = last is not None and all(new is old for new, old in zip(needs, last[0], strict=True))
        laid = last[1] if last is not None and is_laid else program.lay_out(program.put(group.data), stacked.hparams)
        start, advance = program.compiled(laid, stacked)
        groups.append([needs, laid, stacked, advance, start(laid, stacked), group.n])
    for n_evaluated, step in enumerate(plan.evaluated, 1):
        trained: list[Trained] = []
        for group in groups:
            _, laid, stacked, advance, state, n = group
            # an evaluation is made at the beginning of the step after it
            group[4] = state = advance(laid, stacked, state, np.int32(min(step + 1, plan.n_steps)))
            trained += _fetched([(n, _result(state))])
        yield _population(trained, axes, plan, n_evaluated)


Members = Iterable[tuple[Arrays | None, Member]]  # each with its data, None where they are a `Source`


def _asked(
    objective: Objective,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Sequence],
    key: Key | int,
    params: Callable[[int], Params] | None,
) -> tuple[Steps, dict[str, list], Members]:
    """The run, the axes and the members that `train_members` is asked for, checked."""
    axes = {name: list(values) for name, values in grid.items()}
    if "seed" not in axes:
        raise ValueError("the grid has no axis 'seed'; give one, e.g. seed=range(10)")
    for name, values in axes.items():
        if not values:
            raise ValueError(f"the grid's axis {name!r} is empty; give it at least one value")
    if not (isinstance(data, Splits | Source) or callable(data)):
        raise not_data(data)
    runtime.initialise()  # before anything else starts JAX
    root = jax.random.key(key) if isinstance(key, int) else key
    source = data if isinstance(data, Source) else None
    fixed = arrays(data) if isinstance(data, Splits) else None

    def members() -> Iterator[tuple[Arrays | None, Member]]:
        for point in itertools.product(*axes.values()):
            hparams = dict(zip(axes, point, strict=True))
            seed = int(hparams.pop("seed"))
            sets = arrays(data(seed)) if callable(data) else fixed
            hparams = {name: np.float32(value) for name, value in hparams.items()}
            yield sets, Member(jax.random.fold_in(root, seed), hparams, None if params is None else params(seed))

    first, member = next(members())
    checked = first if source is None else source
    assert checked is not None
    if source is not None:
        swept = {name: values for name, values in axes.items() if name != "seed"}
        for point in itertools.product(*swept.values()):
            source.check(dict(zip(swept, point, strict=True)))
    check(objective, plan, checked, member)
    return steps(objective, plan, source), axes, members()


def _population(
    trained: Sequence[Trained], axes: Mapping[str, Sequence], plan: Plan, n_evaluated: int | None = None
) -> Population:
    sizes = tuple(len(values) for values in axes.values())
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(*sizes, *np.shape(leaves[0])), *trained)
    return Population(stacked.params, to_dataset(stacked, axes, plan).isel(step=slice(n_evaluated)))


def to_dataset(stacked: Trained, axes: Mapping[str, Sequence], plan: Plan) -> xr.Dataset:
    """The histories of a population as a data set over its axes and steps."""
    history = dict(stacked.history)
    variables = {"prediction": ((*axes, "example"), stacked.prediction)}
    if plan.record_loss:
        variables["loss"] = ((*axes, "update"), history.pop("loss"))
    variables |= {name: ((*axes, "step"), values) for name, values in history.items()}
    return xr.Dataset(variables, {**axes, "step": list(plan.evaluated)})


def run_members(run: Steps, members: Members, *, progress: Progress | None = None) -> Iterator[Trained]:
    """Run each member to its end, one per device at a time, and yield its result as NumPy arrays, in order."""
    devices = runtime.devices()
    program = _program(run, devices)
    laid, laid_for = None, []
    finished: list[tuple[int, Trained]] = []  # fetched while the next group is under way
    for n, data, own in _grouped(members, len(devices)):
        stacked = program.put(own)
        needs = _needs(data, own)
        if laid is None or any(new is not old for new, old in zip(needs, laid_for, strict=True)):
            laid, laid_for = program.lay_out(program.put(data), stacked.hparams), needs
        start, advance = program.compiled(laid, stacked)
        state = start(laid, stacked)
        done = -1
        while done < run.n_steps:
            begun, done = time.perf_counter(), max(done, 0)
            stop = min(run.n_steps, done + program.chunk[0])
            state = advance(laid, stacked, state, np.int32(stop))
            yield from _fetched(finished)
            jax.block_until_ready(state)
            program.chunk[0] = _next_chunk(stop - done, time.perf_counter() - begun)
            if progress is not None:
                progress((stop - done) * n)
            done = stop
        finished = [(n, _result(state))]
    yield from _fetched(finished)


class _Group(NamedTuple):
    """Members that are trained at once, one per device; an idle device repeats the last."""

    n: int
    data: tuple[Arrays | None, ...]
    own: tuple[Member, ...]


def _grouped(members: Members, n_devices: int) -> Iterator[_Group]:
    members = iter(members)
    while group := list(itertools.islice(members, n_devices)):
        data, own = zip(*group, *[group[-1]] * (n_devices - len(group)), strict=True)
        yield _Group(len(group), data, own)


def _needs(data: Sequence[Arrays | None], own: Sequence[Member]) -> list[Any]:
    """What data are laid out for: where these are the same objects, they need not be again."""
    return [member.hparams if one is None else one for one, member in zip(data, own, strict=True)]


def _result(state: State) -> Trained:
    return Trained(state.params, state.history, state.prediction, state.saved_params)


def _fetched(finished: list[tuple[int, Trained]]) -> Iterator[Trained]:
    """The members of finished groups as NumPy arrays; empties the list."""
    while finished:
        n, result = finished.pop()
        result = jax.device_get(result)
        yield from (jax.tree.map(lambda leaf, i=i: leaf[i], result) for i in range(n))


def _next_chunk(n_steps: int, seconds: float) -> int:
    """As many steps as take about CHUNK_SECONDS, growing at most eightfold at once."""
    return max(1, min(8 * n_steps, int(n_steps * CHUNK_SECONDS / max(seconds, 1e-9))))


def let_go() -> None:
    """Forget all compiled programs: each maps memory, and a process may have only so many maps (65 530 on Linux)."""
    _program.cache_clear()
    jax.clear_caches()


class _Program(NamedTuple):
    put: Callable[[Sequence], Any]
    lay_out: Callable
    compiled: Callable[[Any, Any], tuple[Callable, Callable]]  # (data, members) → start, advance
    chunk: list[int]  # steps of the next dispatch, learnt from the last


@functools.cache
def _program(run: Steps, devices: tuple[Any, ...]) -> _Program:
    mesh = Mesh(np.array(devices), ("member",))
    each = PartitionSpec("member")
    sharding = NamedSharding(mesh, each)

    def on_each(function: Callable, n_shared: int = 0, **kwargs) -> Any:
        def local(*args):
            cut = len(args) - n_shared
            own = jax.tree.map(lambda leaf: leaf[0], args[:cut])
            return jax.tree.map(lambda leaf: leaf[None], function(*own, *args[cut:]))

        def program(*args):
            specs = (each,) * (len(args) - n_shared) + (PartitionSpec(),) * n_shared
            return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=each, check_vma=False)(*args)

        return jax.jit(program, compiler_options=runtime.compiler_options(run.options), **kwargs)

    start, advance = on_each(run.start), on_each(run.advance, n_shared=1, donate_argnums=2)
    programs: dict[tuple, tuple[Callable, Callable]] = {}

    def compiled(laid, stacked) -> tuple[Callable, Callable]:
        """Both programs for data and members of these shapes, compiled side by side."""
        leaves, tree = jax.tree.flatten((laid, stacked))
        shapes = (tree, *((leaf.shape, leaf.dtype) for leaf in leaves))
        if shapes not in programs:
            begin = start.lower(laid, stacked)
            state = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), begin.out_info)
            with ThreadPoolExecutor(2) as pool:
                both = [begin, advance.lower(laid, stacked, state, np.int32(0))]
                first, second = pool.map(lambda lowered: lowered.compile(), both)
            programs[shapes] = first, second
        return programs[shapes]

    def put(group: Sequence):
        return jax.device_put(jax.tree.map(lambda *leaves: _stack(leaves), *group), sharding)

    return _Program(put, on_each(run.lay_out), compiled, [run.first_chunk])


def _stack(leaves):
    return jax.numpy.stack(leaves) if isinstance(leaves[0], jax.Array) else np.stack(leaves)
