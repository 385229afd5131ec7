"""The leaderboard: the models evaluated in a folder, ranked among flylab's own."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flylab.base.constraints import refusal
from flylab.base.files import read_json, user_path
from flylab.evaluation.evaluation import FOLDER, SAME, as_json
from flylab.results.statistics import Interval, interval_text
from flylab.results.tables import Table
from flylab.studies import continuum

ORDERS = {"score": "score", "accuracy": "plain"}  # names of orders → fields of a row


class Entry(NamedTuple):
    """A line of the leaderboard.

    Attributes:
        row: the model's results, as `evaluation.as_json` writes them.
        preset: the preset of the protocol.
        own: whether the model is the user's own.
        flags: names in `evaluation.FLAGS`.
        comparable: the protocol without its number of seeds; entries with equal ones are comparable.
    """

    row: dict[str, Any]
    preset: str
    own: bool
    flags: tuple[str, ...]
    comparable: str


def leaderboard(out: str | Path = "runs", by: str = "score") -> list[Entry]:
    """Return all models evaluated in a folder and flylab's models, the highest first.

    Args:
        out: the folder of all runs.
        by: "score", or "accuracy" on plain data.

    Raises:
        ValueError: if `by` is neither. An evaluation whose file is damaged is left out, with a warning.
    """
    if by not in ORDERS:
        raise refusal("by", by, f"one of {', '.join(ORDERS)}")
    reference = continuum.load_reference()
    comparable = _comparable(json.loads(reference.attrs["protocol"]))
    preset, rows = str(reference.attrs["preset"]), map(as_json, continuum.rows(reference))
    entries = [Entry(row, preset, False, (), comparable) for row in rows]
    for path in sorted(user_path(out).glob(f"{FOLDER}/*/*/evaluation.json")):
        try:
            entries.append(entry_of(path))
        except (ValueError, OSError) as error:
            warnings.warn(str(error), stacklevel=2)
    return sorted(entries, key=lambda entry: _rank(entry, by))


def entry_of(path: Path) -> Entry:
    """Return the line of an evaluation's file.

    Raises:
        ValueError: if the file is damaged.
    """
    try:
        content = read_json(path)
        flags = tuple(content["flags"])
        entry = Entry(content["row"], content["preset"], True, flags, _comparable(content["protocol"]))
        leaderboard_table([entry])  # both raise what the leaderboard would raise
        sum(_rank(entry, by) for by in ORDERS)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}): delete it, or evaluate again") from error
    return entry


def _rank(entry: Entry, by: str) -> float:
    value = entry.row[ORDERS[by]]
    return -float(value["mean"]) if value and value["mean"] is not None else np.inf


def _comparable(protocol: dict[str, Any]) -> str:
    return json.dumps([protocol[name] for name in SAME], sort_keys=True)


def leaderboard_table(entries: Sequence[Entry]) -> Table:
    """Return the leaderboard as text; an asterisk marks the user's own models."""
    usual = next((entry.comparable for entry in entries if not entry.own), None)
    rows = []
    for i, entry in enumerate(entries):
        row = entry.row
        note = [*entry.flags, *(["another protocol"] if entry.comparable != usual else [])]
        intervals = [interval_text(_interval(row[name]), 2 if name == "score" else 1)
                     for name in ("score", "plain", "shuffled")]  # fmt: skip
        rows.append((
            str(i + 1), row["title"] + (" *" if entry.own else ""), *intervals, continuum.count(row["n_params"]),
            continuum.count(row["flops"]), f"{entry.preset}, {row['n_seeds']}", ", ".join(note),
        ))  # fmt: skip
    columns = ("", "model", "score", "plain (%)", "shuffled (%)", "parameters", "FLOPs/example", "preset, seeds", "")
    return Table("Leaderboard (* own models; mean ± half of the 95 % interval)", columns, rows)


def _interval(value: dict[str, Any] | None) -> Interval | None:
    if value is None:
        return None
    mean, low, high = (np.nan if value[name] is None else value[name] for name in ("mean", "low", "high"))
    return Interval(mean, low, high, value["n"])
