"""TODO"""

import contextlib
import hashlib
import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import jax
import xarray as xr

from flylab.base import files, netcdf, runtime
from flylab.base.config import fingerprint, plain, to_json
from flylab.runs.assembly import assemble
from flylab.runs.fingerprint import code_fingerprint, versions
from flylab.runs.provenance import origin
from flylab.study.study import Condition, Study, _preset_of

SWEEPS = "sweeps"  # the folder of all sweeps, beside those of the studies
GROUP_SECONDS = 2.0  # what a crash may cost: seeds are saved in groups of about this long


class Watcher(Protocol):
    """Told how a run goes; the command line shows a progress bar."""

    def begin(self, n_members: int, n_steps: int) -> None:
        """So many members are to be trained, so many steps in all."""

    def condition(self, condition: Condition) -> None:
        """Members of this condition are next."""

    def steps(self, n_steps: int) -> None:
        """More steps are done."""

    def saved(self, n_members: int) -> None:
        """More members are finished and on disk."""


class StoredMember(NamedTuple):
    """The unit of work, of storage and of resuming: one condition and one seed."""

    condition: Condition
    seed: int
    path: Path

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands among the results."""
        return {**self.condition, "seed": self.seed}


class Resume:
    """What a run has half done, by seed, on disk: to go on from after a crash. Gone once the seed is finished."""

    def __init__(self, paths: Mapping[int, Path]) -> None:
        self._paths = paths

    def load(self, seed: int) -> xr.Dataset | None:
        """What was saved last; None if there is nothing, or nothing that can be read."""
        try:
            return netcdf.open_checked(self._paths[seed])
        except (FileNotFoundError, netcdf.CorruptedError):
            return None

    def save(self, seed: int, data: xr.Dataset) -> None:
        """Keep this in place of what was saved before."""
        netcdf.save(self._paths[seed], data)

    def forget(self, seed: int) -> None:
        """Delete what was saved."""
        self._paths[seed].unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there may be others
            self._paths[seed].parent.rmdir()


class Run(NamedTuple):
    """A finished run: its folder, its results, and how many members were trained for it just now."""

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
    """Train what is not in the store yet, and assemble `results.nc` and `provenance.json` in the run's folder.

    Shards are named by the hash of all that determines them: protocol, condition, seed, code, versions, inputs. So the same
    call again trains nothing, more seeds train only the new ones, and after a crash the rest is trained, with the
    same results bit for bit.

    Args:
        study: what to run.
        preset: its name stands in the folder's name; `protocol` is what counts.
        protocol: see `protocol_of`.
        out: the folder of all runs.
        force: train everything again.
        watcher: told of progress.

    Raises:
        OSError: if the folder cannot be written.
        OSError, ValueError: if files that the study reads are missing or damaged.
        ValueError: for an unknown preset, or a protocol without conditions.
    """
    begun = time.time()
    runtime.initialise()  # before anything else starts JAX
    _preset_of(study, preset)  # it names a folder
    run_name = f"{preset}-{_hash(study, protocol)}"
    folder = out / study.name / run_name
    members = plan(study, protocol, folder)  # first: it may refuse
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
    made = {
        "seconds": round(time.time() - begun, 2),
        "trained": len(missing),
        "reused": len(have) - len(missing),
    }
    provenance = origin() | made | {"members": _digests(members)}
    files.write_atomic(folder / "provenance.json", json.dumps(provenance, indent=2))
    return Run(folder, results, len(missing))


def plan(study: Study, protocol: Any, folder: Path) -> list[StoredMember]:
    """The members of a protocol, and the files that hold them."""
    naming = Naming(study)
    return [
        StoredMember(condition, seed, folder / "members" / f"{naming.name(base, seed)}.nc")
        for condition, base in naming.conditions(protocol)
        for seed in range(protocol.n_seeds)
    ]


class Naming:
    """The names of members: the hash of what determines one. What many share is computed once.

    Args:
        study: whose members.
        more: what else determines them.
    """

    def __init__(self, study: Study, more: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._study = study
        artifacts = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in study.artifacts.items()}
        self._common = {"versions": versions(), "artifacts": artifacts, **more}
        self._code: dict[str, str] = {}

    def conditions(self, protocol: Any) -> Iterator[tuple[Condition, dict[str, Any]]]:
        """Each condition of a protocol, and what determines it but the seed."""
        read_by, hashed = self._study.input_digest(protocol), _hash(self._study, protocol)
        for condition in self._study.conditions(protocol):
            picked = to_json({name: value for name, value in condition.items() if isinstance(value, str)})
            if picked not in self._code:  # only text in a condition picks code
                self._code[picked] = code_fingerprint(self._study.run, condition)
            base = {**self._common, "protocol": hashed, "condition": dict(condition), "code": self._code[picked]}
            if (read := read_by(condition)) is not None:
                base["read"] = read
            yield condition, base

    def name(self, base: Mapping[str, Any], seed: int) -> str:
        """Of the member of one seed."""
        return fingerprint({**base, "seed": seed}, 24)


def _hash(study: Study, protocol: Any) -> str:
    """Of every protocol field, defaults included, but the number of seeds."""
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
            warnings.warn(f"{error}: training it again", stacklevel=3)
            missing.append(member)
    return have, missing


def _train(study: Study, protocol: Any, missing: Sequence[StoredMember], watcher: Watcher | None):
    """Train the missing seeds of each condition, some at a time, saving each group as it is finished."""
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
                one = results.sel(seed=[member.seed])
                netcdf.save(member.path, one)
                resume.forget(member.seed)
                yield member, one
            if watcher is not None:
                watcher.saved(len(group))
            if time.perf_counter() - begun < GROUP_SECONDS / 2:
                n = max(2 * n // n_devices, 1) * n_devices


def _resume(group: Sequence[StoredMember]) -> Resume:
    return Resume({member.seed: member.path.parents[1] / "partial" / member.path.name for member in group})


def _finished(folder: Path, content: str, members: Sequence[StoredMember]) -> xr.Dataset | None:
    """The assembled results, if they are of just these members and no file has changed since: the quick answer."""
    try:
        results = netcdf.open_checked(folder / "results.nc")
        known = files.read_json(folder / "provenance.json")["members"]
        whole = results.attrs.get("content") == content and known == _digests(members)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return results if whole else None


def _digests(members: Sequence[StoredMember]) -> dict[str, str]:
    return {member.path.name: hashlib.sha256(member.path.read_bytes()).hexdigest() for member in members}
