"""Where does *your* model stand on the continuum of spatial priors? The same protocol, seeds and data as the zoo's."""

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from flylab import runtime, studies
from flylab.config import override, plain, to_json
from flylab.contestants import Contestant, contestant, load, own_code
from flylab.data import published
from flylab.files import read_json, write_atomic
from flylab.provenance import origin
from flylab.reporting import image
from flylab.stats import Interval
from flylab.studies import continuum
from flylab.studies.continuum import Protocol, Row
from flylab.study import Study, Table, Watcher, execute

FOLDER = "evaluations"
SAME = ("n_steps", "batch_size", "learning_rate", "fresh_data", "data")  # what makes two rows comparable
WEAK = 2.0  # times chance
FLAGS = {
    "diverged": "its loss or outputs were not finite at the end: try a lower --learning-rate",
    "constant": "it predicts one class for every example: it ignores its input, or has not learned",
    "memorises": "it fits the training set and is near chance on the test set: it memorises",
    "weak": "it is near chance on the test set: too weak to learn, it has nothing to lose by shuffling, and its score "
    "says nothing",
}


class Evaluation(NamedTuple):
    """A model among others.

    Attributes:
        row: what is known about the model.
        rows: the model, both references of the same run and, where their protocol is the same, flylab's zoo; the
            highest score first.
        flags: why the score may say nothing; names in `FLAGS`.
        results: accuracies of the model and both references, over `model`, `arrangement`, `n_train` and `seed`.
        folder: where figure and `evaluation.json` are.
    """

    row: Row
    rows: list[Row]
    flags: tuple[str, ...]
    results: xr.Dataset
    folder: Path


def protocol_of(preset: str = "quick", **changes: Any) -> Protocol:
    """The protocol of an evaluation: that of the study `continuum`, with fewer examples too.

    Raises:
        ValueError: for an unknown preset or field, or a value that is not allowed.
    """
    study = studies.find("continuum")
    if preset not in study.presets:
        raise ValueError(f"evaluate has no preset {preset!r}; it has {', '.join(study.presets)}")
    found: Any = replace(study.presets[preset], models=continuum.ENDS)
    if not found.train_sizes:
        found = replace(found, train_sizes=study.presets["paper"].train_sizes)
    if isinstance(n_train := getattr(changes.get("data"), "n_train", None), int) and "train_sizes" not in changes:
        changes["train_sizes"] = tuple(n for n in found.train_sizes if n < n_train)
    return override(found, **changes)


def evaluate(
    model: Any,
    name: str | None = None,
    preset: str = "quick",
    out: str | Path = "runs",
    force: bool = False,
    **changes: Any,
) -> Evaluation:
    """Train a model under the protocol of `architectures`, and place it between the MLP and the CNN.

    The model's code runs in this process.

    Args:
        model: a `flylab.Model` or a pair `(init, apply)`; a `torch.nn.Module` class; an Equinox module class whose
            `__init__` takes `key`; a scikit-learn classifier or pipeline; a function that makes one of these; or the
            place of any of them as text, `"my_model.py:Net"`, whose results are then found again.
        name: what to call it; by default its own name.
        preset: "smoke", "quick" or "paper".
        out: the folder of all runs.
        force: train the references again, too (a model that is not given by its place always is trained).
        changes: fields of the protocol, e.g. `n_seeds=3`.

    Raises:
        ValueError: if the model is none of these or does not fit, with what to do; for bad arguments.
        OSError: if `out` cannot be written.

    >>> from sklearn.naive_bayes import GaussianNB
    >>> evaluate(GaussianNB(), preset="quick", n_seeds=3).row.score  # doctest: +SKIP
    """
    return run(model, name, preset, protocol_of(preset, **changes), Path(out), force=force)


def run(
    model: Any,
    name: str | None,
    preset: str,
    protocol: Protocol,
    out: Path,
    *,
    force: bool = False,
    watcher: Callable[[], contextlib.AbstractContextManager[Watcher | None]] = contextlib.nullcontext,
) -> Evaluation:
    """`evaluate` under a protocol; `watcher` makes what is told of progress: the references' first, then its own."""
    runtime.devices()  # before the user's code starts JAX
    own, thing, digest = load(model) if isinstance(model, str) else (_name_of(model), model, None)
    name = name or own
    if name in continuum.TITLES or not re.fullmatch(r"\w[\w-]*", name):
        raise ValueError(
            f"the name {name!r} is not allowed ({', '.join(continuum.TITLES)} are the zoo's): give another with "
            "--name, of letters, digits, - and _"
        )
    signals = published(protocol.data).train.x
    given = contestant(thing, name, signals, protocol.data.outputs, digest)
    zoo = studies.find("continuum")
    with watcher() as bar:
        ends = execute(zoo, preset, protocol, out, force=force, watcher=bar).results
    with watcher() as bar:
        again = force or given.digest is None
        done = execute(_study(zoo, given), preset, protocol, out / FOLDER, force=again, watcher=bar)
    kept = [_kept(results) for results in (ends, done.results)]
    results = xr.concat(kept, "model", join="outer", combine_attrs="drop")
    rows = continuum.rows(results, titles=continuum.TITLES | {name: name})
    row = next(one for one in rows if one.model == name)
    others = _others(protocol)
    found = Evaluation(row, sorted([*rows, *others], key=continuum.by_score), flags(done.results), results, done.folder)
    _publish(found, preset, protocol, model if isinstance(model, str) else None)
    return found


def _name_of(model: Any) -> str:
    return getattr(model, "__name__", type(model).__name__)


def _study(zoo: Study, given: Contestant) -> Study:
    def learn(protocol, cell, seeds, *, key, inputs=None, progress=None, checkpoint=None):
        with own_code(f"{given.name}, in training,"):  # a dropout that needs a key, a batch that is too small, …
            return continuum.learn(given.learner, protocol, cell, seeds, key=key, progress=progress)

    return replace(
        zoo, name=given.name, cells=lambda protocol: continuum.cells_of(protocol, given.name), run=learn,
        reads=lambda protocol: lambda cell: given.digest, inputs={},
    )  # fmt: skip


def _kept(results: xr.Dataset) -> xr.Dataset:
    found = continuum.condensed(results)
    return found.assign_coords(model=found.model.astype(object))


def _others(protocol: Protocol) -> list[Row]:
    """The zoo's rows as committed, if they were made under the same protocol."""
    zoo = continuum.load_zoo()
    theirs, ours = json.loads(zoo.attrs["protocol"]), plain(protocol)
    if any(theirs[name] != ours[name] for name in SAME):
        return []
    return [row for row in continuum.rows(zoo) if row.model not in continuum.ENDS]


def flags(results: xr.Dataset) -> tuple[str, ...]:
    """What makes a model's score meaningless, by its own results: names in `FLAGS`."""
    plain_ = results.sel(arrangement="plain", n_train=results.n_train.max(), step=results.step.max()).squeeze("model")
    n_classes = int(results.label.where(results.label != 255).max()) + 1
    chance = 100 / n_classes
    losses = [plain_[name].values for name in plain_.data_vars if str(name).endswith("_loss")]
    found = []
    if any(not np.isfinite(values).all() for values in losses):
        found.append("diverged")
    prediction = plain_.prediction.transpose("seed", "example").values
    if (prediction == prediction[:, :1]).all():
        found.append("constant")
    elif float(plain_.test_accuracy.mean()) < WEAK * chance:
        found.append("memorises" if float(plain_.train_accuracy.mean()) > 90 else "weak")
    return tuple(found)


def _publish(found: Evaluation, preset: str, protocol: Protocol, place: str | None) -> None:
    drawn = continuum.drawn(found.rows, highlighted=found.row.model)
    for kind in ("png", "svg"):
        write_atomic(found.folder / f"figure.{kind}", image(drawn, kind))
    content = {
        "name": found.row.model, "place": place, "preset": preset, "flags": list(found.flags),
        "row": as_json(found.row), "protocol": json.loads(to_json(protocol)), "origin": origin(),
    }  # fmt: skip
    write_atomic(found.folder / "evaluation.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def as_json(row: Row) -> dict[str, Any]:
    """A row as what JSON knows."""

    def known(value: Any) -> Any:
        if isinstance(value, Interval):
            return {name: known(part) for name, part in value._asdict().items()}
        if isinstance(value, dict):
            return {str(name): known(part) for name, part in value.items()}
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return {name: known(value) for name, value in row._asdict().items()}


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
    """All models evaluated in a folder, and flylab's zoo, the highest first.

    Args:
        out: the folder of all runs.
        by: "score", or "accuracy" on plain data.

    Raises:
        ValueError: if `by` is neither, or an evaluation's file is damaged.
    """
    if by not in ("score", "accuracy"):
        raise ValueError(f"by={by!r} is not allowed: give score or accuracy")
    zoo = continuum.load_zoo()
    of_zoo = _comparable(json.loads(zoo.attrs["protocol"]))
    found = [Entry(as_json(row), str(zoo.attrs["preset"]), False, (), of_zoo) for row in continuum.rows(zoo)]
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
            continuum.text(_interval(row[name]), 2 if name == "score" else 1) for name in ("score", "plain", "shuffled")
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
