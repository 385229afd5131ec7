"""Output on the terminal: a progress bar, tables, verdicts."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column
from rich.table import Table as RichTable

if TYPE_CHECKING:
    from flylab.results.claims import Verdict
    from flylab.study.study import Table

_STYLES = {"supported": "green", "refuted": "red", "undecided": "yellow", "not tested": "dim"}


def one_line(text: str) -> str:
    r"""Return text as one line, with control characters escaped.

    >>> one_line("a \n\n b\x1b[31m")
    'a b\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))


def console() -> Console:
    """Return the terminal, or a console of 160 columns if output is redirected and COLUMNS is not set."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=160)


class Bar:
    """A progress bar on the terminal's error stream: steps, members, time left. A `Watcher`."""

    def __enter__(self) -> "Bar":
        from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

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
        """Show the bar, unless there are no members to train."""
        if n_members:
            self.begun, self.n_members = True, n_members
            self.task = self.bar.add_task("", total=max(n_steps, 1), members=f"0/{n_members} members")
            self.bar.start()

    def condition(self, condition: Any) -> None:
        """Show the condition that is being trained."""
        self.bar.update(self.task, description=_cell(" ".join(str(value) for value in condition.values())))

    def steps(self, n_steps: int) -> None:
        """Advance the bar by a number of steps."""
        self.bar.advance(self.task, n_steps)

    def saved(self, n_members: int) -> None:
        """Add to the count of finished members."""
        self.n_saved += n_members
        self.bar.update(self.task, members=f"{self.n_saved}/{self.n_members} members")

    def elsewhere(self, n_members: int) -> None:
        """Show how many members another process is training."""
        if n_members:
            self.bar.update(self.task, description=f"waiting for {n_members} members of another process")


def _cell(text: Any) -> str:
    """Return a value as one line of text, without markup that a file may have brought in."""
    return escape(one_line(str(text)))


def print_table(console: Console, table: "Table") -> None:
    """Print a study's table."""
    headings = (Column(_cell(name), overflow="fold") for name in table.columns)  # narrow columns lose no letter
    grid = RichTable(*headings, title=_cell(table.title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for row in table.rows:
        grid.add_row(*map(_cell, row))
    console.print(grid)


def print_studies(console: Console, studies: "Sequence[dict[str, Any]]") -> None:
    """Print the name and question of every study, and below them a line for each preset."""
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    for study in studies:
        grid.add_row(f"[bold]{_cell(study['study'])}[/]", _cell(study["question"]))
        for preset, cost in study["presets"].items():
            grid.add_row("", f"[dim]{_cell(preset):<9}  {cost_text(cost)}[/]")
    console.print(grid)


def cost_text(cost: dict[str, Any]) -> str:
    """Return the seeds, members and minutes of a preset as text of one width."""
    minutes = "" if cost["minutes"] is None else f"  {cost['minutes']:>4g} min on 2 cores"
    return f"{cost['n_seeds']:>2} seeds  {cost['n_members']:>4} members{minutes}"


def print_verdicts(console: Console, verdicts: "Sequence[Verdict]") -> None:
    """Print claims: the verdict and the statement, then the numbers behind it."""
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    for verdict in verdicts:
        numbers = [
            f"effect {verdict.measured}, region {verdict.region_and_unit}, published {verdict.published}",
            f"study-wide {verdict.verdict_adjusted}" if verdict.n_seeds and verdict.verdict_adjusted else "",
            *(verdict.notes if verdict.verdict else ()),
        ]
        word = f"[{_STYLES[verdict.verdict or 'not tested']}]{verdict.verdict or '–'}[/]"
        grid.add_row(word, f"[bold]{_cell(verdict.id)}[/]: {_cell(verdict.statement)}")
        grid.add_row("", f"[dim]{_cell('; '.join(filter(None, numbers)))}[/]")
    console.print(grid)
