"""Estimates are right where a step's time is a straight line of its FLOPs, whatever the order of the conditions."""

from dataclasses import dataclass, replace

import pytest
import xarray as xr
from matplotlib.figure import Figure

from flylab.results.tables import Table
from flylab.runs.estimate import TRIALS, estimate
from flylab.runs.plan import plan_of_study
from flylab.study import Study

N_STEPS, BEGIN = 1000, 3.0


@dataclass(frozen=True)
class Widths:
    """A protocol whose conditions cost very different times."""

    n_seeds: int = 2
    widths: tuple[int, ...] = (1, 300, 2, 100, 3, 30, 4, 10, 200, 5)


class Clock:
    """Seconds that pass only as the study says."""

    now, begun = 0.0, 0

    def __call__(self):
        return self.now

    def __fingerprint__(self):
        return "a clock"


clock = Clock()


def step_seconds(width):
    return 1e-4 + 1e-5 * width**2


def run(protocol, condition, seeds, *, key, artifacts, progress, resume=None):
    """Take some seconds to begin, and report every ten steps."""
    clock.begun += 1
    clock.now += BEGIN
    progress(0)
    for _ in range(0, N_STEPS, 10):
        clock.now += 10 * len(seeds) * step_seconds(condition["width"])
        progress(10 * len(seeds))
    return xr.Dataset()


STUDY = Study(
    question="How long?", presets={"smoke": Widths(), "quick": Widths()}, run=run, claims=[], name="widths",
    conditions=lambda protocol: [{"width": width} for width in protocol.widths],
    n_steps=lambda protocol, condition: N_STEPS, figure=lambda results: Figure(),
    resources=lambda protocol, condition: (N_STEPS * 7 * condition["width"] ** 2, 1),
    table=lambda results: Table("t", ["a"], [["1"]]),
)  # fmt: skip


def seconds_of(out, study=STUDY, **fields):
    clock.begun = 0
    return estimate(plan_of_study(study, "quick", replace(Widths(), **fields)), out, clock=clock).seconds


def test_seconds_are_those_of_all_conditions(tmp_path):
    widths = Widths().widths
    truth = 2 * N_STEPS * sum(map(step_seconds, widths)) + BEGIN * len(widths)
    assert seconds_of(tmp_path) == pytest.approx(truth)
    assert clock.begun == TRIALS < len(widths)


def test_without_flops_each_trial_counts_the_same(tmp_path):
    truth = 2 * N_STEPS * (step_seconds(1) + step_seconds(300)) + 2 * BEGIN
    assert seconds_of(tmp_path, replace(STUDY, resources=None), widths=(1, 300)) == pytest.approx(truth)


def test_a_study_without_steps_has_no_estimate(tmp_path):
    assert seconds_of(tmp_path, replace(STUDY, n_steps=lambda protocol, condition: 0)) is None
    assert clock.begun == 0
