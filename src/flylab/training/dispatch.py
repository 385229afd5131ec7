"""Dispatches: members are trained in groups, on all devices.

Each device trains one group of members at a time (of one member on a CPU, see `groups.py`), in dispatches of constant
shape that take about half a second. A member's result is therefore bit-identical whichever members train beside it, on
any number of devices and for any length of dispatches. Memory is that of one group per device, another number of seeds
compiles nothing, and progress, cancelling and saving happen between dispatches.
"""

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from flylab.base import runtime
from flylab.training.groups import grouped, width_of
from flylab.training.inputs import SplitArrays
from flylab.training.members import Members
from flylab.training.programs import ONCE, OnEach, drawings, shapes_of
from flylab.training.step import Member, State, initial, trained_params
from flylab.training.train import Trained, TrainingRun

CHUNK_SECONDS = 0.5


class Progress(Protocol):
    """A callback for progress."""

    def __call__(self, n_steps: int, /) -> None:
        """Record `n_steps` further optimiser steps, summed over members."""


class Program(NamedTuple):
    """The compiled functions that train groups of members."""

    put: Callable[[Sequence], Any]
    prepare_data: Callable
    compiled: Callable[[Any, Any], tuple[Callable, Callable]]  # (data, members) → start, advance
    chunk: list[int]  # steps of the next dispatch, adapted after each one
    n_members: int  # that train at once
    n_data: int  # data sets that they have


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
    program, members = program_for(run, members, one_data_set)
    finished: list[tuple[int, Trained]] = []  # fetched while the next group trains
    for n, state, advance in started(program, members):
        done = -1
        while done < run.n_steps:
            begin, done = time.perf_counter(), max(done, 0)
            stop = min(run.n_steps, done + program.chunk[0])
            state = advance(state, np.int32(stop))
            yield from fetched(finished)
            jax.block_until_ready(state)
            program.chunk[0] = _next_chunk(stop - done, time.perf_counter() - begin)
            if progress is not None:
                progress((stop - done) * n)
            done = stop
        finished = [(n, result_of(state))]
    yield from fetched(finished)


def program_for(run: TrainingRun, members: Members, one_data_set: bool) -> tuple[Program, Members]:
    """Return the program that trains groups of the width that suits the members, and the members."""
    members = iter(members)
    first = list(itertools.islice(members, 1))
    width = width_of(run, *first[0]) if first else 1
    return _program(run, runtime.devices(), width, one_data_set and width > 1), itertools.chain(first, members)


def started(program: Program, members: Members) -> Iterator[tuple[int, State, Callable]]:
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


def result_of(state: State) -> Trained:
    """Return what the states of a group hold of their trained networks."""
    return Trained(jax.vmap(trained_params)(state), state.history, state.prediction, state.saved_params)


def fetched(finished: list[tuple[int, Trained]]) -> Iterator[Trained]:
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
    drawings.cache_clear()
    initial.cache_clear()
    jax.clear_caches()


@functools.cache
def _program(run: TrainingRun, devices: tuple[Any, ...], width: int, one_data_set: bool) -> Program:
    group, on_each = grouped(run, width, one_data_set), OnEach(devices)
    start = on_each(group.start, (*run.options, ONCE))
    advance = on_each(group.advance, run.options, n_shared=1, donate_argnums=2)
    programs: dict[tuple, tuple[Callable, Callable]] = {}

    def compiled(prepared, stacked: Member) -> tuple[Callable, Callable]:
        """Compile all programs in parallel for data and members of these shapes."""
        shapes = shapes_of((prepared, stacked))
        if shapes not in programs:
            draws = run.initial is not None and stacked.params is None
            drawing = drawings(run.initial, run.options, devices, width)(stacked) if draws else None
            starting = start.lower(prepared, drawing.drawn if drawing else stacked)
            advancing = advance.lower(prepared, stacked, on_each.made(starting), np.int32(0))
            with ThreadPoolExecutor(2) as pool:
                draw = pool.submit(drawing.compiled) if drawing else None
                compiled_start, compiled_advance = pool.map(lambda program: program.compile(), (starting, advancing))

            def begin(prepared, stacked: Member) -> State:
                return compiled_start(prepared, draw.result()(stacked) if draw else stacked)

            programs[shapes] = begin, compiled_advance
        return programs[shapes]

    def put(group: Sequence):
        return jax.device_put(jax.tree.map(lambda *leaves: _stack(leaves), *group), on_each.sharding)

    n_members = len(devices) * width
    n_data = len(devices) if one_data_set else n_members
    return Program(put, on_each(group.prepare_data, run.options), compiled, [run.first_chunk], n_members, n_data)


def _stack(leaves):
    if not isinstance(leaves[0], jax.Array):
        return np.stack(leaves)
    if jax.numpy.issubdtype(leaves[0].dtype, jax.dtypes.prng_key):
        words = _stack([jax.random.key_data(key) for key in leaves])
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(leaves[0]))
    return np.stack(jax.device_get(leaves))  # stacking hundreds of them on a device would compile for seconds
