"""Ctrl-C that ends a command at once, whatever it is doing."""

import os
import signal
import sys
import threading

MESSAGE = "\nflylab: stopped; finished members are kept, and the same command resumes.\n"
CODE = 130
_CURSOR = "\x1b[?25h"  # which a progress bar hides


def install() -> None:
    """Let Ctrl-C end this process at once, and its workers with it.

    Python would raise KeyboardInterrupt only when the main thread runs Python's own code, so not while XLA compiles;
    and extension modules that are being imported print it, make another exception of it, or abort. But to the wake-up
    file it writes in any case, and a thread that reads it can end the process. Nothing is lost, as with `kill -9`: what
    is stored is written by transactions, and reservations end with their process.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # a shell's background job ignores it
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, lambda *_: None)
    threading.Thread(target=_end, args=(reader,), daemon=True, name="flylab-interrupts").start()


def uninstall() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, for servers that end in their own way."""
    if signal.set_wakeup_fd(-1) != -1:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def say() -> int:
    """Print that the process was stopped, and return the exit code."""
    cursor = _CURSOR if sys.stderr.isatty() else ""
    os.write(2, f"{cursor}{MESSAGE}".encode())  # sys.stderr's lock may be the main thread's
    return CODE


def _end(reader: int) -> None:
    while os.read(reader, 1) != bytes([signal.SIGINT]):
        pass
    # an import might wait for the main thread
    for worker in getattr(sys.modules.get("multiprocessing"), "active_children", list)():
        worker.kill()
    os._exit(say())
