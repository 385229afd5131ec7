"""Commands for what users bring: `flylab evaluate | leaderboard | time`."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flylab.base.config import override_flat
from flylab.base.files import check_target, write_atomic
from flylab.cli.options import RUNS, File, Force, Json, Out, with_options
from flylab.cli.terminal import console, print_json, print_table, say
from flylab.evaluation.contests import contest_leaderboards
from flylab.evaluation.evaluation import FLAGS, protocol_of, run
from flylab.evaluation.leaderboard import leaderboard as ranked
from flylab.evaluation.leaderboard import leaderboard_table
from flylab.evaluation.timing import time_run
from flylab.reporting import image
from flylab.runs.progress import Bar
from flylab.studies import continuum

Kind = Annotated[  # main.py makes other kinds than models a run of their study
    Literal["model", "optimizer", "train_fn", "loss", "regulariser", "activation"], Parameter(name="--as")
]

Functions = Annotated[tuple[str, ...], Parameter(show_default=False)]


def evaluate(
    model: str, preset: Literal["smoke", "quick", "paper"] = "quick", /, *,
    name: str | None = None, kind: Kind = "model", out: Out = RUNS, force: Force = False, **changes: Any,
) -> int:  # fmt: skip
    """Run `flylab evaluate`; return exit code 2 if the model is flagged.

    Args:
        model: Place of the model: FILE.py:NAME or package.module:NAME.
        preset: Protocol to start from.
        name: Name to show; by default the model's own.
        kind: What is brought.
    """
    protocol = override_flat(protocol_of(preset), changes)
    evaluation = run(model, name, preset, protocol, out, force=force, watcher=Bar)
    terminal = console()
    print_table(terminal, continuum.table_of(evaluation.rows, f"Spatial priors: {evaluation.row.title} among others"))
    print_table(terminal, continuum.details(evaluation.row))
    say(f"figure and numbers are in {evaluation.folder}")
    for flag in evaluation.flags:
        say(f"flylab: {evaluation.row.title} is flagged: {FLAGS[flag]}", error=True)
    return 2 if evaluation.flags else 0


with_options(evaluate, {preset: protocol_of(preset) for preset in ("smoke", "quick", "paper")})


def leaderboard(
    *, kind: Kind = "model", out: Out = RUNS, by: Literal["score", "accuracy"] = "score", json: Json = False
) -> None:
    """Run `flylab leaderboard`.

    Args:
        kind: What competed.
        by: Order of the models.
    """
    if kind != "model":
        if by != "score":
            raise ValueError(f"--by {by} orders models only: contests are ranked by accuracy")
        tables = contest_leaderboards(out, kind)
        if json:
            print_json([table._asdict() for table in tables])
        for table in () if json else tables:
            print_table(console(), table)
        return
    entries = ranked(out, by)
    if json:
        print_json([entry._asdict() for entry in entries])
    else:
        print_table(console(), leaderboard_table(entries))


def time(run: File, functions: Functions = (), /, *, rounds: int = 3) -> None:
    """Run `flylab time`.

    Args:
        run: Folder of a run of optimizers, losses, regularisers or activations.
        functions: Places of the users' functions in it, e.g. my.py:MyOptimizer.
        rounds: Rounds, of which the median counts.
    """
    check_target(run / "time.png")
    table, figure = time_run(run, functions, rounds)
    print_table(console(), table)
    for kind in ("png", "svg"):
        write_atomic(run / f"time.{kind}", image(figure, kind))
    say(f"curves against seconds are in {run / 'time.png'}")
