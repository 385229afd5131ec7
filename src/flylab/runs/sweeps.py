"""Sweeps: grids or random samples over fields of a study's protocol and parameters of its data."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from flylab.base.config import flat_fields, override_flat, plain
from flylab.base.constraints import Checked, bases, check
from flylab.base.files import read_bytes
from flylab.runs.grid import Axis, Grid, axis, parse_filter
from flylab.runs.plan import DIMENSIONS, Place, RunPlan
from flylab.study.protocol import NSeeds
from flylab.study.registry import get_study, require_known
from flylab.study.study import Condition, protocol_of

DECLARED = ("study", "preset", "n_seeds", "name", "axes", "fixed", "filter", "samples", "sample_seed", "metrics")
SWEEPS = "sweeps"  # the folder of all sweeps, beside the studies' folders
FOLDER = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"


@dataclass(frozen=True)
class Sweep(Checked):
    """A grid, or random samples, of a study's protocols.

    Attributes:
        study: the study's name, "train" is plain training; or its file, such as "my_study.py".
        axes: a list of values, or what `grid.axis` takes, by the name of a protocol's field or of a parameter of its
            data.
        preset: the protocol to start from.
        fixed: values of other fields.
        n_seeds: repetitions of each condition; by default the preset's.
        filter: expression that is true for the conditions to keep, e.g. `"width * learning_rate < 1"`.
        samples: number of random samples, if axes are drawn.
        sample_seed: seed of the samples.
        metrics: variables to keep; by default all that are not over test examples.
        name: name of the folder of results under `out/sweeps`.

    Raises:
        ValueError: naming the field or axis, its value and what is allowed, before anything is trained; an unknown
            metric after the first members, which tell the names.

    `flylab.run(sweep)` trains it.

    >>> sweep = Sweep("train", {"learning_rate": [1e-3, 1e-2], "iid_noise_scale": [0.0, 0.1]}, n_seeds=3)
    >>> sweep.n_members
    12
    """

    study: str
    axes: Mapping[str, Any]
    preset: str = "quick"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    n_seeds: NSeeds | None = None
    filter: str = ""
    samples: Annotated[int, Meta(ge=0, le=10**7)] = 0
    sample_seed: Annotated[int, Meta(ge=0)] = 0
    metrics: tuple[str, ...] = ()
    name: Annotated[str, Meta(pattern=FOLDER, description="letters, digits and . _ - (it names a folder)")] = "sweep"

    def __post_init__(self) -> None:
        super().__post_init__()
        base, grid = self.base, self.grid  # these refuse what is unknown
        known = flat_fields(base)
        for name, values, _ in grid.fixed_axes:
            for value in values:
                check(name, value, known[name][1])
                if len(grid.axes) == 1:  # beside other axes a value may fit that does not fit alone
                    override_flat(base, {name: value})

    @property
    def base(self) -> Any:
        """The protocol that all conditions start from."""
        study = get_study(self.study)
        seeds = {} if self.n_seeds is None else {"n_seeds": self.n_seeds}
        if "n_seeds" in (*self.axes, *self.fixed):
            raise ValueError("n_seeds is no axis and not fixed: give the sweep's own n_seeds")
        if both := [name for name in self.axes if name in self.fixed]:
            raise ValueError(f"{both[0]} is an axis and fixed; give one of the two")
        return override_flat(protocol_of(study, self.preset), {**self.fixed, **seeds})

    @property
    def grid(self) -> Grid:
        """The conditions of the sweep."""
        known = flat_fields(self.base)
        axes: list[Axis] = []
        for name, spec in self.axes.items():
            if name not in known:
                raise ValueError(f"axis {name!r} is not a field of {self.study}'s protocol; it has {', '.join(known)}")
            axes.append(axis(name, spec, whole=int in bases(known[name][1])))
        if taken := [axis.name for axis in axes if axis.name in (*DIMENSIONS, "sample")]:
            raise ValueError(f"{taken[0]} cannot be an axis: results have a dimension of this name")
        if not axes:
            raise ValueError("a sweep needs axes, e.g. [axes] learning_rate = [0.001, 0.01]")
        drawn = any(axis.draw for axis in axes)
        if drawn != bool(self.samples):
            raise ValueError("axes that are drawn need samples = 100, say" if drawn else "samples: no axis is drawn")
        is_kept = parse_filter(self.filter, [*self.axes]) if self.filter else lambda condition: True
        grid = Grid(tuple(axes), self.samples, self.sample_seed, is_kept)
        if grid.size * self.base.n_seeds > 10**8:
            raise ValueError(f"the sweep has {grid.size * self.base.n_seeds} members; the most are {10**8}")
        return grid

    @property
    def n_members(self) -> int:
        """Number of members: one per condition of the sweep, condition of the study and seed."""
        return sum(len(group.names) for group in plan_of_sweep(self).groups())


def from_toml(path: Path) -> Sweep:
    """Return the sweep that a TOML file declares, by default under the file's name.

    A study's file is found from the folder of the TOML file.

    Raises:
        OSError, ValueError: if the file cannot be read, or declares no sweep.
    """
    try:
        declared = tomllib.loads(read_bytes(path).decode())
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}; give a TOML file that declares a sweep") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from None
    if unknown := [name for name in declared if name not in DECLARED]:
        raise ValueError(f"{path}: {unknown[0]} is not known in a sweep; it has {', '.join(DECLARED)}")
    if missing := [name for name in ("study", "axes") if name not in declared]:
        raise ValueError(f"{path}: {missing[0]} is missing")
    if str(declared["study"]).endswith(".py"):
        declared["study"] = os.path.abspath(path.parent / declared["study"])
        require_known(declared["study"])  # a sweep's file alone must not make code run
    try:
        return Sweep(**{"name": path.stem, **declared})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def plan_of_sweep(sweep: Sweep) -> RunPlan:
    """Return the plan of a sweep.

    Raises:
        ValueError: if the study refuses the sweep's preset or a field.
    """
    base, grid, study = sweep.base, sweep.grid, get_study(sweep.study)

    def protocols() -> Iterator[tuple[Place, Any]]:
        return ((place, override_flat(base, values)) for place, values in grid.conditions())

    declared = {name: getattr(sweep, name) for name in sorted(DECLARED)}
    declared = {name: dict(value) if isinstance(value, Mapping) else value for name, value in declared.items()}
    # not sorted: the order of the axes is that of the results
    text = json.dumps(plain(declared), separators=(",", ":"), ensure_ascii=False)
    coords = {name: ("sample", values) for name, values in _by_name(grid.sampled()).items()}
    attrs = {"sweep": text, "study": study.name, "preset": sweep.preset, **study.origin}
    folder = f"{SWEEPS}/{sweep.name}"
    return RunPlan(study, folder, protocols, text, attrs, sweep.metrics, coords)


def _by_name(samples: Sequence[Condition]) -> dict[str, list]:
    return {name: [sample[name] for sample in samples] for name in samples[0]} if samples else {}
