"""Commands around the user's own models: `flylab evaluate | leaderboard`."""

import json as json_
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flylab.base.config import override_flat
from flylab.cli.options import Force, Json, Out, with_options
from flylab.cli.terminal import Bar, console, print_table
from flylab.evaluation.evaluation import FLAGS, protocol_of, run
from flylab.evaluation.leaderboard import leaderboard as ranked
from flylab.evaluation.leaderboard import leaderboard_table
from flylab.studies import continuum

_PRESETS = ("smoke", "quick", "paper")


def evaluate(
    model: Annotated[str, Parameter(help="Where it is: FILE.py:NAME or package.module:NAME.")],
    preset: Annotated[Literal["smoke", "quick", "paper"], Parameter(help="Protocol to start from.")] = "quick",
    /,
    *,
    name: Annotated[str | None, Parameter(help="Name to show; by default the model's own.")] = None,
    out: Out = Path("runs"),
    force: Force = False,
    **changes: Any,
) -> int:
    """Run `flylab evaluate`; exit code 2 where the score says nothing."""
    protocol = override_flat(protocol_of(preset), changes)
    found = run(model, name, preset, protocol, out, force=force, watcher=Bar)
    terminal = console()
    print_table(terminal, continuum.table_of(found.rows, f"Spatial priors: {found.row.title} among others"))
    print_table(terminal, continuum.details(found.row))
    print(f"figure and numbers are in {found.folder}")
    for flag in found.flags:
        print(f"flylab: {found.row.title} is flagged: {FLAGS[flag]}", file=sys.stderr)
    return 2 if found.flags else 0


with_options(evaluate, {preset: protocol_of(preset) for preset in _PRESETS})


def leaderboard(*, out: Out = Path("runs"), by: Literal["score", "accuracy"] = "score", json: Json = False) -> None:
    """Run `flylab leaderboard`.

    Args:
        by: Order of the models.
    """
    entries = ranked(out, by)
    if json:
        print(json_.dumps([entry._asdict() for entry in entries], indent=2, ensure_ascii=False))
    else:
        print_table(console(), leaderboard_table(entries))
