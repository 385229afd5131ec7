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
from flylab.study.study import Cell, Study, _preset_of

SWEEPS = "sweeps"  # the folder of all sweeps, beside those of the studies
GROUP_SECONDS = 2.0  # what a crash may cost: seeds are saved in groups of about this long


class Watcher(Protocol):
    """Told how a run goes; the command line shows a progress bar."""

    def begin(self, n_members: int, n_steps: int) -> None:
        """So many members are to be trained, so many steps in all."""

    def cell(self, cell: Cell) -> None:
        """Members of this cell are next."""

    def steps(self, n_steps: int) -> None:
        """More steps are done."""

    def saved(self, n_members: int) -> None:
        """More members are finished and on disk."""


class Shard(NamedTuple):
    """The unit of work, of storage and of resuming: one cell and one seed."""

    cell: Cell
    seed: int
    path: Path

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands among the results."""
        return {**self.cell, "seed": self.seed}


class Checkpoint:
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

    Shards are named by the hash of all that determines them: protocol, cell, seed, code, versions, inputs. So the same
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
        ValueError: for an unknown preset, or a protocol without cells.
    """
    begun = time.time()
    runtime.devices()  # before anything else starts JAX
    _preset_of(study, preset)  # it names a folder
    run_name = f"{preset}-{_hash(study, protocol)}"
    folder = out / study.name / run_name
    shards = plan(study, protocol, folder)  # first: it may refuse
    if not shards:
        raise ValueError(f"this protocol of {study.name} trains nothing: one of its lists is empty")
    files.writable(folder / "shards")
    for place in (folder, folder / "shards"):
        files.remove_leftovers(place)
    content = hashlib.sha256("".join(shard.path.name for shard in shards).encode()).hexdigest()[:12]
    if not force and (results := _finished(folder, content, shards)) is not None:
        return Run(folder, results, 0)
    have, missing = _sift(shards, force)
    for shard in missing if force else ():
        _checkpoint([shard]).forget(shard.seed)
    if watcher is not None:
        watcher.begin(len(missing), sum(study.work(protocol, shard.cell) for shard in missing))
    for shard, data in _train(study, protocol, missing, watcher):
        have[shard.path] = data
    parts = ((shard.place, have[shard.path]) for shard in shards)
    results = assemble(parts, (shard.place for shard in shards))
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
    provenance = origin() | made | {"shards": _digests(shards)}
    files.write_atomic(folder / "provenance.json", json.dumps(provenance, indent=2))
    return Run(folder, results, len(missing))


def plan(study: Study, protocol: Any, folder: Path) -> list[Shard]:
    """The shards of a protocol, and the files that hold them."""
    naming = Naming(study)
    return [
        Shard(cell, seed, folder / "shards" / f"{naming.name(base, seed)}.nc")
        for cell, base in naming.cells(protocol)
        for seed in range(protocol.n_seeds)
    ]


class Naming:
    """The names of shards: the hash of what determines one. What many share is computed once.

    Args:
        study: whose shards.
        more: what else determines them.
    """

    def __init__(self, study: Study, more: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._study = study
        inputs = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in study.inputs.items()}
        self._common = {"versions": versions(), "inputs": inputs, **more}
        self._code: dict[str, str] = {}

    def cells(self, protocol: Any) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """Each cell of a protocol, and what determines it but the seed."""
        read_by, hashed = self._study.reads(protocol), _hash(self._study, protocol)
        for cell in self._study.cells(protocol):
            picked = to_json({name: value for name, value in cell.items() if isinstance(value, str)})
            if picked not in self._code:  # only text in a cell picks code
                self._code[picked] = code_fingerprint(self._study.run, cell)
            base = {**self._common, "protocol": hashed, "cell": dict(cell), "code": self._code[picked]}
            if (read := read_by(cell)) is not None:
                base["read"] = read
            yield cell, base

    def name(self, base: Mapping[str, Any], seed: int) -> str:
        """Of the shard of one seed."""
        return fingerprint({**base, "seed": seed}, 24)


def _hash(study: Study, protocol: Any) -> str:
    """Of every protocol field, defaults included, but the number of seeds."""
    return fingerprint({"study": study.name, **{k: v for k, v in plain(protocol).items() if k != "n_seeds"}})


def _sift(shards: Iterable[Shard], force: bool) -> tuple[dict[Path, xr.Dataset], list[Shard]]:
    have, missing = {}, []
    for shard in shards:
        try:
            if force:
                raise FileNotFoundError
            have[shard.path] = netcdf.open_checked(shard.path)
        except FileNotFoundError:
            missing.append(shard)
        except netcdf.CorruptedError as error:
            warnings.warn(f"{error}: training it again", stacklevel=3)
            missing.append(shard)
    return have, missing


def _train(study: Study, protocol: Any, missing: Sequence[Shard], watcher: Watcher | None):
    """Train the missing seeds of each cell, some at a time, saving each group as it is finished."""
    key = jax.random.key(0)
    inputs = dict(study.inputs)
    cells = {to_json(dict(shard.cell)): shard.cell for shard in missing}
    for text, cell in cells.items():
        left = [shard for shard in missing if to_json(dict(shard.cell)) == text]
        if watcher is not None:
            watcher.cell(cell)
        n = n_devices = len(runtime.devices())
        while left:
            group, left = left[:n], left[n:]
            begun = time.perf_counter()
            seeds = [shard.seed for shard in group]
            progress = watcher.steps if watcher is not None else None
            checkpoint = _checkpoint(group)
            results = study.run(protocol, cell, seeds, key=key, inputs=inputs, progress=progress, checkpoint=checkpoint)
            for shard in group:
                one = results.sel(seed=[shard.seed])
                netcdf.save(shard.path, one)
                checkpoint.forget(shard.seed)
                yield shard, one
            if watcher is not None:
                watcher.saved(len(group))
            if time.perf_counter() - begun < GROUP_SECONDS / 2:
                n = max(2 * n // n_devices, 1) * n_devices


def _checkpoint(group: Sequence[Shard]) -> Checkpoint:
    return Checkpoint({shard.seed: shard.path.parents[1] / "partial" / shard.path.name for shard in group})


def _finished(folder: Path, content: str, shards: Sequence[Shard]) -> xr.Dataset | None:
    """The assembled results, if they are of just these shards and no file has changed since: the quick answer."""
    try:
        results = netcdf.open_checked(folder / "results.nc")
        known = files.read_json(folder / "provenance.json")["shards"]
        whole = results.attrs.get("content") == content and known == _digests(shards)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return results if whole else None


def _digests(shards: Sequence[Shard]) -> dict[str, str]:
    return {shard.path.name: hashlib.sha256(shard.path.read_bytes()).hexdigest() for shard in shards}
