"""Commands around the user's own models: `flylab evaluate | leaderboard`."""

import sys
from typing import Any, Literal

from flylab.base.config import override_flat
from flylab.cli.options import RUNS, Force, Json, Out, with_options
from flylab.cli.terminal import Bar, console, print_table
from flylab.evaluation.evaluation import FLAGS, protocol_of, run
from flylab.evaluation.leaderboard import leaderboard as ranked
from flylab.evaluation.leaderboard import leaderboard_table
from flylab.studies import continuum


def evaluate(
    model: str, preset: Literal["smoke", "quick", "paper"] = "quick", /, *,
    name: str | None = None, out: Out = RUNS, force: Force = False, **changes: Any,
) -> int:  # fmt: skip
    """Run `flylab evaluate`; exit code 2 where the score says nothing.

    Args:
        model: Where it is: FILE.py:NAME or package.module:NAME.
        preset: Protocol to start from.
        name: Name to show; by default the model's own.
    """
    protocol = override_flat(protocol_of(preset), changes)
    found = run(model, name, preset, protocol, out, force=force, watcher=Bar)
    terminal = console()
    print_table(terminal, continuum.table_of(found.rows, f"Spatial priors: {found.row.title} among others"))
    print_table(terminal, continuum.details(found.row))
    print(f"figure and numbers are in {found.folder}")
    for flag in found.flags:
        print(f"flylab: {found.row.title} is flagged: {FLAGS[flag]}", file=sys.stderr)
    return 2 if found.flags else 0


with_options(evaluate, {preset: protocol_of(preset) for preset in ("smoke", "quick", "paper")})


def leaderboard(*, out: Out = RUNS, by: Literal["score", "accuracy"] = "score", json: Json = False) -> None:
    """Run `flylab leaderboard`.

    Args:
        by: Order of the models.
    """
    entries = ranked(out, by)
    if json:
        console().print_json(data=[entry._asdict() for entry in entries])
    else:
        print_table(console(), leaderboard_table(entries))
