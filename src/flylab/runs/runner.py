"""The runner: trains the members of a plan that the store lacks, here or by an executor, and assembles the results."""

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import xarray as xr

from flylab.base import files, netcdf, runtime
from flylab.runs.assembly import assemble
from flylab.runs.content import Content, decode, encode, from_dataset, split_by_seed
from flylab.runs.executors import Processes
from flylab.runs.parquet import save_parquet
from flylab.runs.plan import MemberGroup, RunPlan, plan_of_study, protocol_hash
from flylab.runs.provenance import origin
from flylab.runs.store import NewMember, RunRecord, Store
from flylab.study.registry import get_study
from flylab.study.study import Condition, Study

BATCH_SECONDS = 2.0  # members are stored in batches that take about this long, which is what a crash may cost
POLL = 0.2  # seconds between checks of the members that other processes train
IN_FLIGHT = 64  # batches that an executor has at a time, as a million at once would be a burden
RETRIES = 3  # times that workers may die without a finished batch in between
_KEPT = "finished members are stored: run the same command again"

Batch = list[MemberGroup]


class Watcher(Protocol):
    """An observer of a run's progress, such as the progress bar of the command line."""

    def begin(self, n_members: int, n_steps: int) -> None:
        """Start: `n_members` members are to be trained, `n_steps` steps in all."""

    def condition(self, condition: Condition) -> None:
        """Announce the condition whose members are trained next."""

    def steps(self, n_steps: int) -> None:
        """Add `n_steps` finished steps."""

    def saved(self, n_members: int) -> None:
        """Add `n_members` members that are trained and saved."""

    def elsewhere(self, n_members: int) -> None:
        """Say how many of the members that are left another process is training."""


class _Nobody:
    """The watcher of a run that nobody watches."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


class Run(NamedTuple):
    """A run.

    Attributes:
        folder: of its results.
        results: empty if only a part was trained.
        n_trained: members that this call trained.
        n_elsewhere: members that other processes trained meanwhile.
    """

    folder: Path
    results: xr.Dataset
    n_trained: int
    n_elsewhere: int = 0


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


def execute(
    study: Study, preset: str, protocol: Any, out: Path, *, force: bool = False, watcher: Watcher | None = None
) -> Run:
    """Run a study under a protocol, as `run` does; `preset` only names the folder."""
    return run(plan_of_study(study, preset, protocol), out, force=force, watcher=watcher)


def run(
    plan: RunPlan,
    out: Path,
    *,
    part: tuple[int, int] = (1, 1),
    executor: Executor | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Train the members that are not stored yet and, unless only a part is asked for, assemble the results.

    Members are named by the hash of all that determines them: protocol, condition, seed, code, versions and inputs. So
    the same call again trains nothing, more seeds or a larger grid train only what is new, and a run that has crashed
    resumes, with the same results bit for bit. Several processes may run one plan on one folder: each trains members
    that no other is training, and waits at the end for those of the others.

    Args:
        plan: what to train.
        out: the folder of all runs, with the store.
        part: (k, n): train only the k-th of n parts, e.g. in one of n Slurm jobs.
        executor: a `concurrent.futures.Executor` to train on, e.g. Dask's. The default is this process.
        force: whether to train all members again.
        watcher: an observer of progress.

    Raises:
        OSError: if the folder cannot be written, or the executor is lost.
        OSError, ValueError: if files that the study reads are missing or damaged.
        ValueError: if the study refuses a condition, or the plan has no members.
    """
    began = time.time()
    runtime.initialise()  # before anything else starts JAX
    names = tuple(name for group in plan.groups() for name in group.names)  # before anything is written: it may raise
    if not names:
        raise ValueError("the filter leaves no condition")
    with Store(out) as store:
        running = _Running(plan, names, store, out, executor, watcher or _Nobody())
        if force:
            store.forget_run(plan.folder)
            store.delete(names)
        elif part == (1, 1) and (finished := running.finished()) is not None:
            return finished
        running.declare()
        running.train(plan.groups(part))
        if part != (1, 1):
            return Run(running.folder, xr.Dataset(), running.n_trained, running.n_elsewhere)
        return running.join(began)


class _Running:
    """A run in progress.

    Attributes:
        n_trained: members trained so far.
        n_elsewhere: members that other processes have trained meanwhile.
        size: members in a batch; grows and shrinks so that a batch takes about `BATCH_SECONDS`.
    """

    def __init__(self, plan: RunPlan, names: tuple[str, ...], store: Store, out: Path, executor: Executor | None,
                 watcher: Any) -> None:  # fmt: skip
        self.plan, self.names, self.store, self.watcher = plan, names, store, watcher
        self.executor = executor
        self.folder = out / plan.folder
        self.n_trained, self.n_elsewhere = 0, 0
        self.n_devices = len(runtime.devices()) if executor is None else 1
        self.size = self.n_devices

    @property
    def record(self) -> RunRecord:
        """The record of this run before it is finished."""
        declared = hashlib.sha256(self.plan.declaration.encode()).hexdigest()[:12]
        return RunRecord(self.plan.folder, self.plan.study.name, declared, self.names, self.plan.declaration)

    def declare(self) -> None:
        """Record the run and its members, unless a finished run has the same ones."""
        known = self.store.run(self.plan.folder)
        if known is None or known.members != self.names or known.declaration != self.plan.declaration:
            self.store.put((), self.record)

    def finished(self) -> Run | None:
        """Return the run, if it is finished with just these members and its results are whole."""
        record = self.store.run(self.plan.folder)
        same = record is not None and record.digest and record[:5] == self.record[:5]
        try:
            results = netcdf.open_checked(self.folder / "results.nc") if same else None
        except (FileNotFoundError, netcdf.CorruptedError):
            return None
        if results is None or record is None or results.attrs["checksum"] != record.digest:
            return None
        self.derive(results, record)
        return Run(self.folder, results, 0)

    def train(self, groups: Iterable[MemberGroup]) -> None:
        """Train what the store lacks, and wait for what other processes train."""
        left = list(self._missing(groups))
        n_steps, n_members = self.plan.study.n_steps, sum(len(group.seeds) for group in left)
        self.watcher.begin(n_members, sum(n_steps(g.protocol, g.condition) * len(g.seeds) for g in left))
        while left:
            elsewhere = self._train(left)
            n_left = sum(len(group.seeds) for group in elsewhere)
            self.watcher.elsewhere(n_left)
            if elsewhere:
                time.sleep(POLL)
            left = list(self._missing(elsewhere))
            self.n_elsewhere += n_left - sum(len(group.seeds) for group in left)

    def _missing(self, groups: Iterable[MemberGroup]) -> Iterator[MemberGroup]:
        """Yield the groups, without the members that the store has, each member once."""
        known: set[str] = set()
        for some in _some(groups):
            known |= self.store.names(name for group in some for name in group.names)
            for group in some:
                if (left := group.only(set(group.names) - known)).names:
                    known |= set(left.names)
                    yield left

    def _batches(self, groups: Iterable[MemberGroup], elsewhere: list[MemberGroup]) -> Iterator[Batch]:
        """Yield members that this process has reserved, in batches; add those that others have to `elsewhere`."""
        waiting = list(groups)[::-1]
        while waiting:
            batch, room = [], self.size
            while waiting and (not batch or len(waiting[-1].seeds) <= room):
                group, rest = waiting.pop().cut(max(room, self.n_devices))
                batch.append(group)
                room -= len(group.seeds)
                if rest.seeds:
                    waiting.append(rest)
                    break
            mine = self.store.reserve([name for group in batch for name in group.names])
            elsewhere += [part for group in batch if (part := group.only(set(group.names) - mine)).names]
            if reserved := [part for group in batch if (part := group.only(mine)).names]:
                yield reserved

    def _train(self, groups: Iterable[MemberGroup]) -> list[MemberGroup]:
        """Train the groups but for the members that other processes have reserved, and return those."""
        elsewhere: list[MemberGroup] = []
        batches = self._batches(groups, elsewhere)
        for batch, contents, seconds in self._here(batches) if self.executor is None else self._there(batches):
            self._save(batch, contents)
            if seconds < BATCH_SECONDS / 2:
                self.size *= 2
            elif seconds > 2 * BATCH_SECONDS:
                self.size = max(self.size // 2, self.n_devices)
        return elsewhere

    def _here(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[bytes], float]]:
        for batch in batches:
            began, contents = time.perf_counter(), []
            for group in batch:
                self.watcher.condition(group.place)
                resume = Resume(self.store, dict(zip(group.seeds, group.names, strict=True)))
                contents += train_group(self.plan.study, group, self.watcher.steps, resume)
            yield batch, contents, time.perf_counter() - began

    def _there(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[bytes], float]]:
        """Train by the executor, some batches at a time, and yield each when it is done."""
        executor, waiting, n_deaths = self.executor, iter(batches), 0
        assert executor is not None
        flying: dict[Future, Batch] = {}
        again: list[Batch] = []
        try:
            while True:
                for batch in itertools.chain(again, itertools.islice(waiting, max(IN_FLIGHT - len(flying), 0))):
                    flying[executor.submit(train_by_name, self.plan.study.name, batch)] = batch
                again = []
                if not flying:
                    return
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
                        yield batch, contents, seconds
                        for group in batch:
                            n_steps = self.plan.study.n_steps(group.protocol, group.condition)
                            self.watcher.steps(n_steps * len(group.seeds))
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

    def _save(self, batch: Batch, contents: Sequence[bytes]) -> None:
        if self.n_trained == 0 and self.plan.metrics:
            _refuse_unknown(self.plan.metrics, decode(contents[0]))
        study, members = self.plan.study, []
        for group in batch:
            protocol = protocol_hash(study, group.protocol)
            members += [(name, study.name, protocol) for name in group.names]
        self.store.put(NewMember(*member, content) for member, content in zip(members, contents, strict=True))
        self.n_trained += len(members)
        self.watcher.saved(len(members))

    def join(self, began: float) -> Run:
        """Assemble the results, record the run as finished, and write the files that are derived from the store."""
        found: set[str] = set()

        def members() -> Iterator[tuple[Mapping[str, Any], Content]]:
            for groups in _some(self.plan.groups()):
                contents = dict(self.store.get(name for group in groups for name in group.names))
                found.update(contents)
                for group in groups:
                    for name, place in zip(group.names, group.places(), strict=True):
                        if name in contents:
                            yield place, _chosen(contents[name], self.plan.metrics)

        while True:
            results = assemble(members(), (place for group in self.plan.groups() for place in group.places()))
            if len(found) == len(set(self.names)):
                break
            self.train(self.plan.groups())  # what was damaged, or deleted by somebody
            found.clear()
        results = results.assign_coords(self.plan.coords)
        results.attrs = dict(self.plan.attrs)
        results.attrs["checksum"] = netcdf.checksum(results)
        n_reused = len(self.names) - self.n_trained - self.n_elsewhere
        made = {"seconds": round(time.time() - began, 2), "trained": self.n_trained, "elsewhere": self.n_elsewhere,
                "reused": n_reused}  # fmt: skip
        record = self.record._replace(provenance=json.dumps(origin() | made, indent=2), digest=results.checksum)
        self.store.put((), record)
        if not self.plan.is_reusable:
            self.store.delete(self.names)
        netcdf.save(self.folder / "results.nc", results)
        self.derive(results, record)
        return Run(self.folder, results, self.n_trained, self.n_elsewhere)

    def derive(self, results: xr.Dataset, record: RunRecord) -> None:
        """Write the files that are derived from the results, where they are of other results."""
        path = self.folder / "provenance.json"
        if not path.exists() or path.read_text() != record.provenance:
            files.write_atomic(path, record.provenance)
        if self.plan.metrics is not None:
            save_parquet(self.folder / "members.parquet", results)


def train_group(
    study: Study, group: MemberGroup, progress: Callable[[int], None] | None = None, resume: Resume | None = None
) -> list[bytes]:
    """Train the members of a group, and return the encoded content of each."""
    results = study.run(
        group.protocol, group.condition, list(group.seeds), key=jax.random.key(0), artifacts=dict(study.artifacts),
        progress=progress, resume=resume,
    )  # fmt: skip
    return [encode(content) for content in split_by_seed(results, group.seeds)]


def train_by_name(study: str, batch: Batch) -> tuple[list[bytes], float]:
    """Train a batch in another process, which finds the study by its name; return contents and seconds."""
    runtime.initialise()
    began = time.perf_counter()
    contents = [content for group in batch for content in train_group(get_study(study), group)]
    return contents, time.perf_counter() - began


def _some(groups: Iterable[MemberGroup]) -> Iterator[list[MemberGroup]]:
    """Yield groups some at a time, as many as one query of the store is good for."""
    groups = iter(groups)
    while some := list(itertools.islice(groups, 100)):
        yield some


def _refuse_unknown(metrics: Sequence[str], content: Content) -> None:
    if unknown := [name for name in metrics if name not in content.variables]:
        raise ValueError(f"metrics={unknown[0]!r} must be some of {', '.join(content.variables)}")


def _chosen(content: Content, metrics: Sequence[str] | None) -> Content:
    if metrics is None:
        return content
    names = metrics or [name for name, (dims, _) in content.variables.items() if "example" not in dims]
    variables = {name: content.variables[name] for name in names}
    used = {dim for dims, _ in variables.values() for dim in dims}
    return content._replace(variables=variables, coords={d: c for d, c in content.coords.items() if d in used})
