"""TODO"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flylab.base.files import read_json
from flylab.evaluation.evaluation import FOLDER, SAME, as_json
from flylab.results.statistics import Interval, interval_text
from flylab.results.tables import Table
from flylab.studies import continuum

# ── the leaderboard ──────────────────────────────────────────────────────────────────────────────────────────────────


class Entry(NamedTuple):
    """A line of the leaderboard."""

    row: dict[str, Any]
    preset: str
    own: bool
    flags: tuple[str, ...]
    comparable: str
    """Equal for entries of one protocol, the number of seeds aside."""


def leaderboard(out: str | Path = "runs", by: str = "score") -> list[Entry]:
    """All models evaluated in a folder, and flylab's models, the highest first.

    Args:
        out: the folder of all runs.
        by: "score", or "accuracy" on plain data.

    Raises:
        ValueError: if `by` is neither, or an evaluation's file is damaged.
    """
    if by not in ("score", "accuracy"):
        raise ValueError(f"by={by!r} is not allowed: give score or accuracy")
    reference = continuum.load_reference()
    reference_protocol = _comparable(json.loads(reference.attrs["protocol"]))
    found = [
        Entry(as_json(row), str(reference.attrs["preset"]), False, (), reference_protocol)
        for row in continuum.rows(reference)
    ]
    for path in sorted(Path(out).glob(f"{FOLDER}/*/*/evaluation.json")):
        found.append(entry_of(path))

    return sorted(found, key=lambda entry: _rank(entry, by))


def entry_of(path: Path) -> Entry:
    """The line of an evaluation's file.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        one = read_json(path)
        entry = Entry(one["row"], one["preset"], True, tuple(one["flags"]), _comparable(one["protocol"]))
        leaderboard_table(sorted([entry], key=lambda one: _rank(one, "score") + _rank(one, "accuracy")))  # can it be?
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}): delete it, or evaluate again") from error
    return entry


def _rank(entry: Entry, by: str) -> float:
    value = entry.row["score" if by == "score" else "plain"]
    return -float(value["mean"]) if value and value["mean"] is not None else np.inf


def _comparable(protocol: dict[str, Any]) -> str:
    return json.dumps([protocol[name] for name in SAME], sort_keys=True)


def leaderboard_table(entries: Sequence[Entry]) -> Table:
    """The leaderboard as text; an asterisk marks the user's own models."""
    usual = next((entry.comparable for entry in entries if not entry.own), None)
    rows = []
    for i, entry in enumerate(entries):
        row = entry.row
        note = [*entry.flags, *(["another protocol"] if entry.comparable != usual else [])]
        texts = [
            interval_text(_interval(row[name]), 2 if name == "score" else 1) for name in ("score", "plain", "shuffled")
        ]
        rows.append((
            str(i + 1), row["title"] + (" *" if entry.own else ""), *texts, continuum.count(row["n_params"]),
            continuum.count(row["flops"]), f"{entry.preset}, {row['n_seeds']}", ", ".join(note),
        ))  # fmt: skip
    columns = ("", "model", "score", "plain (%)", "shuffled (%)", "parameters", "FLOPs/example", "preset, seeds", "")
    return Table("Leaderboard (* own models; mean ± half of the 95 % interval)", columns, rows)


def _interval(value: dict[str, Any] | None) -> Interval | None:
    if value is None:
        return None
    mean, low, high = (np.nan if value[name] is None else value[name] for name in ("mean", "low", "high"))
    return Interval(mean, low, high, value["n"])
