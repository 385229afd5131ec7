"""A Dask cluster as an executor: one that runs already, or a local one for as long as it is needed."""

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import NamedTuple

from flylab.base.optional import need

# one JAX device per worker: workers are what runs side by side
WORKER = {"JAX_NUM_CPU_DEVICES": "1", "OMP_NUM_THREADS": "1"}


class Cluster(NamedTuple):
    """An executor, and the address of the page that shows what it does."""

    executor: Executor
    dashboard: str


@contextlib.contextmanager
def dask(scheduler: str | None = None, n_workers: int | None = None) -> Iterator[Cluster]:
    """Connect to a Dask scheduler, or start workers on this machine, reachable from it only.

    Workers need flylab installed in the same version; they send results back, so that no file system is shared.

    Raises:
        MissingExtraError: without the package distributed.
        ValueError: for a number of workers < 1.
        OSError: if the scheduler cannot be reached.
    """
    distributed = need("distributed", "cluster", "a Dask cluster")
    if scheduler is None and (n_workers is None or n_workers < 1):
        raise ValueError(f"workers={n_workers} is not allowed: give a whole number ≥ 1")
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
    """Dask logs whole tracebacks of what we answer ourselves, such as a lost scheduler."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "distributed.utils")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
