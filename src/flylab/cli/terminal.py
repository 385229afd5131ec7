"""What the terminal shows: a progress bar, tables, verdicts."""

import contextlib
import io
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tyro
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table as RichTable

if TYPE_CHECKING:
    from flylab.results.claims import Verdict
    from flylab.study.study import Table

_STYLES = {"supported": "green", "refuted": "red", "undecided": "yellow", "not tested": "dim"}


def one_line(text: str) -> str:
    """Text of whatever origin on one line of a terminal, which it cannot command.

    >>> one_line("a \\n\\n b\\x1b[31m")
    'a b\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))


def console() -> Console:
    """The terminal; where there is none, wide enough for whole rows."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def parse(what: Any, **kwargs: Any) -> Any:
    """`tyro.cli`, its complaint in one line instead of a box.

    Raises:
        ValueError: for bad input.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(what, **kwargs)
    except SystemExit as exit_:
        if exit_.code != 2:
            raise
    lines = [line.strip("│╭╮╰╯ ") for line in said.getvalue().splitlines()]
    first = itertools.takewhile(lambda line: not line.startswith("───"), (line for line in lines if "─ " not in line))
    message = re.sub(r"^Error parsing (protocol|config)[a-z.]*: ", "", " ".join(first).strip())
    raise ValueError(f"{message} ({kwargs['prog']} --help explains the options)")


class Bar:
    """A progress bar on the terminal's error stream: steps, members, time left. A `Watcher`."""

    def __enter__(self) -> "Bar":
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.percentage:>3.0f} % of steps"),
            TextColumn("{task.fields[members]}"), TimeElapsedColumn(), TextColumn("elapsed,"), TimeRemainingColumn(),
            TextColumn("left"), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self.task, self.n_members, self.n_saved = TaskID(0), 0, 0
        self.begun = False
        return self

    def __exit__(self, *_: object) -> None:
        if self.begun:
            self.bar.stop()

    def begin(self, n_members: int, n_steps: int) -> None:
        """Show the bar, unless there is nothing to do."""
        if n_members:
            self.begun, self.n_members = True, n_members
            self.task = self.bar.add_task("", total=max(n_steps, 1), members=f"0/{n_members} members")
            self.bar.start()

    def condition(self, condition: Any) -> None:
        """Say what is trained."""
        self.bar.update(self.task, description=_cell(" ".join(str(value) for value in condition.values())))

    def steps(self, n_steps: int) -> None:
        """Move on."""
        self.bar.advance(self.task, n_steps)

    def saved(self, n_members: int) -> None:
        """Count members."""
        self.n_saved += n_members
        self.bar.update(self.task, members=f"{self.n_saved}/{self.n_members} members")


def _cell(text: Any) -> str:
    """Text as it is: what comes from a file is no markup."""
    return escape(one_line(str(text)))


def print_table(console: Console, table: "Table") -> None:
    """Print a study's table."""
    drawn = RichTable(
        *map(_cell, table.columns), title=_cell(table.title), title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for row in table.rows:
        drawn.add_row(*map(_cell, row))
    console.print(drawn)


def print_verdicts(console: Console, verdicts: "Sequence[Verdict]") -> None:
    """Print claims with their verdicts in colour."""
    drawn = RichTable("claim", "published", "region", "effect (95 % interval)", "verdict", "study-wide", title="Claims",
                      title_justify="left", box=None, padding=(0, 2, 0, 0))  # fmt: skip
    for verdict in verdicts:
        words = [f"[{_STYLES[word]}]{word}[/]" if word else "–" for word in (verdict.verdict, verdict.verdict_adjusted)]
        if verdict.verdict and verdict.notes:
            words[0] += f" [dim]({escape('; '.join(verdict.notes))})[/]"
        texts = (verdict.id, verdict.published, verdict.region_and_unit, verdict.measured)
        drawn.add_row(*map(_cell, texts), *words)
    console.print(drawn)
