"""The store: all members of an output folder in one SQLite database, shared by its studies, sweeps and evaluations.

On a local disk all processes write one database in WAL mode. On a network file system, where neither locks nor shared
memory can be trusted, each writing process has a database of its own, and all are read, one after another.
"""

import contextlib
import os
import re
import socket
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flylab.base import files, filesystem
from flylab.runs import looks
from flylab.runs.content import Content, DamagedError, digest, encode, verified
from flylab.runs.database import Database, read_other
from flylab.runs.looks import Looks
from flylab.runs.provenance import processor_class

NAME = "flylab.sqlite"
VERSION, OLDEST = 3, 2
LEASE = 60.0  # seconds for which a reservation holds without a sign of life
BEAT = 10.0  # seconds between signs of life
_CHUNK = 500  # names in a query
_SCHEMA = """
CREATE TABLE IF NOT EXISTS member (
    name TEXT PRIMARY KEY, study TEXT NOT NULL, protocol TEXT NOT NULL, processor TEXT NOT NULL,
    content BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS run (
    folder TEXT PRIMARY KEY, study TEXT NOT NULL, protocol TEXT NOT NULL, members BLOB NOT NULL,
    declaration TEXT NOT NULL, provenance TEXT NOT NULL, digest TEXT NOT NULL, seal BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS look (question TEXT PRIMARY KEY, content TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS resume (name TEXT PRIMARY KEY, content BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS reservation (name TEXT PRIMARY KEY, owner TEXT NOT NULL, expires REAL NOT NULL);
"""


class NewMember(NamedTuple):
    """A member to store."""

    name: str
    study: str
    protocol: str
    content: bytes  # encoded


class RunRecord(NamedTuple):
    """A run or sweep.

    Attributes:
        folder: of its results, relative to the store's folder.
        study: the study's name.
        protocol: the hash of the protocol, or of a sweep's declaration.
        members: names, in order.
        declaration: the protocol or the sweep, as JSON.
        provenance: as JSON; "" before the run is finished.
        digest: the checksum of the results; "" before the run is finished.
    """

    folder: str
    study: str
    protocol: str
    members: tuple[str, ...]
    declaration: str
    provenance: str = ""
    digest: str = ""


class Store:
    """The members of an output folder.

    Args:
        folder: the output folder; it is created if need be.
        shared: whether it is on a network file system; by default its type decides.

    Raises:
        OSError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, shared: bool | None = None) -> None:
        files.writable(folder)
        files.remove_leftovers(folder)
        self.folder = folder
        self.is_shared = filesystem.is_network(folder) if shared is None else shared
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"
        self.path = folder / (f"flylab-{re.sub('[^A-Za-z0-9.]', '_', self.owner)}.sqlite" if self.is_shared else NAME)
        if not any(self._paths()) and (old := next(folder.glob("*/*/members"), None)) is not None:
            warnings.warn(
                f"{old} holds members of an earlier version of flylab, which this one does not read: delete the folder "
                f"{old.parent} when you no longer need it",
                stacklevel=2,
            )
        is_whole = {"member": _is_whole_member, "run": _is_whole_run, "look": looks.is_whole}
        self._database = Database(self.path, _SCHEMA, VERSION, wal=not self.is_shared, is_whole=is_whole, oldest=OLDEST)
        self._held: set[str] = set()
        self._beating: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Release all reservations and close the database."""
        self._closed.set()
        if self._held:
            with contextlib.suppress(OSError):  # they end with this process anyway
                self.release(self._held)
        self._database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _paths(self) -> list[Path]:
        """Return the databases in the folder."""
        return sorted(self.folder.glob("flylab*.sqlite"))

    def query(self, sql: str, values: Sequence[Any] = (), connection: Any = None) -> list[tuple]:
        """Return rows of this process's and all other databases; of this process's by a connection, if one is given."""
        rows = self._database.read(sql, values) if connection is None else connection.execute(sql, values).fetchall()
        others = [path for path in self._paths() if path != self.path] if self.is_shared else []
        return rows + [row for path in others for row in read_other(path, _SCHEMA, sql, values)]

    def names(self, names: Iterable[str]) -> set[str]:
        """Return those of the names that are in the store."""
        return self._names(names)

    def _names(self, names: Iterable[str], connection: Any = None) -> set[str]:
        sql = "SELECT name FROM member WHERE name IN ({})"
        return {name for some in _chunks(names) for (name,) in self.query(sql.format(_marks(some)), some, connection)}

    def get(self, names: Iterable[str]) -> Iterator[tuple[str, Content]]:
        """Yield the members that are in the store and whole, in the order of the names.

        A damaged member is deleted with a warning, as if it had never been trained.
        """
        for some in _chunks(names):
            found: dict[str, Content] = {}
            damaged = set()
            sql = f"SELECT name, content, digest FROM member WHERE name IN ({_marks(some)})"
            for name, data, expected in self.query(sql, some):
                try:
                    found[name] = verified(name, data, expected)
                except DamagedError:
                    damaged.add(name)
            if lost := damaged - set(found):
                warnings.warn(f"{len(lost)} members in {self.path} are damaged: they are trained again", stacklevel=2)
                self.delete(lost)
            yield from ((name, found[name]) for name in some if name in found)

    def put(
        self, members: Iterable[NewMember] = (), record: RunRecord | None = None, seen: Looks | None = None
    ) -> None:
        """Write members, the record of a run, and the looks at it, in one transaction."""
        processor = processor_class()
        rows = [(m.name, m.study, m.protocol, processor, m.content, digest(m.name, m.content)) for m in members]
        names = [(row[0],) for row in rows]

        def change(connection: Any) -> None:
            connection.executemany("INSERT OR REPLACE INTO member VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.executemany("DELETE FROM reservation WHERE name = ?", names)
            connection.executemany("DELETE FROM resume WHERE name = ?", names)
            if record is not None:
                values = (*record[:3], _packed(record.members), *record[4:])
                connection.execute(
                    "INSERT OR REPLACE INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, _seal(values))
                )
            if record is not None and seen is not None:
                question = looks.question_of(record.folder, record.declaration)
                connection.execute("INSERT OR REPLACE INTO look VALUES (?, ?, ?)", looks.row(question, seen))

        self._database.write(change)
        self._held -= {row[0] for row in rows}

    def delete(self, names: Iterable[str]) -> None:
        """Delete members and the states that their training had saved."""
        values = [(name,) for name in names]
        for table in ("member", "resume"):
            self._database.write(lambda c, table=table: c.executemany(f"DELETE FROM {table} WHERE name = ?", values))

    def reserve(self, names: Sequence[str]) -> set[str]:
        """Reserve members for this process, and return those that no other process has reserved or finished.

        A reservation ends with its process: at once on this machine, elsewhere after `LEASE` seconds without a sign of
        life. It only saves work: two processes that train one member store the same content.
        """

        def change(connection: Any) -> set[str]:
            taken = self._names(names, connection) | set(self._reserved_by_others(names, connection))
            free = [name for name in names if name not in taken]
            rows = [(name, self.owner, time.time() + LEASE) for name in free]
            connection.executemany("INSERT OR REPLACE INTO reservation VALUES (?, ?, ?)", rows)
            return set(free)

        mine = self._database.write(change)
        if self.is_shared:
            mine -= self._given_up(mine)
        self._held |= mine
        self._beat()
        return mine

    def _given_up(self, mine: set[str]) -> set[str]:
        """Release what another process has reserved at the same instant, and return it; for a shared folder.

        Each process writes before it reads, so of two that reserve one member, at least one sees the other. The one
        whose name comes later gives up. The other waits until it does; after a second it gives up itself, since it may
        not have been seen.
        """
        given_up: set[str] = set()
        deadline = time.monotonic() + 1
        while both := self._reserved_by_others(sorted(mine - given_up)):
            is_late = time.monotonic() > deadline
            if lost := {name for name, owner in both.items() if is_late or owner < self.owner}:
                self.release(lost)
                given_up |= lost
            else:
                time.sleep(0.02)
        return given_up

    def _reserved_by_others(self, names: Sequence[str], connection: Any = None) -> dict[str, str]:
        """Return the owners of members that other processes, which are alive, have reserved."""
        sql, found, now = "SELECT name, owner FROM reservation WHERE name IN ({}) AND expires > ?", {}, time.time()
        for some in _chunks(names):
            found |= dict(self.query(sql.format(_marks(some)), [*some, now], connection))
        return {name: owner for name, owner in found.items() if owner != self.owner and _is_alive(owner)}

    def release(self, names: Iterable[str]) -> None:
        """Release reservations."""
        rows = [(name, self.owner) for name in names]
        sql = "DELETE FROM reservation WHERE name = ? AND owner = ?"
        self._database.write(lambda connection: connection.executemany(sql, rows))
        self._held -= {name for name, _ in rows}

    def _beat(self) -> None:
        """Keep reservations alive from a thread of their own."""
        if self._beating is not None:
            return

        def beat() -> None:
            sql = "UPDATE reservation SET expires = ? WHERE owner = ?"
            while not self._closed.wait(BEAT):
                with contextlib.suppress(OSError):
                    if self._held:
                        self._database.write(
                            lambda connection: connection.execute(sql, (time.time() + LEASE, self.owner))
                        )

        self._beating = threading.Thread(target=beat, daemon=True, name="flylab-store")
        self._beating.start()

    def load_state(self, name: str) -> Content | None:
        """Return the state that a member's training has saved; None if there is none, or it is damaged."""
        for data, expected in self.query("SELECT content, digest FROM resume WHERE name = ?", (name,)):
            with contextlib.suppress(DamagedError):
                return verified(name, data, expected)
        return None

    def save_state(self, name: str, content: Content) -> None:
        """Save the state of a member's training, in place of an earlier one."""
        data = encode(content)
        row = (name, data, digest(name, data))
        self._database.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO resume VALUES (?, ?, ?)", row)
        )

    def runs(self) -> list[RunRecord]:
        """Return the whole records of all runs and sweeps, finished ones before others of the same folder."""
        return _records(self.query("SELECT * FROM run"))

    def run(self, folder: str) -> RunRecord | None:
        """Return the record of the run in a folder; None if there is none, or it is damaged."""
        return next(iter(_records(self.query("SELECT * FROM run WHERE folder = ?", (folder,)))), None)

    def looks(self, record: RunRecord) -> Looks:
        """Return the looks at a run, with whatever number of seeds."""
        question = looks.question_of(record.folder, record.declaration)
        return looks.joined(self.query("SELECT * FROM look WHERE question = ?", (question,)))

    def damaged_runs(self) -> list[str]:
        """Return the folders of runs whose records are damaged, as the records have them."""
        return sorted(str(row[0]) for row in self.query("SELECT * FROM run") if not _is_whole_run(row))

    def forget_damaged_runs(self) -> None:
        """Delete the damaged records of runs."""

        def change(connection: Any) -> None:
            rows = connection.execute("SELECT rowid, * FROM run").fetchall()
            damaged = [row[:1] for row in rows if not _is_whole_run(row[1:])]
            connection.executemany("DELETE FROM run WHERE rowid = ?", damaged)

        self._database.write(change)

    def mend(self) -> None:
        """Set the database aside, as one that is damaged, and salvage what is whole in it."""
        self._database.mend()

    def compact(self) -> None:
        """Give the space of deleted members back to the disk."""
        self._database.read("VACUUM")

    def forget_run(self, folder: str) -> None:
        """Delete the record of a run."""
        self._database.write(lambda connection: connection.execute("DELETE FROM run WHERE folder = ?", (folder,)))


def _is_whole_member(row: tuple) -> bool:
    types = tuple(map(type, row))
    return types == (str, str, str, str, bytes, bytes) and digest(row[0], row[4]) == row[5]


def _is_whole_run(row: tuple) -> bool:
    return tuple(map(type, row)) == (str, str, str, bytes, str, str, str, bytes) and _seal(row[:-1]) == row[-1]


def _seal(values: Sequence[Any]) -> bytes:
    """Return the digest of a run's row."""
    return digest(values[0], repr(tuple(values)).encode(errors="surrogatepass"))


def _records(rows: list[tuple]) -> list[RunRecord]:
    ordered = sorted(filter(_is_whole_run, rows), key=lambda row: (row[0], row[6] != ""))
    by_folder = {row[0]: row for row in ordered}
    return [RunRecord(*row[:7])._replace(members=_unpacked(row[3])) for row in by_folder.values()]


def stored(folder: Path, names: Iterable[str]) -> set[str]:
    """Return those of the names that are in the store of a folder, to which nothing is written."""
    sql, paths = "SELECT name FROM member WHERE name IN ({})", sorted(folder.glob("flylab*.sqlite"))
    return {
        name
        for some in _chunks(names)
        for path in paths
        for (name,) in read_other(path, _SCHEMA, sql.format(_marks(some)), some)
    }


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    names = list(names)
    return (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))


def _started(process: int) -> str:
    """Return when a process of this machine started, which tells it from a later one of the same number."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _is_alive(owner: str) -> bool:
    """Return whether a process may still be at work; of other machines nothing but the lease is known."""
    host, _, rest = owner.partition(":")
    process, _, started = rest.partition(":")
    if not process.isdecimal():  # the row is damaged
        return False
    if host != socket.gethostname() or not Path("/proc").exists():
        return True
    return _started(int(process)) == started


def _packed(names: Sequence[str]) -> bytes:
    return b"".join(map(bytes.fromhex, names))


def _unpacked(data: bytes) -> tuple[str, ...]:
    return tuple(data[start : start + 12].hex() for start in range(0, len(data), 12))
