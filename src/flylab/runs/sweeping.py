"""The runner of sweeps: trains a sweep here or by an executor, and merges its members into one data set."""

import contextlib
import hashlib
import itertools
import json
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from pathlib import Path
from typing import Any, NamedTuple

import jax
import xarray as xr

from flylab.base import files, netcdf, runtime
from flylab.base.config import plain, to_json
from flylab.runs import store
from flylab.runs.assembly import Place, assemble
from flylab.runs.provenance import origin
from flylab.runs.runner import Resume, Run, Watcher
from flylab.runs.sweeps import DECLARED, MemberGroup, Sweep, member_groups, member_path
from flylab.study.registry import get_study
from flylab.study.study import Study

POLL = 0.2  # seconds between checks of the members that other processes train
FLYING = 64  # groups submitted to an executor at a time, as a million at once would be a burden
RETRIES = 3
_KEPT = "finished members are kept: run the sweep again"


def train(
    study: Study, group: MemberGroup, metrics: Sequence[str], resume: Resume | None = None, progress=None
) -> list[bytes]:
    """Train the seeds of a group, and return the file content of each member."""
    results = study.run(
        group.protocol,
        group.condition,
        list(group.seeds),
        key=jax.random.key(0),
        artifacts=dict(study.artifacts),
        progress=progress,
        resume=resume,
    )
    return [
        netcdf.encoded(_kept(results.sel(seed=[seed]), metrics).assign_attrs(member=name))
        for seed, name in zip(group.seeds, group.names, strict=True)
    ]


def _kept(results: xr.Dataset, metrics: Sequence[str]) -> xr.Dataset:
    if unknown := [name for name in metrics if name not in results.data_vars]:
        raise ValueError(f"metrics={unknown[0]!r} must be some of {', '.join(map(str, results.data_vars))}")
    names = list(metrics) or [name for name, variable in results.data_vars.items() if "example" not in variable.dims]
    kept = results[names]
    return kept.drop_vars([name for name in kept.coords if name not in kept.dims])


def run(
    sweep: Sweep,
    out: Path,
    *,
    part: tuple[int, int] = (1, 1),
    executor: Executor | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Train the members that are not stored yet and, unless `part` is set, assemble the results.

    The same call again trains nothing; a larger grid trains only its new members. Several processes may run one sweep
    on one store: each trains members that no other is training, and waits at the end for those of the others.

    Args:
        sweep: the sweep to run.
        out: the folder of all runs.
        part: (k, n): train only the k-th of n parts, e.g. in one of n Slurm jobs. `merge` then assembles the results.
        executor: a `concurrent.futures.Executor`, e.g. Dask's, to train on. The default is this process.
        watcher: an observer of progress.

    Raises:
        OSError: if the folder cannot be written, or the executor is lost.
        ValueError: if the study refuses a condition.
    """
    begun = time.time()
    runtime.initialise()  # before anything else starts JAX
    folder = sweep.folder(out)
    files.writable(folder)
    files.remove_leftovers(folder)
    n_trained = _train_missing(sweep, folder, part, executor, watcher)
    if part != (1, 1):
        return Run(folder, xr.Dataset(), n_trained)
    while True:
        try:
            return merge(sweep, out, n_trained=n_trained, begun=begun)
        except BrokenMembersError as error:
            for path in error.paths:
                path.unlink(missing_ok=True)
            warnings.warn(f"{error}: they are trained again", stacklevel=2)
            n_trained += _train_missing(sweep, folder, part, executor, watcher)


def _train_missing(
    sweep: Sweep, folder: Path, part: tuple[int, int], executor: Executor | None, watcher: Watcher | None
) -> int:
    study, have, n_trained = get_study(sweep.study), store.listing(folder / "members"), 0
    if watcher is not None:
        left = [(group, sum(name not in have for name in group.names)) for group in member_groups(sweep, part)]
        watcher.begin(
            sum(n for _, n in left), sum(study.n_steps(group.protocol, group.condition) * n for group, n in left)
        )
    todo: Iterable[MemberGroup] = member_groups(sweep, part)
    size = len(runtime.devices()) if executor is None else 1
    while True:
        elsewhere: list[MemberGroup] = []

        def ours(
            todo: Iterable[MemberGroup] = todo, have: set[str] = have, elsewhere: list[MemberGroup] = elsewhere
        ) -> Iterator[Mine]:
            for group in todo:
                for few in _groups(group, have, size):
                    mine, others, reservations = _reserved(folder, few)
                    if others is not None:
                        elsewhere.append(others)
                    if mine is not None:
                        yield Mine(mine, reservations)

        if executor is None:
            for mine in ours():
                try:
                    _train_here(study, mine.group, sweep.metrics, folder, watcher)
                finally:
                    mine.drop()
                n_trained += len(mine.group.seeds)
        else:
            for group, contents in _train_there(executor, study, ours(), sweep.metrics):
                _save(folder, group, contents)
                n_trained += len(group.seeds)
                if watcher is not None:
                    watcher.steps(study.n_steps(group.protocol, group.condition) * len(group.seeds))
                    watcher.saved(len(group.seeds))
        if not elsewhere:
            return n_trained
        time.sleep(POLL)
        todo, have = elsewhere, store.listing(folder / "members")


class Mine(NamedTuple):
    """A group of members that this process has reserved."""

    group: MemberGroup
    reservations: list[store.Reservation]

    def drop(self) -> None:
        """Release the reservations."""
        for reservation in self.reservations:
            reservation.drop()


def train_by_name(study: str, group: MemberGroup, metrics: Sequence[str]) -> list[bytes]:
    """Train a group in another process, which looks the study up by its name."""
    runtime.initialise()
    with _no_dask():
        return train(get_study(study), group, metrics)


def _no_dask() -> contextlib.AbstractContextManager[Any]:
    """Keep xarray, within a Dask task, from asking the scheduler for a lock for each file, even one in memory."""
    dask = sys.modules.get("dask")
    return contextlib.nullcontext() if dask is None else dask.config.set(scheduler="synchronous")


def _train_there(
    executor: Executor, study: Study, ours: Iterable[Mine], metrics: Sequence[str]
) -> Iterator[tuple[MemberGroup, list[bytes]]]:
    """Train groups by the executor, a few at a time, and yield each when it is done, while it is still reserved."""
    flying: dict[Future, tuple[Mine, int]] = {}
    todo = iter(ours)
    try:
        while True:
            for mine in itertools.islice(todo, FLYING - len(flying)):
                flying[executor.submit(train_by_name, study.name, mine.group, list(metrics))] = mine, 1
            if not flying:
                return
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                mine, tries = flying[future]
                try:
                    contents = future.result()
                except (BrokenExecutor, CancelledError) as error:
                    raise ConnectionError(f"the executor is lost ({type(error).__name__}); {_KEPT}") from error
                except Exception as error:
                    if type(error).__name__ != "KilledWorker":  # raised by Dask if the group's workers died repeatedly
                        raise
                    if tries == RETRIES:
                        raise ConnectionError(f"workers died training {dict(mine.group.place)}; {_KEPT}") from error
                    again = executor.submit(train_by_name, study.name, mine.group, list(metrics))
                    flying[again] = mine, tries + 1
                    del flying[future]
                    continue
                yield mine.group, contents  # the caller has saved it when this resumes
                del flying[future]
                mine.drop()
    finally:
        for future, (mine, _) in flying.items():
            future.cancel()
            mine.drop()


def _groups(group: MemberGroup, have: set[str], size: int) -> Iterator[MemberGroup]:
    left = [(seed, name) for seed, name in zip(group.seeds, group.names, strict=True) if name not in have]
    for i in range(0, len(left), size):
        yield _some(group, left[i : i + size])


def _some(group: MemberGroup, some: Sequence[tuple[int, str]]) -> MemberGroup:
    seeds, names = zip(*some, strict=True)
    return group._replace(seeds=seeds, names=names)


def _reserved(
    folder: Path, group: MemberGroup
) -> tuple[MemberGroup | None, MemberGroup | None, list[store.Reservation]]:
    """Reserve a group; return the part reserved, the part that others have reserved, and the reservations."""
    mine, others, reservations = [], [], []
    for seed, name in zip(group.seeds, group.names, strict=True):
        reservation = store.Reservation(folder / "reservations" / name)
        if not reservation.take():
            others.append((seed, name))
        elif member_path(folder, name).exists():
            reservation.drop()
        else:
            mine.append((seed, name))
            reservations.append(reservation)
    return _some(group, mine) if mine else None, _some(group, others) if others else None, reservations


def _train_here(
    study: Study, group: MemberGroup, metrics: Sequence[str], folder: Path, watcher: Watcher | None
) -> None:
    if watcher is not None:
        watcher.condition(group.place)
    paths = {seed: folder / "partial" / f"{name}.nc" for seed, name in zip(group.seeds, group.names, strict=True)}
    partial = Resume(paths)
    _save(folder, group, train(study, group, metrics, partial, watcher.steps if watcher is not None else None))
    for seed in group.seeds:
        partial.forget(seed)
    if watcher is not None:
        watcher.saved(len(group.seeds))


def _save(folder: Path, group: MemberGroup, contents: Sequence[bytes]) -> None:
    for name, content in zip(group.names, contents, strict=True):
        files.write_atomic(member_path(folder, name), content)


class BrokenMembersError(ValueError):
    """Files in the store that are damaged, or hold another member than their name says."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        super().__init__(f"{len(paths)} of the store's files are damaged or foreign, e.g. {paths[0]}")


def merge(sweep: Sweep, out: Path, *, n_trained: int = 0, begun: float | None = None) -> Run:
    """Assemble `results.nc`, `members.parquet` (if pyarrow is installed) and `provenance.json` from the store.

    Args:
        sweep: the sweep.
        out: the folder of all runs.
        n_trained: number of members trained before, for the provenance.
        begun: when training began, in seconds since the epoch, for the provenance.

    Raises:
        BrokenMembersError: if files are damaged or foreign.
        ValueError: if members are missing.
    """
    begun = time.time() if begun is None else begun
    folder = sweep.folder(out)
    have = store.listing(folder / "members")
    digest, n_members, n_missing = hashlib.sha256(), 0, 0
    for group in member_groups(sweep):
        for name in group.names:
            digest.update(name.encode())
            n_members, n_missing = n_members + 1, n_missing + (name not in have)
    if not n_members:
        raise ValueError(f"the filter {sweep.filter!r} leaves no condition")
    if n_missing:
        raise ValueError(f"{n_missing} of {n_members} members are not in {folder}: run the sweep (or its parts) again")
    content = digest.hexdigest()[:24]
    if (results := _finished(folder, content)) is not None:
        return Run(folder, results, n_trained)
    broken: list[Path] = []

    def parts() -> Iterator[tuple[Place, xr.Dataset]]:
        for group in member_groups(sweep):
            for place, name in zip(group.places(), group.names, strict=True):
                path = member_path(folder, name)
                try:
                    data = netcdf.open_checked(path)
                except (netcdf.CorruptedError, FileNotFoundError):
                    broken.append(path)
                    continue
                if data.attrs.get("member") != name:
                    broken.append(path)
                else:
                    yield place, data

    results = assemble(parts(), (place for group in member_groups(sweep) for place in group.places()))
    if broken:
        raise BrokenMembersError(broken)
    if samples := sweep.grid.sampled():
        results = results.assign_coords({name: ("sample", [sample[name] for sample in samples]) for name in samples[0]})
    results.attrs = {
        "sweep": to_json(_declared(sweep)),
        "study": sweep.study,
        "preset": sweep.preset,
        "content": content,
    }
    netcdf.save(folder / "results.nc", results)
    _save_parquet(folder / "members.parquet", results)
    timing = {"seconds": round(time.time() - begun, 2), "trained": n_trained, "reused": n_members - n_trained}
    files.write_atomic(folder / "provenance.json", json.dumps(origin() | timing, indent=2))
    return Run(folder, netcdf.open_checked(folder / "results.nc"), n_trained)


def _declared(sweep: Sweep) -> dict[str, Any]:
    values = {name: getattr(sweep, name) for name in DECLARED}
    return {name: plain(dict(value) if isinstance(value, Mapping) else value) for name, value in values.items()}


def _finished(folder: Path, content: str) -> xr.Dataset | None:
    try:
        results = netcdf.open_checked(folder / "results.nc")
    except (FileNotFoundError, netcdf.CorruptedError):
        return None
    return results if results.attrs.get("content") == content and (folder / "provenance.json").exists() else None


def _save_parquet(path: Path, results: xr.Dataset) -> None:
    """Write a row for each member and step, or warn if pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        warnings.warn(f"{path.name} is not written, as it needs pyarrow: pip install 'flylab[data]'", stacklevel=3)
        return
    names = [name for name, variable in results.data_vars.items() if variable.dtype.kind == "f" or variable.ndim == 0]
    rows = results[names].to_dataframe().reset_index().dropna(how="all", subset=names)
    files.write_atomic(path, rows.to_parquet(index=False))
