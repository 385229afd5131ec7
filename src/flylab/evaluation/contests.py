"""The leaderboards of optimisers, losses, regularisers and activations: contests of a folder under one protocol."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from flylab.base.constraints import refusal
from flylab.base.files import read_json, user_path
from flylab.evaluation.evaluation import CONTESTS
from flylab.reporting.finished import load, runs_in
from flylab.results.tables import Table
from flylab.study.registry import get_study

N_SEEDS = "n_seeds"


def contest_leaderboards(out: str | Path = "runs", kind: str = "optimizer") -> list[Table]:
    """Return a leaderboard for each protocol under which runs in a folder compared what users brought.

    Contestants of several runs are ranked together, on the seeds that all runs have, since a seed's data, initial
    weights and batches are the same in each. Of contestants with one name the run that ended last counts.

    Args:
        out: the folder of all runs.
        kind: what competed, a name in `CONTESTS`.

    Returns:
        The tables; those of the most contestants first.

    Raises:
        ValueError: if `kind` is unknown. A run that is damaged is left out, with a warning.
    """
    if kind not in CONTESTS:
        raise refusal("kind", kind, f"one of {', '.join(CONTESTS)}")
    name, axis = CONTESTS[kind]
    study = get_study(name)
    by_protocol: dict[str, list[xr.Dataset]] = {}
    folders = runs_in(user_path(out) / name) if (user_path(out) / name).exists() else []
    for folder in sorted(folders, key=_finished, reverse=True):
        try:
            results = load(folder)
            protocol = json.loads(results.attrs["protocol"])
        except (ValueError, KeyError, OSError) as error:
            warnings.warn(str(error), stacklevel=2)
            continue
        comparable = {field: value for field, value in protocol.items() if field not in (N_SEEDS, name)}
        by_protocol.setdefault(json.dumps(comparable, sort_keys=True), []).append(results)
    merged = [_merged(runs, axis, {*study.slots[axis].taken}) for runs in by_protocol.values()]
    return [study.table(results) for results in sorted(merged, key=lambda results: -results.sizes[axis])]


def _finished(folder: Path) -> str:
    try:
        return str(read_json(folder / "provenance.json")["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _merged(runs: Sequence[xr.Dataset], axis: str, taken: set[str]) -> xr.Dataset:
    """Return the contestants of several runs, the first one's first, on the seeds that all have; warn of what is lost.

    Names in `taken` are flylab's own, which all runs share.
    """
    seeds = [seed for seed in runs[0].seed.values.tolist() if all(seed in run.seed for run in runs)]
    if dropped := sorted({seed for run in runs for seed in run.seed.values.tolist()} - {*seeds}):
        few = f"not all runs of this protocol have them: {len(seeds)} remain"
        warnings.warn(f"{len(dropped)} seeds are left out, since {few}", stacklevel=3)
    parts: list[xr.Dataset] = []
    known: set[str] = set()
    for run in runs:
        if repeated := sorted(known & {*run[axis].values.tolist()} - taken):
            warnings.warn(f"in several runs, of which the last counts: {', '.join(repeated)}", stacklevel=3)
        new = [label for label in run[axis].values.tolist() if label not in known]
        known.update(new)
        if new and seeds:
            parts.append(run.sel({axis: new}).sel(seed=seeds))
    return xr.concat(parts or runs[:1], axis, join="outer", combine_attrs="override")
