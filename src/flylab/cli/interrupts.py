"""Ctrl-C that ends the process soon, whatever it is doing."""

import os
import signal
import sys
import threading
import time
from types import TracebackType
from typing import Any

GRACE = 2.0  # seconds for the usual way, an exception in the main thread
MESSAGE = "\nflylab: stopped; finished members are kept, and the same command resumes."
_said = threading.Event()


def install() -> None:
    """Let Ctrl-C end this process within `GRACE` seconds, even while XLA compiles or an exception is swallowed.

    Python raises KeyboardInterrupt only when the main thread runs Python's own code, but writes to the wake-up file at
    once. What is stored survives: it is written by transactions.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # a shell's background job ignores it
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    sys.unraisablehook = _unraisable
    threading.Thread(target=_end, args=(reader,), daemon=True, name="flylab-interrupts").start()


def say() -> int:
    """Print that the process was stopped, once, and return the exit code."""
    if not _said.is_set():
        _said.set()
        print(MESSAGE, file=sys.stderr, flush=True)
    return 130


def _end(reader: int) -> None:
    while os.read(reader, 1) != bytes([signal.SIGINT]):
        pass
    time.sleep(GRACE)
    if (processes := sys.modules.get("multiprocessing")) is not None:  # an import here might wait for the main thread
        for worker in processes.active_children():
            worker.kill()
    os._exit(say())


def _unraisable(error: Any, default: Any = sys.__unraisablehook__) -> None:
    """Pass over a KeyboardInterrupt in a callback, where it cannot be raised; report anything else."""
    kind: type[BaseException] = error.exc_type
    traceback: TracebackType | None = error.exc_traceback
    if not issubclass(kind, KeyboardInterrupt) and (traceback is not None or not _said.is_set()):
        default(error)
