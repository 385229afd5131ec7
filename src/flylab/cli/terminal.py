"""Output on the terminal: a progress bar, tables, verdicts."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column
from rich.table import Table as RichTable

from flylab.base.text import one_line, visible

if TYPE_CHECKING:
    from flylab.results.verdicts import Verdict
    from flylab.study.study import Table

_STYLES = {"supported": "green", "refuted": "red", "undecided": "yellow", "not tested": "dim"}


def say(text: object, *, error: bool = False) -> None:
    """Print a line: all that commands print but tables goes through here, so that no name has a terminal obey it."""
    print(visible(text), file=sys.stderr if error else sys.stdout)


def print_json(data: Any) -> None:
    """Print JSON in ASCII, which every encoding has and in which control characters are escaped."""
    console().print_json(data=data, ensure_ascii=True)


def console() -> Console:
    """Return the terminal, or a console of 160 columns if output is redirected and COLUMNS is not set."""
    console = Console(emoji=False)
    is_narrow = console.is_terminal or "COLUMNS" in os.environ
    return console if is_narrow else Console(emoji=False, width=160)


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
            f"study-wide {verdict.word_adjusted}" if verdict.n_seeds and verdict.word_adjusted else "",
            *(verdict.notes if verdict.verdict else ()),
        ]
        word = f"[{_STYLES.get(verdict.verdict or '', 'dim')}]{_cell(verdict.word or '–')}[/]"
        grid.add_row(word, f"[bold]{_cell(verdict.id)}[/]: {_cell(verdict.statement)}")
        grid.add_row("", f"[dim]{_cell('; '.join(filter(None, numbers)))}[/]")
    console.print(grid)
