"""Where does *your* model stand on the continuum of spatial priors? The same protocol, seeds and data as flylab's."""

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from flylab.base import runtime
from flylab.base.config import override, plain, to_json
from flylab.base.files import write_atomic
from flylab.data import published
from flylab.evaluation.load import Contestant, contestant, load, own_code
from flylab.reporting import image
from flylab.results.statistics import Interval
from flylab.runs.provenance import origin
from flylab.runs.runner import Watcher, execute
from flylab.studies import continuum
from flylab.studies.continuum import Protocol, Row
from flylab.study.registry import get_study
from flylab.study.study import Study

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
        rows: the model, both references of the same run and, where their protocol is the same, flylab's models; the
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
    study = get_study("continuum")
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
    runtime.initialise()  # before the user's code starts JAX
    own, thing, digest = load(model) if isinstance(model, str) else (_name_of(model), model, None)
    name = name or own
    if name in continuum.MODELS or not re.fullmatch(r"\w[\w-]*", name):
        raise ValueError(
            f"the name {name!r} is not allowed ({', '.join(continuum.MODELS)} are flylab's): give another with "
            "--name, of letters, digits, - and _"
        )
    signals = published(protocol.data).train.x
    given = contestant(thing, name, signals, protocol.data.outputs, digest)
    continuum_study = get_study("continuum")
    with watcher() as bar:
        ends = execute(continuum_study, preset, protocol, out, force=force, watcher=bar).results
    with watcher() as bar:
        again = force or given.digest is None
        done = execute(_study(continuum_study, given), preset, protocol, out / FOLDER, force=again, watcher=bar)
    kept = [_kept(results) for results in (ends, done.results)]
    results = xr.concat(kept, "model", join="outer", combine_attrs="drop")
    rows = continuum.rows(results, titles={name: name})
    row = next(one for one in rows if one.model == name)
    others = _others(protocol)
    found = Evaluation(row, sorted([*rows, *others], key=continuum.by_score), flags(done.results), results, done.folder)
    _publish(found, preset, protocol, model if isinstance(model, str) else None)
    return found


def _name_of(model: Any) -> str:
    return getattr(model, "__name__", type(model).__name__)


def _study(base: Study, given: Contestant) -> Study:
    def learn(protocol, condition, seeds, *, key, artifacts=None, progress=None, resume=None):
        with own_code(f"{given.name}, in training,"):  # a dropout that needs a key, a batch that is too small, …
            return continuum.learn(given.learner, protocol, condition, seeds, key=key, progress=progress)

    return replace(
        base, name=given.name, conditions=lambda protocol: continuum.conditions_of(protocol, given.name), run=learn,
        input_digest=lambda protocol: lambda condition: given.digest, artifacts={},
    )  # fmt: skip


def _kept(results: xr.Dataset) -> xr.Dataset:
    found = continuum.condensed(results)
    return found.assign_coords(model=found.model.astype(object))


def _others(protocol: Protocol) -> list[Row]:
    """Flylab's rows as committed, if they were made under the same protocol."""
    reference = continuum.load_reference()
    theirs, ours = json.loads(reference.attrs["protocol"]), plain(protocol)
    if any(theirs[name] != ours[name] for name in SAME):
        return []
    return [row for row in continuum.rows(reference) if row.model not in continuum.ENDS]


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
    drawn = continuum.figure_of(found.rows, highlighted=found.row.model)
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
