"""Files written so that a crash leaves the old or the new, never half."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

_SUFFIX = ".tmp"


def memory() -> float:
    """Bytes of this machine's memory; infinite where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return float("inf")


def user_cache(name: str) -> Path:
    """The folder `name` of flylab's in the user's cache; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flylab" / name


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: if it cannot be read.
        ValueError: naming the file, if it is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # lists within lists within lists …
        raise ValueError(f"{path} is not a JSON file ({error}): delete it, or make it again") from None


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write to a temporary name, sync and rename: at any instant the old file or the whole new one stands there.

    Raises:
        OSError: naming the path, if it cannot be written.
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
        if isinstance(error, OSError):  # it names the temporary file, if any
            raise type(error)(f"cannot write {path} ({error.strerror or error}); choose another place") from error
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files of processes that were killed while writing."""
    for leftover in folder.glob(f".*{_SUFFIX}"):
        writer = leftover.name[1:].partition("-")[0]
        if writer.isdigit() and not Path(f"/proc/{writer}").exists() and Path("/proc").exists():
            leftover.unlink(missing_ok=True)


def writable(folder: Path) -> None:
    """Make the folder and write to it, before any work.

    Raises:
        OSError: naming the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{os.getpid()}-", suffix=_SUFFIX):
            pass
    except OSError as error:
        raise OSError(f"cannot write to {folder} ({error.strerror}); choose another folder with --out") from error
