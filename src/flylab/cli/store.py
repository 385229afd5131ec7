"""`flylab store`: what the store of an output folder holds, and its upkeep."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.filesize import decimal

from flylab.cli.options import RUNS, File, Json, Out, Switch
from flylab.cli.terminal import console, print_json, print_table, say
from flylab.runs import upkeep
from flylab.runs.store import Store

MOST_ROWS = 40  # of protocols in the list

store = App(name="store", usage="Usage: flylab store [COMMAND] [OPTIONS]")


def _opened(out: Path) -> Store:
    if not any(out.glob("flylab*.sqlite")):
        raise ValueError(f"there is no store in {out}; give the folder of all runs with --out")
    return Store(out)


@store.default
@store.command(name="list")
def list_(*, out: Out = RUNS, json: Json = False) -> None:
    """List the members by study and protocol, and the runs."""
    from flylab.results.tables import Table

    with _opened(out) as opened:
        held, runs = upkeep.holdings(opened), opened.runs()
        known = {record.folder: len(opened.names(record.members)) for record in runs}
    if json:
        content = {
            "members": [holding._asdict() for holding in held],
            "runs": [{"folder": r.folder, "study": r.study, "members": len(r.members), "stored": known[r.folder],
                      "finished": bool(r.digest)} for r in runs],
        }  # fmt: skip
        print_json(content)
        return
    members = [(h.study, h.protocol, str(h.n_members), decimal(h.n_bytes)) for h in held[:MOST_ROWS]]
    if len(held) > MOST_ROWS:
        n, n_bytes = (sum(getattr(h, name) for h in held[MOST_ROWS:]) for name in ("n_members", "n_bytes"))
        members.append(("…", f"{len(held) - MOST_ROWS} more", str(n), decimal(n_bytes)))
    print_table(console(), Table("Members", ("study", "protocol", "members", "size"), members))
    rows = [(r.folder, f"{known[r.folder]} of {len(r.members)}", "yes" if r.digest else "no") for r in runs]
    print_table(console(), Table("Runs", ("folder", "members stored", "finished"), rows))


@store.command
def verify(*, out: Out = RUNS) -> int:
    """Verify the digest of every member and run; damaged ones are deleted, to be trained and assembled again."""
    before = set(out.glob("*.damaged-*"))
    with _opened(out) as opened:
        found = upkeep.verify(opened)
    say(f"{found.n_whole} members are whole; {found.n_damaged} were damaged")
    if found.damaged_runs:
        say(f"deleted the damaged records of {', '.join(found.damaged_runs)}: repeat these runs before you prune")
    is_aside = set(out.glob("*.damaged-*")) != before  # the database itself was damaged
    return int(found.n_damaged > 0 or bool(found.damaged_runs) or is_aside)


@store.command
def prune(*, out: Out = RUNS, unfinished: Switch = False) -> None:
    """Delete the members that no run needs: those of older code, and of runs whose folder is deleted.

    Args:
        unfinished: Delete members of unfinished runs, too.
    """
    with _opened(out) as opened:
        n, n_bytes = upkeep.prune(opened, unfinished)
    say(f"deleted {n} members, {decimal(n_bytes)}")


@store.command
def export(
    run: Annotated[File, Parameter(help="Folder of the run.")],
    target: Annotated[File, Parameter(help="New folder of runs.")], /, *, out: Out = RUNS,
) -> None:  # fmt: skip
    """Copy a finished run with its members to a folder of its own."""
    with _opened(out) as opened:
        record = upkeep.export(opened, run, target)
    say(f"{len(record.members)} members and the files of {record.folder} are in {target}")
