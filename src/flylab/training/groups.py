"""Groups of members that one device trains at once, in lockstep and in batched products.

A CPU trains groups of one: a wide `vmap` falls out of its cache. An accelerator needs many at once. The width of a
group depends on the device and on the network's size only (`base/runtime.py`), and the last group of a population is
filled up; so a member's result depends neither on its company nor on its place.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flylab.base import runtime
from flylab.models.layers import for_groups
from flylab.training.inputs import SplitArrays
from flylab.training.step import Member, PreparedData, State
from flylab.training.train import TrainingRun

# All members of a group have the same step, so that a loop ends for all at once: where each had its own, every step
# would choose between the old and the new state of each member.
_LOCKSTEP: Any = State(*[0] * len(State._fields))._replace(step=None, n_evaluated=None)  # pyright: ignore


def width_of(run: TrainingRun, data: SplitArrays | None, member: Member) -> int:
    """Return how many members one device trains at once, which follows from the size of a member.

    Args:
        run: the training run.
        data: the data of a member.
        member: the member.
    """
    if runtime.most_at_once() == 1:
        return 1

    def started(data: SplitArrays | None, member: Member) -> tuple[Any, State]:
        prepared = run.prepare_data(data, member.hparams)
        return prepared, run.start(prepared, member)

    prepared, state = jax.eval_shape(started, data, member)
    size = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    if isinstance(prepared, PreparedData):
        size += int(np.prod(prepared.evaluated.shape[1:]))  # what an evaluation reads at once
    return min(runtime.group_width(size), run.most_at_once)


def grouped(run: TrainingRun, width: int, one_data_set: bool) -> TrainingRun:
    """Return the same training for a group, as functions of arrays with a leading axis of its members.

    Args:
        run: the training run of one member.
        width: members in the group.
        one_data_set: whether they share their data, whose leading axis then has length 1. Shared data make another
            program, so this must not depend on which members happen to be in a group.
    """
    if width == 1:
        return run._replace(
            prepare_data=_alone(run.prepare_data), start=_alone(run.start), advance=_alone(run.advance, n_shared=1)
        )
    data_axis = None if one_data_set else 0

    def taken(data: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[0], data) if one_data_set else data

    def together(state: State) -> State:
        return state._replace(step=state.step[0], n_evaluated=state.n_evaluated[0])

    def apart(state: State) -> State:
        step, n_evaluated = (jnp.broadcast_to(value, (width,)) for value in (state.step, state.n_evaluated))
        return state._replace(step=step, n_evaluated=n_evaluated)

    def prepare_data(data, hparams):
        if one_data_set:
            return _alone(run.prepare_data)(data, jax.tree.map(lambda leaf: leaf[:1], hparams))
        return jax.vmap(run.prepare_data, axis_size=width)(data, hparams)

    def start(data, members: Member) -> State:
        mapped = jax.vmap(run.start, (data_axis, 0), _LOCKSTEP, axis_size=width)
        with for_groups():
            return apart(mapped(taken(data), members))

    def advance(data, members: Member, state: State, stop) -> State:
        mapped = jax.vmap(run.advance, (data_axis, 0, _LOCKSTEP, None), _LOCKSTEP, axis_size=width)
        with for_groups():
            return apart(mapped(taken(data), members, together(state), stop))

    return run._replace(prepare_data=prepare_data, start=start, advance=advance)


def of_group(function: Callable, width: int) -> Callable:
    """Return a function of one member as one of a group's, as arrays with a leading axis."""
    if width == 1:
        return _alone(function)

    def of_many(members: Member) -> Any:
        with for_groups():
            return jax.vmap(function, axis_size=width)(members)

    return of_many


def _alone(function: Any, n_shared: int = 0) -> Any:
    """Return a function of one member as one of arrays with a leading axis of length 1; the last have none."""

    def of_one(*args):
        n_own = len(args) - n_shared
        own = jax.tree.map(lambda leaf: leaf[0], args[:n_own])
        return jax.tree.map(lambda leaf: leaf[None], function(*own, *args[n_own:]))

    return of_one
