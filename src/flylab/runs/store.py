"""Reservations of members that processes are training, and the list of members in a store."""

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Reservation:
    """A lock on a member that this process trains, so that other processes on the same store train others.

    It is an operating-system lock on a file, which ends with the process. It only saves work: on a file system without
    locks, two processes may train the same member, with the same result.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Try to take the lock; return False if another process, or another reservation in this process, holds it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return True  # the folder is not writable: train without a lock
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return False
            except OSError:  # the file system has no locks
                pass
        self._file = handle
        return True

    def drop(self) -> None:
        """Release the lock."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def listing(folder: Path) -> set[str]:
    """Return the names, without their ending, of the members in the subfolders of a folder."""
    names = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as parts:
        for part in parts:
            if part.is_dir():
                with os.scandir(part.path) as files:
                    names |= {file.name[:-3] for file in files if file.name.endswith(".nc")}
    return names
