"""Training of batches of members, in this process or by an executor."""

import itertools
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from typing import NamedTuple

import jax
import xarray as xr

from flylab.base import runtime
from flylab.runs.content import encode, from_dataset, split_by_seed
from flylab.runs.executors import Processes
from flylab.runs.plan import KEY, MemberGroup
from flylab.runs.progress import Watcher, Work
from flylab.runs.store import Store
from flylab.study.registry import get_study
from flylab.study.study import Study

IN_FLIGHT = 64  # batches that an executor has at a time, as a million at once would be a burden
RETRIES = 3  # times that workers may die without a finished batch in between
_KEPT = "finished members are stored: run the same command again"

Batch = list[MemberGroup]


class Trained(NamedTuple):
    """A batch that is trained.

    Attributes:
        batch: the batch.
        contents: the encoded content of each member.
        seconds: that training took.
    """

    batch: Batch
    contents: list[bytes]
    seconds: float


class Resume:
    """The states in the store, by seed, from which unfinished training resumes after a crash."""

    def __init__(self, store: Store, names: Mapping[int, str]) -> None:
        self._store, self._names = store, names

    def load(self, seed: int) -> xr.Dataset | None:
        """Return the last state of a seed, or None if there is none that can be read."""
        content = self._store.load_state(self._names[seed])
        return None if content is None else content.to_dataset()

    def save(self, seed: int, data: xr.Dataset) -> None:
        """Save the state of a seed in place of its last one."""
        self._store.save_state(self._names[seed], from_dataset(data))


def train_here(study: Study, batches: Iterable[Batch], store: Store, watcher: Watcher, work: Work) -> Iterator[Trained]:
    """Train batches in this process, and yield each when it is done."""
    for batch in batches:
        began, contents = time.perf_counter(), []
        for group in batch:
            watcher.condition(group.place)
            resume = Resume(store, dict(zip(group.seeds, group.names, strict=True)))
            per_step = work.per_step(group)
            contents += _train(study, group, lambda n_steps, unit=per_step: watcher.worked(n_steps * unit), resume)
            watcher.worked(work.begun(group))
        yield Trained(batch, contents, time.perf_counter() - began)


def train_there(
    study: Study, batches: Iterable[Batch], executor: Executor, watcher: Watcher, work: Work
) -> Iterator[Trained]:
    """Train batches by an executor, some at a time, and yield each when it is done.

    Raises:
        ConnectionError: if the executor is lost, or workers die again and again.
    """
    waiting, n_deaths = iter(batches), 0
    flying: dict[Future, Batch] = {}
    again: list[Batch] = []
    try:
        while True:
            for batch in itertools.chain(again, itertools.islice(waiting, max(IN_FLIGHT - len(flying), 0))):
                flying[_submitted(executor, study, batch)] = batch
            if not flying:
                return
            again = []
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                batch = flying.pop(future)
                try:
                    contents, seconds = future.result()
                except (BrokenExecutor, CancelledError) as error:
                    if not isinstance(executor, Processes):
                        raise ConnectionError(f"the executor is lost ({type(error).__name__}); {_KEPT}") from error
                    again.append(batch)
                except Exception as error:
                    if type(error).__name__ != "KilledWorker":  # raised by Dask if the batch's workers died
                        raise
                    again.append(batch)
                else:
                    n_deaths = 0
                    yield Trained(batch, contents, seconds)
                    for group in batch:
                        watcher.worked(work.of(group) + work.begun(group))
            if again:
                n_deaths += 1
                if n_deaths > RETRIES:
                    raise ConnectionError(f"workers die training {dict(again[0][0].place)}; {_KEPT}")
                if isinstance(executor, Processes):
                    again += flying.values()
                    flying.clear()
                    executor.restart()
    finally:
        for future in flying:
            future.cancel()


def _submitted(executor: Executor, study: Study, batch: Batch) -> Future:
    """Submit a batch to an executor; if that is broken, the future says so, as those of earlier batches do."""
    try:
        return executor.submit(_train_by_name, study.place or study.name, pickle.dumps(batch))
    except BrokenExecutor as error:
        future: Future = Future()
        future.set_exception(error)
        return future


def _train(
    study: Study, group: MemberGroup, progress: Callable[[int], None] | None, resume: Resume | None
) -> list[bytes]:
    """Train the members of a group, and return the encoded content of each."""
    results = study.run(
        group.protocol, group.condition, list(group.seeds), key=jax.random.key(KEY), artifacts=dict(study.artifacts),
        progress=progress, resume=resume,
    )  # fmt: skip
    return [encode(content) for content in split_by_seed(results, group.seeds)]


@runtime.pinned()
def _train_by_name(name: str, batch: bytes) -> tuple[list[bytes], float]:
    """Train a batch in another process, which finds the study by its name; return contents and seconds."""
    runtime.initialise()
    began = time.perf_counter()
    study = get_study(name)  # first, since the batch holds objects of its classes
    contents = [content for group in pickle.loads(batch) for content in _train(study, group, None, None)]
    return contents, time.perf_counter() - began
