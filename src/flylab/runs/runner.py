"""The runner: trains the members of a plan that the store lacks, here or by an executor, and assembles the results."""

import hashlib
import itertools
import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from flylab.base import files, netcdf, runtime
from flylab.data.images import identity
from flylab.runs.assembly import assemble, require_free
from flylab.runs.content import Content, decode
from flylab.runs.dispatch import Batch, Resume, Trained, train_here, train_there
from flylab.runs.parquet import save_parquet
from flylab.runs.plan import MemberGroup, RunPlan, plan_of_study
from flylab.runs.progress import Nobody, Watcher, Work
from flylab.runs.provenance import origin
from flylab.runs.store import NewMember, RunRecord, Store
from flylab.study.study import Study

__all__ = ["Resume", "Run", "Watcher", "execute", "run"]

BATCH_SECONDS = 2.0  # members are stored in batches that take about this long, which is what a crash may cost
POLL = 0.2  # seconds between checks of the members that other processes train


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


def execute(
    study: Study, preset: str, protocol: Any, out: Path, *, force: bool = False, watcher: Watcher | None = None
) -> Run:
    """Run a study under a protocol, as `run` does; `preset` only names the folder."""
    return run(plan_of_study(study, preset, protocol), out, force=force, watcher=watcher)


@runtime.pinned()
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
        force: whether to train all members, or those of the part, again.
        watcher: an observer of progress.

    Raises:
        OSError: if the folder cannot be written, or the executor is lost.
        OSError, ValueError: if files that the study reads are missing or damaged.
        ValueError: if the study refuses a condition, or the plan has no members.
    """
    began = time.time()
    runtime.initialise()  # before anything else starts JAX
    groups = list(plan.groups())  # before anything is written: it may raise
    if not groups:
        raise ValueError("the filter leaves no condition")
    with Store(out) as store:
        running = _Running(plan, groups, store, out, executor, watcher or Nobody())
        mine = groups if part == (1, 1) else list(plan.groups(part))
        if force:
            store.forget_run(plan.folder)
            store.delete(name for group in mine for name in group.names)
        elif part == (1, 1) and (finished := running.finished()) is not None:
            return finished
        elif running.is_forgotten():
            said = f"the store knows nothing of the run in {running.folder}: its members are trained again"
            warnings.warn(said, stacklevel=2)
        running.declare()
        running.train(mine)
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

    def __init__(self, plan: RunPlan, groups: Sequence[MemberGroup], store: Store, out: Path,
                 executor: Executor | None, watcher: Any) -> None:  # fmt: skip
        self.plan, self.groups, self.store, self.watcher = plan, groups, store, watcher
        self.names = tuple(name for group in groups for name in group.names)
        self.executor = executor
        self.folder = out / plan.folder
        self.n_trained, self.n_elsewhere = 0, 0
        self.n_seeds = len({seed for group in groups for seed in group.seeds})
        self.looks = store.looks(self.record)
        sets = {name: config for protocol in {group.protocol_hash: group.protocol for group in groups}.values()
                for name, config in plan.study.image_sets(protocol).items()}  # fmt: skip
        self.attrs = {**plan.attrs, **self.looks.attrs(self.n_seeds, plan.claims), **identity.attributes(sets)}
        self.at_once = runtime.most_at_once() * (len(runtime.devices()) if executor is None else 1)
        self.size = self.at_once

    @property
    def record(self) -> RunRecord:
        """The record of this run before it is finished."""
        declared = hashlib.sha256(self.plan.declaration.encode()).hexdigest()[:12]
        return RunRecord(self.plan.folder, self.plan.study.name, declared, self.names, self.plan.declaration)

    def is_forgotten(self) -> bool:
        """Return whether there are results, but nothing of them in the store, which has been deleted or damaged."""
        has_results = (self.folder / "results.nc").exists()
        return has_results and self.store.run(self.plan.folder) is None and not self.store.names(self.names)

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
        if results is None or record is None or results.attrs != {**self.attrs, "checksum": record.digest}:
            return None
        self.derive(results, record)
        return Run(self.folder, results, 0)

    def train(self, groups: Iterable[MemberGroup]) -> None:
        """Train what the store lacks, and wait for what other processes train."""
        left = list(self._missing(groups))
        self.work = Work(self.plan.study, left)
        if runtime.devices()[0].platform == "cpu":
            files.require_memory(self.work.memory * len(runtime.devices()), f"training {self.plan.study.name}")
        self.watcher.begin(sum(len(group.seeds) for group in left), self.work.total)
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
                group, rest = waiting.pop().cut(max(room, self.at_once))
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
        for trained in (
            train_here(self.plan.study, batches, self.store, self.watcher, self.work)
            if self.executor is None
            else train_there(self.plan.study, batches, self.executor, self.watcher, self.work)
        ):
            self._save(trained)
            if trained.seconds < BATCH_SECONDS / 2:
                self.size *= 2
            elif trained.seconds > 2 * BATCH_SECONDS:
                self.size = max(self.size // 2, self.at_once)
        return elsewhere

    def _save(self, trained: Trained) -> None:
        if self.n_trained == 0:  # the first member tells the names
            first, group = decode(trained.contents[0]), trained.batch[0]
            require_free(next(group.places()), first)
            _refuse_unknown(self.plan.metrics or (), first)
        study, members, contents = self.plan.study, [], iter(trained.contents)
        for group in trained.batch:
            members += [NewMember(name, study.name, group.protocol_hash, next(contents)) for name in group.names]
        self.store.put(members)
        self.n_trained += len(members)
        self.watcher.saved(len(members))

    def join(self, began: float) -> Run:
        """Assemble the results, record the run as finished, and write the files that are derived from the store."""
        found: set[str] = set()

        def members() -> Iterator[tuple[Mapping[str, Any], Content]]:
            for groups in _some(self.groups):
                contents = dict(self.store.get(name for group in groups for name in group.names))
                found.update(contents)
                for group in groups:
                    for name, place in zip(group.names, group.places(), strict=True):
                        if name in contents:
                            yield place, _chosen(contents[name], self.plan.metrics)

        n_attempts = 1
        while True:
            results = assemble(members(), (place for group in self.groups for place in group.places()))
            if len(found) == len(set(self.names)):
                break
            if n_attempts > 1:  # what was trained again is not found: the database's index is damaged
                self.store.mend()
            self.train(self.groups)  # what was damaged, or deleted by somebody
            found.clear()
            n_attempts += 1
        results = results.assign_coords(self.plan.coords)
        results.attrs = dict(self.attrs)
        results.attrs["checksum"] = netcdf.checksum(results)
        n_reused = len(self.names) - self.n_trained - self.n_elsewhere
        made = {"seconds": round(time.time() - began, 2), "trained": self.n_trained, "elsewhere": self.n_elsewhere,
                "reused": n_reused}  # fmt: skip
        record = self.record._replace(provenance=json.dumps(origin() | made, indent=2), digest=results.checksum)
        self.store.put((), record, self.looks.after(self.n_seeds, self.plan.claims))
        passing = [group for group in self.groups if not (self.plan.is_reusable and group.is_reusable)]
        if passing:
            self.store.delete(name for group in passing for name in group.names)
        netcdf.save(self.folder / "results.nc", results)
        self.derive(results, record)
        return Run(self.folder, results, self.n_trained, self.n_elsewhere)

    def derive(self, results: xr.Dataset, record: RunRecord) -> None:
        """Write the files that are derived from the results, where they are of other results."""
        path = self.folder / "provenance.json"
        if not path.exists() or files.read_bytes(path) != record.provenance.encode():
            files.write_atomic(path, record.provenance)
        if self.plan.metrics is not None:
            save_parquet(self.folder / "members.parquet", results)


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
