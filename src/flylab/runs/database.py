"""A SQLite database that survives damage: it is set aside, what is whole in it is salvaged, and work goes on."""

import contextlib
import functools
import os
import shutil
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from flylab.base.files import check_target, free

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

T = TypeVar("T")
TIMEOUT = 60.0  # seconds to wait for another process's transaction
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_READ_FAILED = {sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_READ}
_ERRORS = (sqlite3.Error, UnicodeDecodeError, MemoryError)  # of a damaged file; the second if it is in the message
_SUFFIXES = ("", "-wal", "-shm")  # of a database's files
_SQL = "SELECT type, tbl_name, sql FROM sqlite_master"
_MOVED = sqlite3.SQLITE_READONLY_DBMOVED


class Database:
    """A database file of one schema, whose connection is shared by the threads of a process.

    Args:
        path: the file; it is created when first needed.
        schema: SQL statements that create the tables.
        version: number of the schema.
        oldest: number of the oldest schema to whose databases this one only adds tables.
        wal: whether to use write-ahead logging, which needs a local disk.
        is_whole: table → (row → whether to salvage it), for the tables to salvage.
    """

    def __init__(
        self, path: Path, schema: str, version: int, wal: bool, is_whole: dict[str, Callable[[tuple], bool]],
        oldest: int,
    ) -> None:  # fmt: skip
        self.path, self._schema, self._version, self._wal, self._is_whole = path, schema, version, wal, is_whole
        self._known = (0, *range(oldest, version + 1))
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple]:
        """Return the rows of a query.

        Raises:
            OSError: if the database cannot be read.
        """
        return self._mending(lambda connection: connection.execute(sql, values).fetchall())

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Apply a change in one transaction, which is on the disk when this returns.

        Raises:
            OSError: if the database cannot be written.
        """

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = change(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            return result

        return self._mending(transaction)

    def close(self) -> None:
        """Close the connection; the next query opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _mending(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Act; if the database is damaged, or has been replaced, mend it and act once more."""
        with self._lock:
            for is_last in (False, True):
                try:
                    return act(self._connected())
                except _ERRORS as error:
                    code = getattr(error, "sqlite_errorcode", 0)
                    is_damage = code & 0xFF in _DAMAGE or code in _READ_FAILED or "no such" in str(error)
                    is_damage |= isinstance(error, UnicodeDecodeError)
                    if is_last or not (is_damage or code == _MOVED):
                        raise OSError(f"cannot use {self.path} ({error}); choose another folder with --out") from error
                    self.close()
                    if is_damage:
                        self.mend()
            raise AssertionError

    def _connected(self) -> sqlite3.Connection:
        """Return the connection, a new one if the file at the path is another by now."""
        try:
            inode = self.path.stat().st_ino
        except OSError:
            inode = 0
        if self._connection is None or inode != self._inode or not inode:
            self.close()
            self._inode = inode
            with _locked(self.path.parent) if self._wal else contextlib.nullcontext():
                self._connection = self._connect()
            self._inode = self.path.stat().st_ino
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        _require_files(self.path)
        connection = sqlite3.connect(self.path, timeout=TIMEOUT, isolation_level=None, check_same_thread=False)
        connection.text_factory = _text
        try:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found not in self._known:
                raise OSError(f"{self.path} was written by another version of flylab; choose another folder with --out")
            _require_schema(connection, self.path, self._schema)
            connection.execute(f"PRAGMA journal_mode = {'WAL' if self._wal else 'DELETE'}")
            connection.execute("PRAGMA synchronous = FULL")
            if found != self._version:
                connection.executescript(f"BEGIN IMMEDIATE; {self._schema} PRAGMA user_version={self._version}; COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def mend(self) -> None:
        """Set a damaged database aside, and salvage its whole rows, unless another process has done so already."""
        self.close()
        with _locked(self.path.parent):
            try:
                if self.path.stat().st_ino != self._inode:
                    return
            except FileNotFoundError:
                return
            aside = free(self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"))
            for suffix in _SUFFIXES:
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{self.path}{suffix}", f"{aside}{suffix}")
            connection = self._connect()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the first page is needed in the file
            n = self._salvage(connection, aside)
            if not n:
                copy = _with_first_page_of(self.path, aside)
                n = self._salvage(connection, copy)
                for suffix in _SUFFIXES:
                    Path(f"{copy}{suffix}").unlink(missing_ok=True)
            connection.close()
        warnings.warn(
            f"{self.path} was damaged: it is now {aside.name}; {n} whole rows were salvaged, the rest is trained again",
            stacklevel=5,
        )

    def _salvage(self, connection: sqlite3.Connection, path: Path) -> int:
        """Copy the whole rows of another database, and return their number."""
        n = 0
        connection.execute("BEGIN IMMEDIATE")
        for table, is_whole in self._is_whole.items():
            for row in _salvaged(path, self._schema, table, is_whole):
                connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({','.join('?' * len(row))})", row)
                n += 1
        connection.execute("COMMIT")
        return n


def read_other(path: Path, schema: str, sql: str, values: Sequence[Any] = ()) -> list[tuple]:
    """Return the rows of a query of another process's database; none if it cannot be read now."""
    try:
        with contextlib.closing(_read_only(path, schema)) as connection:
            return connection.execute(sql, values).fetchall()
    except (*_ERRORS, OSError):
        return []


def _require_files(path: Path) -> None:
    """Check that SQLite would open files: it follows links, and a pipe may never begin.

    Raises:
        OSError: if one is something else.
    """
    for suffix in (*_SUFFIXES, "-journal"):
        check_target(Path(f"{path}{suffix}"))


def _read_only(path: Path, schema: str) -> sqlite3.Connection:
    _require_files(path)
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=TIMEOUT)
    connection.text_factory = _text
    try:
        _require_schema(connection, path, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_schema(connection: sqlite3.Connection, path: Path, schema: str) -> None:
    """Check that a database has no other tables than flylab makes, as far as it has any of these.

    Raises:
        OSError: if it has views or triggers: they run when flylab reads or writes, and no damage makes them.
        sqlite3.DatabaseError: if a table is another, as damage makes it, or somebody whose columns are computed.
    """
    found = set(connection.execute(_SQL))
    if any(kind in ("view", "trigger") for kind, *_ in found):
        raise OSError(f"{path} would run code of its own: flylab did not make it; delete it")
    made = _made_by(schema)
    tables = {table.lower() for _, table, _ in made}
    if any(str(table).lower() in tables and (kind, table, sql) not in made for kind, table, sql in found):
        error = sqlite3.DatabaseError("its tables are not as flylab makes them")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


@functools.cache
def _made_by(schema: str) -> set[tuple]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        return set(connection.execute(_SQL))


def _text(data: bytes) -> str:
    """Return text, whatever damage has made of it."""
    return data.decode(errors="replace")


def _salvaged(path: Path, schema: str, table: str, is_whole: Callable[[tuple], bool]) -> Iterator[tuple]:
    """Yield the whole rows of a table of a damaged database, read from both ends."""
    known = set()
    for direction in ("ASC", "DESC"):
        try:
            with contextlib.closing(_read_only(path, schema)) as connection:
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid {direction}"):
                    if row[0] not in known and is_whole(row):
                        known.add(row[0])
                        yield row
        except (*_ERRORS, OSError):
            continue


def _with_first_page_of(fresh: Path, damaged: Path) -> Path:
    """Return a copy of a database with the first page, which has the header and the schema, of one that is whole."""
    copy = free(damaged.with_name(f"{damaged.name}.copy"))
    shutil.copyfile(damaged, copy)
    page = fresh.read_bytes()
    size = int.from_bytes(page[16:18], "big")
    page = bytearray(page[:size])
    page[18:20] = b"\x01\x01"  # no write-ahead log
    page[28:32] = (copy.stat().st_size // size).to_bytes(4, "big")
    with copy.open("r+b") as file:
        file.write(page)
    return copy


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes on this machine from creating or mending a database in the folder."""
    handle = os.open(folder, os.O_RDONLY) if fcntl is not None else -1
    try:
        with contextlib.suppress(OSError):  # the file system has no locks
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle >= 0:
            os.close(handle)
