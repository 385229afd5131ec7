"""Files, written atomically and owned by locks; the user's cache folder, and the machine's memory."""

import contextlib
import json
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_PREFIX, _SUFFIX = ".flylab-", ".tmp"


def memory() -> float:
    """Return the bytes of memory of this machine, or of this container, or infinity if they are unknown."""
    sizes = [float("inf")]
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError):  # the word "max" is no limit
        sizes.append(float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(sizes)


def require_memory(n_bytes: float, what: str) -> None:
    """Refuse what needs more memory than there is, before it makes the machine end the process.

    Raises:
        ValueError: naming what it is, its size and the memory.
    """
    if n_bytes > memory():
        raise ValueError(
            f"{what} needs at least {n_bytes / 1e9:.3g} GB of memory, and there are {memory() / 1e9:.3g} GB: ask for "
            "less, e.g. a smaller width, batch or data set"
        )


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path as Python has it, `~` being the user's home: programs and options are not expanded by a shell."""
    return Path(os.path.expanduser(path))


def user_cache(name: str) -> Path:
    """Return the path of flylab's folder `name` in the user's cache; the folder need not exist."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))  # one that is not absolute is invalid by its specification
    return (chosen if chosen.is_absolute() else user_path("~/.cache")) / "flylab" / name


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file: a device may have no end, and a pipe may never begin.

    Raises:
        OSError: if there is no such file, or it cannot be read.
    """
    require_file(path)
    return path.read_bytes()


def require_file(path: Path, or_link: bool = True) -> None:
    """Check that a path is that of a regular file.

    Args:
        path: the path.
        or_link: whether a link to a file will do.

    Raises:
        OSError: if there is no such file, or it is something else.
    """
    if not stat.S_ISREG(mode := path.stat(follow_symlinks=or_link).st_mode):
        raise OSError(f"{path} is {_kind(mode)}, not a file")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:  # a RecursionError comes from lists nested too deeply
        raise ValueError(f"{path} is not a JSON file ({error}): delete it or write it again") from None


def check_target(path: Path) -> None:
    """Check that a path is free, or that of a file to replace.

    Raises:
        OSError: if it is a folder, a link, a device, a pipe or a socket: writing would replace it.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:  # free, or else writing says why not
        return
    if not stat.S_ISREG(mode):
        kind = IsADirectoryError if stat.S_ISDIR(mode) else OSError
        raise kind(f"cannot write {path}: it is {_kind(mode)}, which would be replaced; choose another place")


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISLNK: "a link", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
    return next((words for is_kind, words in kinds.items() if is_kind(mode)), "a device")


def write_atomic(path: Path, content: bytes | str, mode: int = 0o666) -> None:
    """Write a file under a temporary name, sync and rename it, so that a crash leaves the old file or the new one.

    Args:
        path: the file; it keeps its permissions, if it exists.
        content: what to write.
        mode: permissions of a new file, from which the process's umask takes some away.

    Raises:
        OSError: if the path cannot be written, or is no file.
    """
    data = content.encode() if isinstance(content, str) else content
    check_target(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _temporary(path.parent, mode)
        with os.fdopen(handle, "wb") as file:
            if path.exists():
                os.chmod(temporary, path.stat().st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows renames no open file
            os.replace(temporary, path)  # elsewhere before it is closed, which gives up its lock
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):  # its own message names the temporary file
            raise type(error)(f"cannot write {path} ({error.strerror or error}); choose another place") from error
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # makes the rename durable
    finally:
        os.close(folder)


def _temporary(folder: Path, mode: int) -> tuple[int, Path]:
    """Create a temporary file, which is this process's own as long as it is open."""
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        if _locked(handle) is not False and os.fstat(handle).st_nlink:  # else another process took it for a leftover
            return handle, path
        os.close(handle)


def _locked(handle: int) -> bool | None:
    """Lock an open file and return whether that was possible; None where there are no locks."""
    try:
        if fcntl is None:
            return None
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def free(path: Path) -> Path:
    """Return the path, with a number appended if it is taken."""
    n, found = 1, path
    while os.path.lexists(found):
        n, found = n + 1, path.with_name(f"{path.name}-{n + 1}")
    return found


def write_new(path: Path, text: str) -> None:
    """Write a file that does not exist yet.

    Raises:
        OSError: if it exists, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise FileExistsError(f"{path} exists already: give another name") from None
    except OSError as error:
        raise type(error)(f"cannot write {path} ({error.strerror}); choose another place") from error


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes that were killed while writing, known by the locks that nobody holds."""
    if fcntl is None:
        return
    for leftover in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(leftover.lstat().st_mode):
                continue
            handle = os.open(leftover, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _locked(handle) and os.path.samestat(os.fstat(handle), leftover.lstat()):
                    leftover.unlink()
            finally:
                os.close(handle)


def writable(folder: Path) -> None:
    """Create a folder and check that it can be written to.

    Raises:
        OSError: if the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f"cannot write to {folder} ({error.strerror}); choose another folder with --out") from error
