"""Standard output and error that stop no command: what an encoding lacks is degraded, and nobody need read them."""

import codecs
import contextlib
import io
import os
import sys
from typing import Any

_PLAIN = {"≥": ">=", "≤": "<=", "±": "+/-", "×": "x", "–": "-", "−": "-", "…": "...", "→": "->", "·": "-", "’": "'"}
_NAMES = ("stdout", "stderr")


def install() -> None:
    """Make standard output and error of this process so."""
    codecs.register_error("flylab", _degraded)
    for name in _NAMES:
        stream = getattr(sys, name)
        if stream is None:  # it was closed before the process began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _patient(stream))


def finish(code: int) -> int:
    """Write what is left to write; return the command's exit code, or 2 with one line if that fails."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        if code == 0:  # what ended with an error has said so
            with contextlib.suppress(OSError):
                os.write(2, f"flylab: the output cannot be written ({error})\n".encode())
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python writes when it ends
        return 2
    return code


def _degraded(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks by similar ones, or by their escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in characters), error.end


class _Pipe(io.FileIO):
    """A file whose reader may have gone: what is written then is dropped."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            return len(data)


def _patient(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    if stream.isatty():
        stream.reconfigure(errors="flylab")
        return stream
    stream.flush()
    raw = _Pipe(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "flylab", line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )  # fmt: skip
