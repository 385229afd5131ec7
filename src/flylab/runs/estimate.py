"""What a run would cost, measured by a short trial of some of its members."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from flylab.base import runtime
from flylab.base.config import to_json
from flylab.runs.plan import KEY, MemberGroup, RunPlan
from flylab.runs.store import stored

TRIALS = 6  # conditions that are tried
TRIAL_SECONDS = 1.5  # training of each, after it is compiled


class Estimate(NamedTuple):
    """The work that a run has left, and its cost on all devices of this machine.

    Attributes:
        n_conditions: conditions of the run.
        n_members: members of the run.
        n_finished: those that are in the store.
        n_steps: optimiser steps of those that are not.
        seconds: of training those; None if the study says no number of steps.
        flops: of training those, matrix products only; None if the study does not say.
        memory: bytes of data and networks in training on all devices; None if the study does not say.
    """

    n_conditions: int
    n_members: int
    n_finished: int
    n_steps: int
    seconds: float | None
    flops: int | None
    memory: int | None


class _EnoughError(Exception):
    """The trial has lasted long enough."""


@runtime.pinned()
def estimate(
    plan: RunPlan, out: Path, *, part: tuple[int, int] = (1, 1), force: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Estimate:  # fmt: skip
    """Return the work that a run, or a part of it, has left; nothing is written.

    Args:
        plan: what is to be run.
        out: the folder of its results.
        part: K and N, of several parts.
        force: whether finished members are trained again.
        clock: seconds of the trials; by default those that pass, whatever else the machine does meanwhile.

    Raises:
        OSError, ValueError: as the run itself would raise before it begins.
    """
    runtime.initialise()  # before anything else starts JAX
    study, groups = plan.study, list(plan.groups(part))
    have = set() if force else stored(out, [name for group in groups for name in group.names])
    left = [some for group in groups if (some := group.only(set(group.names) - have)).names]
    steps = [_steps(plan, group) for group in left]
    n_steps, costs, flops, memory = sum(steps), [(0, 0)] * len(left), None, None
    if study.resources is not None:
        costs = [study.resources(group.protocol, group.condition) for group in left]
        flops = sum(cost[0] * len(group.names) for cost, group in zip(costs, left, strict=True))
        memory = max((cost[1] for cost in costs), default=0) * len(runtime.devices()) * runtime.most_at_once()
    n_members = sum(len(group.names) for group in groups)
    n_finished = n_members - sum(len(group.names) for group in left)
    each = [cost[0] * len(group.names) / max(n, 1) for cost, group, n in zip(costs, left, steps, strict=True)]
    seconds = _seconds(plan, left, steps, each, clock) if n_steps or not left else None
    return Estimate(len(groups), n_members, n_finished, n_steps, seconds, flops, memory)


def _steps(plan: RunPlan, group: MemberGroup) -> int:
    return plan.study.n_steps(group.protocol, group.condition) * len(group.names)


def _seconds(
    plan: RunPlan, left: Sequence[MemberGroup], n_steps: Sequence[int], flops: Sequence[float],
    clock: Callable[[], float],
) -> float:  # fmt: skip
    """Return the time that training takes: of each condition's steps, and the time that each trial took to begin.

    Conditions from the cheapest step to the dearest, by the FLOPs of one, are tried. A step of another one takes what
    its FLOPs say, on straight lines through those tried; without FLOPs, the mean of those tried.
    """
    kinds = {(cost, to_json(group.labels)): group for group, cost, n in zip(left, flops, n_steps, strict=True) if n}
    if not kinds:
        return 0.0
    ordered = sorted(kinds.items(), key=lambda kind: kind[0][0])
    picked = np.linspace(0, len(ordered) - 1, min(TRIALS, len(ordered))).round().astype(int)
    begun, per_step = zip(*(_tried(plan, ordered[i][1], clock) for i in picked), strict=True)
    tried, which = np.unique([ordered[i][0][0] for i in picked], return_inverse=True)
    means = np.bincount(which, per_step) / np.bincount(which)
    return float(np.dot(n_steps, np.interp(flops, tried, means)) + np.mean(begun) * len(kinds))


def _tried(plan: RunPlan, group: MemberGroup, clock: Callable[[], float]) -> tuple[float, float]:
    """Fill the devices for a short time; return the seconds to the first report, and of a member's step after it."""
    some, _ = group.cut(len(runtime.devices()) * runtime.most_at_once())
    began, first, steps = clock(), None, 0

    def progress(n_steps: int) -> None:
        nonlocal first, steps
        if first is None:
            first = clock()
        else:
            steps += n_steps
            if clock() - first > TRIAL_SECONDS:
                raise _EnoughError

    with contextlib.suppress(_EnoughError):
        plan.study.run(
            some.protocol, some.condition, list(some.seeds), key=jax.random.key(KEY),
            artifacts=dict(plan.study.artifacts), progress=progress, resume=None,
        )  # fmt: skip
    ended = clock()
    if first is None or not steps:  # it was over at once: all of it counts
        return 0.0, (ended - began) / _steps(plan, some)
    return first - began, (ended - first) / steps
