"""TODO"""

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Reservation:
    """A member that this process is at work on, so that another one on the same store takes something else.

    It is a lock of the operating system on a file of that name, gone with the process however it ends. Only a courtesy:
    on a file system without locks two processes may do the same work, with the same result.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Try to have it: False if another process, or another reservation in this one, does."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return True  # nowhere to say so
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return False
            except OSError:  # no locks here
                pass
        self._file = handle
        return True

    def drop(self) -> None:
        """Let others have it."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def listing(folder: Path) -> set[str]:
    """The names, without ending, of the members in the folders of a folder."""
    found = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as parts:
        for part in parts:
            if part.is_dir():
                with os.scandir(part.path) as files:
                    found |= {file.name[:-3] for file in files if file.name.endswith(".nc")}
    return found
