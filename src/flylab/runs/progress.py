"""A run's progress: a bar on a terminal or in a notebook, else a plain line now and then."""

import sys
import time
from collections.abc import Iterable
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.text import Text

from flylab.base.config import to_json
from flylab.base.text import visible
from flylab.runs.plan import MemberGroup
from flylab.study.study import Condition, Study

BAR, TEXT, WIDE = 20, 50, 80  # columns of the bar, and of its text at least; a narrower terminal shows no bar
EVERY = 30.0  # seconds between plain lines
# a guess of a step's overhead, of FLOPs per second, and of the seconds to compile; only ratios matter
STEP_SECONDS, FLOPS, START_SECONDS = 2e-5, 5e10, 2.0
_KNOWN = 0.005  # the share of all work after which the remaining time is said
_MOST_COSTS = 200  # groups whose FLOPs are computed, as that takes a millisecond each


class Watcher(Protocol):
    """An observer of a run's progress, such as `Bar`."""

    def begin(self, n_members: int, work: float) -> None:
        """Start: `n_members` members are to be trained; `work` is all work in any unit."""

    def condition(self, condition: Condition) -> None:
        """Announce the condition whose members are trained next."""

    def worked(self, work: float) -> None:
        """Add finished work."""

    def saved(self, n_members: int) -> None:
        """Add `n_members` members that are trained and saved."""

    def elsewhere(self, n_members: int) -> None:
        """Say how many of the members that are left another process is training."""


class Nobody:
    """A watcher that does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Work:
    """The work of members, in seconds as a guess of their ratios: a step costs its FLOPs and some overhead.

    Args:
        study: the study.
        groups: all members to train; they must live as long as this object.

    Attributes:
        total: all of it.
        memory: bytes of data and network of the largest member, as far as the study says.
    """

    def __init__(self, study: Study, groups: Iterable[MemberGroup]) -> None:
        self._study, self._by_key, self.memory = study, {}, 0
        self._groups = list(groups)
        self.total = sum(self.of(group) for group in self._groups)
        self.total += START_SECONDS * len({condition for _, condition in self._by_key})
        self._begun: set[str] = set()

    def per_step(self, group: MemberGroup) -> float:
        """Return the work of one step of one member."""
        key = id(group.protocol), to_json(group.labels)
        if key not in self._by_key:
            flops, n_steps = 0.0, self._study.n_steps(group.protocol, group.condition)
            if self._study.resources is not None and len(self._by_key) < _MOST_COSTS and n_steps:
                flops, n_bytes = self._study.resources(group.protocol, group.condition)
                flops, self.memory = flops / n_steps, max(self.memory, n_bytes)
            self._by_key[key] = STEP_SECONDS + flops / FLOPS
        return self._by_key[key]

    def begun(self, group: MemberGroup) -> float:
        """Return the work of compiling a group's condition, the first time."""
        key = to_json(group.labels)
        if key in self._begun:
            return 0.0
        self._begun.add(key)
        return START_SECONDS

    def of(self, group: MemberGroup) -> float:
        """Return the work of a group's members."""
        return self.per_step(group) * self._study.n_steps(group.protocol, group.condition) * len(group.seeds)


class Bar:
    """A progress bar on the error stream, or a line every half minute if that is no terminal.

    The remaining time is the time that has passed, times the work that is left over the work that is done.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.is_live = self.console.is_terminal or self.console.is_jupyter
        self.bar: Progress | None = None
        self.n_members, self.n_saved, self.total, self.done = 0, 0, 0.0, 0.0
        self.began = self.last = time.monotonic()
        self.what = ""

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    @property
    def left(self) -> float | None:
        """The remaining seconds; None as long as too little work is done, or too little is left, to tell."""
        elapsed = time.monotonic() - self.began
        if not self.done or self.done < _KNOWN * self.total or self.total - self.done < 1e-6 * self.total:
            return None
        return elapsed * (self.total - self.done) / self.done

    def begin(self, n_members: int, work: float) -> None:
        """Show the bar, unless there are no members to train."""
        if not n_members:
            return
        self.began = self.last = time.monotonic()
        self.n_members, self.n_saved, self.total, self.done = self.n_saved + n_members, self.n_saved, work, 0.0
        if self.is_live and self.bar is None:
            columns = (_Line(self), *([BarColumn(BAR)] if self.console.width >= WIDE else []))
            self.bar = Progress(*columns, console=self.console, transient=True, refresh_per_second=4)
            self.bar.start()
            self.task = self.bar.add_task("", total=max(work, 1e-9))

    def condition(self, condition: Condition) -> None:
        """Show the condition that is being trained."""
        self.what = visible(" ".join(str(value) for value in condition.values()))
        self._show()

    def worked(self, work: float) -> None:
        """Advance the bar."""
        self.done = min(self.done + work, self.total)
        self._show()

    def saved(self, n_members: int) -> None:
        """Add to the count of finished members."""
        self.n_saved += n_members
        self._show()

    def elsewhere(self, n_members: int) -> None:
        """Show how many members another process is training."""
        if n_members:
            self.what = f"waiting for {n_members} members of another process"
            self._show()

    def _show(self) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done)
        elif not self.is_live and time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            print(f"flylab: {self.text(100)}", file=sys.stderr, flush=True)

    def text(self, width: int) -> str:
        """Return the state of the run in at most `width` characters; the condition is cut first."""
        share = f"{100 * self.done / self.total:.0f} %" if self.total else ""
        left = "" if self.left is None else f"{duration(self.left)} left"
        numbers = ", ".join(filter(None, (f"{self.n_saved}/{self.n_members} members", share, left)))
        room = width - len(numbers) - 2
        return f"{self.what[:room]}  {numbers}" if self.what and room >= 12 else numbers[:width]


class _Line(ProgressColumn):
    """The text beside the bar."""

    def __init__(self, bar: Bar) -> None:
        super().__init__()
        self._bar = bar

    def render(self, task: Task) -> Text:
        width = self._bar.console.width
        return Text(
            self._bar.text(width - BAR - 1 if width >= WIDE else width).ljust(TEXT if width >= WIDE else 0),
            no_wrap=True,
        )


def duration(seconds: float) -> str:
    """Return a time in words, with two digits at most.

    >>> duration(100), duration(4000)
    ('1.7 minutes', '1.1 hours')
    """
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size or (unit == "hours" and seconds >= size):
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} seconds"
