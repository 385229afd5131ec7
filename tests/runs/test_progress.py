"""What a run says of its progress."""

from dataclasses import replace

import pytest

from flylab.runs import progress
from flylab.runs.plan import plan_of_study
from flylab.runs.progress import Bar, Work
from flylab.study import get_study, protocol_of


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_remaining_time_is_in_proportion_to_the_work(clock):
    bar = Bar()
    bar.begin(4, 10.0)
    assert bar.left is None
    clock[0] = 30.0
    bar.worked(2.5)
    assert bar.left == 90.0
    assert bar.text(100) == "0/4 members, 25 %, 1.5 minutes left"
    bar.condition({"model": "cnn", "source": "endless"})
    bar.saved(1)
    assert bar.text(100) == "cnn endless  1/4 members, 25 %, 1.5 minutes left"


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_text_fits(width, clock):
    bar = Bar()
    bar.begin(4000, 10.0)
    bar.condition({"model": "a-very-long-name-of-a-model", "source": "published", "arrangement": "shuffled"})
    clock[0] = 1000.0
    bar.worked(1.0)
    assert len(bar.text(width)) <= width
    assert bar.text(width).startswith("0/4000" if width < 56 else "a-very")


def test_without_a_terminal_there_is_a_line_every_half_minute(clock, capsys):
    with Bar() as bar:
        bar.is_live = False
        bar.begin(100, 100.0)
        for second in range(100):
            clock[0] = float(second)
            bar.worked(1.0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "flylab: 0/100 members, 31 %, 1.1 minutes left".replace("1.1 minutes", "67 seconds")


def test_members_of_another_process_are_said(capsys, clock):
    bar = Bar()
    bar.begin(3, 1.0)
    bar.elsewhere(2)
    assert "waiting for 2 members of another process" in bar.text(100)


def test_work_grows_with_flops_and_steps():
    study, protocol = get_study("train"), protocol_of(get_study("train"), "smoke")

    def work(**changes):
        return Work(study, plan_of_study(study, "smoke", replace(protocol, **changes)).groups()).total

    assert work(n_seeds=4) > work()
    assert work(n_steps=1000) > work()
    assert work(model="gru", n_steps=6000) > work(model="logistic", n_steps=6000)


def test_all_work_is_credited():
    study, protocol = get_study("train"), protocol_of(get_study("train"), "smoke")
    (group,) = plan_of_study(study, "smoke", protocol).groups()
    work = Work(study, [group])
    steps = study.n_steps(protocol, group.condition) * len(group.seeds)
    assert work.per_step(group) * steps + work.begun(group) + work.begun(group) == pytest.approx(work.total)
