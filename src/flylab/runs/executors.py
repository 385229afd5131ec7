"""Where members are trained beside this process: local processes, or a Dask cluster."""

import contextlib
import logging
import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from flylab.base.constraints import PositiveInt, check
from flylab.base.optional import need


class Processes(Executor):
    """Local processes with one JAX device each, which end with this process, however it ends.

    Args:
        n_workers: number of processes.

    Raises:
        ValueError: if `n_workers` is not an integer ≥ 1.
    """

    def __init__(self, n_workers: int) -> None:
        check("workers", n_workers, PositiveInt)
        self._n_workers = n_workers
        self._start()

    def _start(self) -> None:
        reader, self._alive = mp.Pipe(duplex=False)
        context = mp.get_context("spawn")  # a fork of a process that has started JAX would hang
        self._pool = ProcessPoolExecutor(self._n_workers, context, initializer=_prepare, initargs=(reader,))
        self._workers: set[BaseProcess] = set()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        """Run a function in one of the processes, which is started if need be."""
        others = set(mp.active_children())
        with _deaf():
            future = self._pool.submit(fn, *args, **kwargs)
        self._workers |= set(mp.active_children()) - others
        return future

    def restart(self) -> None:
        """Replace all processes, after one has died."""
        self.shutdown()
        self._start()

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:
        """End all processes at once."""
        self._alive.close()
        for worker in self._workers:  # one that is still importing hears of nothing else
            worker.kill()
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Let processes that are started now never hear Ctrl-C, which reaches the whole group: their parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(alive: Connection) -> None:
    """Set up a worker process: one core, and an end with its parent."""
    import jax
    from threadpoolctl import threadpool_limits

    jax.config.update("jax_num_cpu_devices", 1)
    threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in _deaf, which Windows lacks

    def end_with_parent() -> None:
        with contextlib.suppress(OSError):
            alive.poll(None)  # nothing is ever sent: it returns when the parent closes its end, or dies
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


@contextlib.contextmanager
def dask(scheduler: str) -> Iterator[Executor]:
    """Connect to a running Dask cluster.

    Workers need the same version of flylab. They send their results back, so no shared file system is needed.

    Args:
        scheduler: the address of the scheduler, e.g. `"tcp://host:8786"`.

    Raises:
        MissingExtraError: if the package distributed is not installed.
        OSError: if the scheduler cannot be reached.
    """
    distributed = need("distributed", "cluster", "a Dask cluster")
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        try:
            client = stack.enter_context(distributed.Client(scheduler, timeout=10, set_as_default=False))
        except (OSError, ValueError, TimeoutError) as error:
            raise ConnectionError(f"there is no Dask scheduler at {scheduler} ({error})") from None
        yield client.get_executor(pure=False, retries=2)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask, which logs whole tracebacks of errors that flylab reports itself, such as a lost scheduler."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "distributed.utils")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
