"""Upkeep of a store: list what it holds, verify it, remove what no run needs, export a run."""

import os
from pathlib import Path
from typing import NamedTuple

from flylab.base.files import check_target, read_bytes, require_file, write_atomic
from flylab.runs.content import encode
from flylab.runs.store import NewMember, RunRecord, Store


class Holding(NamedTuple):
    """The members of one study and protocol in a store.

    Attributes:
        study: the study's name.
        protocol: the hash of the protocol.
        n_members: number of members.
        n_bytes: size of their content.
    """

    study: str
    protocol: str
    n_members: int
    n_bytes: int


def holdings(store: Store) -> list[Holding]:
    """Return what a store holds, by study and protocol."""
    sql = "SELECT study, protocol, count(*), sum(length(content)) FROM member GROUP BY study, protocol"
    total: dict[tuple[str, str], tuple[int, int]] = {}
    for study, protocol, n, n_bytes in store.query(sql):
        before = total.get((study, protocol), (0, 0))
        total[study, protocol] = before[0] + n, before[1] + n_bytes
    return [Holding(*key, *value) for key, value in sorted(total.items())]


class Verified(NamedTuple):
    """What is whole in a store, and what was not and is now deleted.

    Attributes:
        n_whole: number of whole members.
        n_damaged: number of damaged members.
        damaged_runs: the folders of runs whose records were damaged, as the records had them.
    """

    n_whole: int
    n_damaged: int
    damaged_runs: list[str]


def verify(store: Store) -> Verified:
    """Verify the digests of all members and records of runs, and delete damaged ones; of members with a warning."""
    names = [name for (name,) in store.query("SELECT DISTINCT name FROM member")]
    n_whole = sum(1 for _ in store.get(names))
    damaged_runs = store.damaged_runs()
    store.forget_damaged_runs()
    return Verified(n_whole, len(names) - n_whole, damaged_runs)


def prune(store: Store, unfinished: bool = False) -> tuple[int, int]:
    """Delete the members that no run needs, and return how many those were and their size in bytes.

    A run needs its members as long as its folder exists, or while it is not finished.

    Args:
        store: the store.
        unfinished: whether to delete members of unfinished runs, too.

    Raises:
        ValueError: if the record of a run is damaged, so that it is unknown which members that run needs.
    """
    if damaged := store.damaged_runs():
        raise ValueError(
            f"the records of {', '.join(damaged)} are damaged, so that nobody knows which members they need: repeat "
            "the commands of these runs, which trains nothing again, or forget them with flylab store verify"
        )
    needed: set[str] = set()
    for record in store.runs():
        if (store.folder / record.folder).exists() if record.digest else not unfinished:
            needed.update(record.members)
        else:
            store.forget_run(record.folder)
    sizes = dict(store.query("SELECT name, length(content) FROM member"))
    states = {name for (name,) in store.query("SELECT name FROM resume")}
    unneeded = (set(sizes) | states) - needed
    store.delete(sorted(unneeded))
    store.compact()
    return len(unneeded & set(sizes)), sum(sizes[name] for name in unneeded & set(sizes))


def export(store: Store, run: Path, target: Path) -> RunRecord:
    """Copy a finished run, with its members and files, to an output folder of its own.

    Args:
        store: the store.
        run: the folder of the run.
        target: the output folder; it is created if need be.

    Raises:
        ValueError: if there is no such run in the store, members of it are missing, or the target is the store itself.
        OSError: if the run holds anything but files, or the target cannot be written.
    """
    source, goal, home = run.resolve(), target.resolve(), store.folder.resolve()
    folder = os.path.relpath(source, home)
    record = store.run(folder) if source.is_relative_to(home) else None
    if record is None or not record.digest:
        finished = ", ".join(known.folder for known in store.runs() if known.digest) or "none"
        raise ValueError(f"{run} is not a finished run of {store.folder}; finished are {finished}")
    if goal == home or goal.is_relative_to(source):
        raise ValueError(f"{target} is the store's own folder, or in that of the run: give a folder elsewhere")
    copies = _copies(source, goal, folder)
    names = list(dict.fromkeys(record.members))
    with Store(target) as other:
        protocols = dict(store.query("SELECT name, protocol FROM member WHERE study = ?", (record.study,)))
        n = 0
        for name, content in store.get(names):
            other.put([NewMember(name, record.study, protocols[name], encode(content))])
            n += 1
        if n < len(names):
            raise ValueError(f"{len(names) - n} of {len(names)} members of {run} are missing: run the study again")
        other.put((), record, store.looks(record))
    for file, copy in copies:
        write_atomic(copy, read_bytes(file))
    return record


def _copies(source: Path, target: Path, folder: str) -> list[tuple[Path, Path]]:
    """Return the files of a run and their copies' places, none of which is a link, or behind one.

    Raises:
        OSError: if the run holds a link, a pipe or the like, or one of the places is not free.
    """
    found = [path for path in sorted(source.rglob("*")) if path.is_symlink() or not path.is_dir()]
    copies = [(path, target / folder / path.relative_to(source)) for path in found]
    for path, copy in copies:
        require_file(path, or_link=False)
        for parent in copy.parents:
            if parent == target:
                break
            if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
                raise OSError(f"cannot write into {parent}: it is no folder of its own; choose another place")
        check_target(copy)
    return copies
