"""A Dask cluster as an executor: a running one, or a temporary one on this machine."""

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import NamedTuple

from flylab.base.optional import need

# one JAX device per worker, as workers run side by side
WORKER = {"JAX_NUM_CPU_DEVICES": "1", "OMP_NUM_THREADS": "1"}


class Cluster(NamedTuple):
    """An executor and the address of its dashboard."""

    executor: Executor
    dashboard: str


@contextlib.contextmanager
def dask(scheduler: str | None = None, n_workers: int | None = None) -> Iterator[Cluster]:
    """Connect to a Dask scheduler, or start workers on this machine that only this machine can reach.

    Workers need the same version of flylab. They send their results back, so no shared file system is needed.

    Args:
        scheduler: the address of a running scheduler.
        n_workers: number of workers to start if there is no scheduler.

    Raises:
        MissingExtraError: if the package distributed is not installed.
        ValueError: if `n_workers` is not an integer ≥ 1.
        OSError: if the scheduler cannot be reached.
    """
    distributed = need("distributed", "cluster", "a Dask cluster")
    if scheduler is None and (n_workers is None or n_workers < 1):
        raise ValueError(f"n_workers={n_workers} must be an integer ≥ 1")
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        if scheduler is None:
            local = distributed.LocalCluster(
                n_workers=n_workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
                env=WORKER, silence_logs=logging.CRITICAL,
            )  # fmt: skip
            scheduler = stack.enter_context(local).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(scheduler, timeout=10, set_as_default=False))
        except (OSError, ValueError, TimeoutError) as error:
            raise ConnectionError(f"there is no Dask scheduler at {scheduler} ({error})") from None
        yield Cluster(client.get_executor(pure=False, retries=2), client.dashboard_link)


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
