"""Atomic writes, the user's cache folder, and the machine's memory."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

_SUFFIX = ".tmp"


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


def user_cache(name: str) -> Path:
    """Return the path of flylab's folder `name` in the user's cache; the folder need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flylab" / name


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # a RecursionError comes from lists nested too deeply
        raise ValueError(f"{path} is not a JSON file ({error}): delete it or write it again") from None


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name, sync and rename it, so that a crash leaves the old file or the new one.

    Raises:
        OSError: if the path cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{os.getpid()}-", suffix=_SUFFIX, dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
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
    """Delete the temporary files of processes that were killed while writing."""
    for leftover in folder.glob(f".*{_SUFFIX}"):
        writer = leftover.name[1:].partition("-")[0]
        if writer.isdigit() and not Path(f"/proc/{writer}").exists() and Path("/proc").exists():
            leftover.unlink(missing_ok=True)


def writable(folder: Path) -> None:
    """Create a folder and check that it can be written to.

    Raises:
        OSError: if the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{os.getpid()}-", suffix=_SUFFIX):
            pass
    except OSError as error:
        raise OSError(f"cannot write to {folder} ({error.strerror}); choose another folder with --out") from error
