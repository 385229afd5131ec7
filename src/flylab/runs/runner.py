"""The runner of studies: `execute` trains the members that are missing, saves each, and assembles the results."""

import contextlib
import functools
import hashlib
import json
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import jax
import xarray as xr

from flylab.base import files, netcdf, runtime
from flylab.base.config import fingerprint, plain, to_json
from flylab.runs.assembly import assemble
from flylab.runs.fingerprint import UnhashableError, code_fingerprint, settings, texts_in, versions
from flylab.runs.provenance import origin
from flylab.study.study import Condition, Study, protocol_of

SWEEPS = "sweeps"  # the folder of all sweeps, beside the studies' folders
GROUP_SECONDS = 2.0  # seeds are saved in groups that take about this long, which is what a crash may cost


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


class StoredMember(NamedTuple):
    """One condition and one seed, with the file that stores its results."""

    condition: Condition
    seed: int
    path: Path

    @property
    def place(self) -> dict[str, Any]:
        """The coordinates of the member among the results."""
        return {**self.condition, "seed": self.seed}


class Resume:
    """The states on disk, by seed, from which unfinished training resumes after a crash."""

    def __init__(self, paths: Mapping[int, Path]) -> None:
        self._paths = paths

    def load(self, seed: int) -> xr.Dataset | None:
        """Return the last state of a seed, or None if there is none that can be read."""
        try:
            return netcdf.open_checked(self._paths[seed])
        except (FileNotFoundError, netcdf.CorruptedError):
            return None

    def save(self, seed: int, data: xr.Dataset) -> None:
        """Save the state of a seed in place of its last one."""
        netcdf.save(self._paths[seed], data)

    def forget(self, seed: int) -> None:
        """Delete the state of a seed."""
        self._paths[seed].unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: other seeds have states
            self._paths[seed].parent.rmdir()


class Run(NamedTuple):
    """A finished run: its folder, its results, and how many of its members this call trained."""

    folder: Path
    results: xr.Dataset
    n_trained: int


def execute(
    study: Study,
    preset: str,
    protocol: Any,
    out: Path,
    *,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Train the members that are not stored yet, and write `results.nc` and `provenance.json` to the run's folder.

    Members are named by the hash of all that determines them: protocol, condition, seed, code, versions and inputs. So
    the same call again trains nothing, more seeds train only the new ones, and a run that has crashed resumes, with the
    same results bit for bit.

    Args:
        study: the study to run.
        preset: the name of the preset, for the folder's name only.
        protocol: the protocol, as from `protocol_of`.
        out: the folder of all runs.
        force: whether to train all members again.
        watcher: an observer of progress.

    Raises:
        OSError: if the folder cannot be written.
        OSError, ValueError: if files that the study reads are missing or damaged.
        ValueError: if there is no such preset, or the protocol has no conditions.
    """
    begun = time.time()
    runtime.initialise()  # before anything else starts JAX
    protocol_of(study, preset)  # raises for an unknown preset, which must not name a folder
    run_name = f"{preset}-{_hash(study, protocol)}"
    folder = out / study.name / run_name
    members = plan(study, protocol, folder)  # before anything is written, as it may raise
    if not members:
        raise ValueError(f"this protocol of {study.name} trains nothing: one of its lists is empty")
    files.writable(folder / "members")
    for place in (folder, folder / "members"):
        files.remove_leftovers(place)
    content = hashlib.sha256("".join(member.path.name for member in members).encode()).hexdigest()[:12]
    if not force and (results := _finished(folder, content, members)) is not None:
        return Run(folder, results, 0)
    have, missing = _sift(members, force)
    for member in missing if force else ():
        _resume([member]).forget(member.seed)
    if watcher is not None:
        watcher.begin(len(missing), sum(study.n_steps(protocol, member.condition) for member in missing))
    for member, data in _train(study, protocol, missing, watcher):
        have[member.path] = data
    parts = ((member.place, have[member.path]) for member in members)
    results = assemble(parts, (member.place for member in members))
    results.attrs = {
        "study": study.name, "preset": preset, "run": run_name, "question": study.question,
        "protocol": to_json(protocol), "content": content,
    }  # fmt: skip
    netcdf.save(folder / "results.nc", results)
    timing = {
        "seconds": round(time.time() - begun, 2),
        "trained": len(missing),
        "reused": len(have) - len(missing),
    }
    provenance = origin() | timing | {"members": _digests(members)}
    files.write_atomic(folder / "provenance.json", json.dumps(provenance, indent=2))
    return Run(folder, results, len(missing))


def plan(study: Study, protocol: Any, folder: Path) -> list[StoredMember]:
    """Return the members of a protocol, with the files that store them."""
    naming = Naming(study)
    return [
        StoredMember(condition, seed, folder / "members" / f"{naming.name(base, seed)}.nc")
        for condition, base in naming.conditions(protocol)
        for seed in range(protocol.n_seeds)
    ]


class Naming:
    """The names of members, which are hashes of all that determines them.

    Args:
        study: the study whose members are named.
        more: other values that determine its members.
    """

    def __init__(self, study: Study, more: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._study = study
        artifacts = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in study.artifacts.items()}
        self._common = {"versions": versions(), "settings": settings(), "artifacts": artifacts, **more}
        self._code: dict[frozenset[str], str] = {}

    def conditions(self, protocol: Any) -> Iterator[tuple[Condition, dict[str, Any]]]:
        """Yield each condition of a protocol, with all that determines its members but the seed."""
        read_by, hashed = self._study.input_digest(protocol), _hash(self._study, protocol)
        for condition in self._study.conditions(protocol):
            picked = texts_in(condition, protocol)  # they may name models, whose code counts
            if picked not in self._code:
                self._code[picked] = _code(self._study.run, condition, protocol)
            base = {**self._common, "protocol": hashed, "condition": dict(condition), "code": self._code[picked]}
            if (read := read_by(condition)) is not None:
                base["read"] = read
            yield condition, base

    def name(self, base: Mapping[str, Any], seed: int) -> str:
        """Return the name of the member of a seed."""
        return fingerprint({**base, "seed": seed}, 24)


def _code(run: Callable, condition: Condition, protocol: Any) -> str:
    try:
        return code_fingerprint(run, condition, protocol)
    except UnhashableError:
        return _unknown(run)


@functools.cache
def _unknown(run: Callable) -> str:
    """Return a name for code that cannot be read; nothing is ever found under it by another process or function."""
    return uuid.uuid4().hex


def _hash(study: Study, protocol: Any) -> str:
    """Return the hash of all protocol fields, including defaults, but the number of seeds."""
    return fingerprint({"study": study.name, **{k: v for k, v in plain(protocol).items() if k != "n_seeds"}})


def _sift(members: Iterable[StoredMember], force: bool) -> tuple[dict[Path, xr.Dataset], list[StoredMember]]:
    have, missing = {}, []
    for member in members:
        try:
            if force:
                raise FileNotFoundError
            have[member.path] = netcdf.open_checked(member.path)
        except FileNotFoundError:
            missing.append(member)
        except netcdf.CorruptedError as error:
            warnings.warn(f"{error}: its member is trained again", stacklevel=3)
            missing.append(member)
    return have, missing


def _train(study: Study, protocol: Any, missing: Sequence[StoredMember], watcher: Watcher | None):
    """Train the missing seeds of each condition in groups, and save and yield the members of each group."""
    key = jax.random.key(0)
    artifacts = dict(study.artifacts)
    conditions = {to_json(dict(member.condition)): member.condition for member in missing}
    for text, condition in conditions.items():
        left = [member for member in missing if to_json(dict(member.condition)) == text]
        if watcher is not None:
            watcher.condition(condition)
        n = n_devices = len(runtime.devices())
        while left:
            group, left = left[:n], left[n:]
            begun = time.perf_counter()
            seeds = [member.seed for member in group]
            progress = watcher.steps if watcher is not None else None
            resume = _resume(group)
            results = study.run(
                protocol, condition, seeds, key=key, artifacts=artifacts, progress=progress, resume=resume
            )
            for member in group:
                member_results = results.sel(seed=[member.seed])
                netcdf.save(member.path, member_results)
                resume.forget(member.seed)
                yield member, member_results
            if watcher is not None:
                watcher.saved(len(group))
            if time.perf_counter() - begun < GROUP_SECONDS / 2:
                n = max(2 * n // n_devices, 1) * n_devices


def _resume(group: Sequence[StoredMember]) -> Resume:
    return Resume({member.seed: member.path.parents[1] / "partial" / member.path.name for member in group})


def _finished(folder: Path, content: str, members: Sequence[StoredMember]) -> xr.Dataset | None:
    """Return the assembled results if they are of these members and no file has changed since, or None."""
    try:
        results = netcdf.open_checked(folder / "results.nc")
        known = files.read_json(folder / "provenance.json")["members"]
        whole = results.attrs.get("content") == content and known == _digests(members)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return results if whole else None


def _digests(members: Sequence[StoredMember]) -> dict[str, str]:
    return {member.path.name: hashlib.sha256(member.path.read_bytes()).hexdigest() for member in members}
