"""Errors of code that users bring: one line that names the user's own line, instead of a traceback through flylab."""

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

_OURS = str(Path(__file__).parents[1])
_STDLIB = os.path.dirname(os.__file__)


class RefusedError(ValueError):
    """What a user brought that cannot be used."""


@contextlib.contextmanager
def user_code(source: str) -> Iterator[None]:
    """Turn any exception of the user's code into a `RefusedError` that names the line."""
    try:
        yield
    except (RefusedError, OSError):
        raise
    except (Exception, SystemExit) as error:
        frames = reversed(traceback.extract_tb(error.__traceback__))
        frame = next((frame for frame in frames if not _is_foreign(frame.filename)), None)
        line = f" ({os.path.basename(frame.filename)}, line {frame.lineno})" if frame else ""
        message = str(error).strip().partition("\n")[0]
        raise RefusedError(f"{source} raised {type(error).__name__}: {message}{line}") from error


def _is_foreign(file: str) -> bool:
    """Return whether a file is not the user's: flylab's, a library's, or no file at all."""
    return file.startswith((_OURS, "<", _STDLIB)) or "site-packages" in file
