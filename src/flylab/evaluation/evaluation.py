"""Evaluation of a user's model: its place on the continuum of spatial priors, by flylab's protocol, seeds and data."""

import contextlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from flylab.base import runtime
from flylab.base.config import override, plain, to_json
from flylab.base.constraints import refusal
from flylab.base.files import user_path, write_atomic
from flylab.base.loaded import note_beside
from flylab.base.usercode import user_code
from flylab.data import fresh, published, shared
from flylab.evaluation.load import user_model
from flylab.evaluation.study import study_of
from flylab.reporting import image, run_and_publish
from flylab.reporting.figures import bands_of, finish
from flylab.results.statistics import Interval
from flylab.results.styles import STYLES
from flylab.runs.assembly import missing
from flylab.runs.loading import load
from flylab.runs.plan import KEY, plan_of_study
from flylab.runs.provenance import origin
from flylab.runs.runner import Watcher, execute
from flylab.runs.runner import run as run_plan
from flylab.runs.slots import filled
from flylab.studies import continuum
from flylab.studies.continuum import Protocol, Row
from flylab.study.registry import finding_neighbours, get_study
from flylab.study.study import protocol_of as study_protocol
from flylab.training.learners import Fitted, Learner

FOLDER = "evaluations"
SAME = ("n_steps", "batch_size", "learning_rate", "fresh_data", "data")  # fields that make two rows comparable
TRAIN_SIZES = (500, 1000, 2000)  # smaller training sets, beside the whole one
WEAK = 2.0  # times chance
CONTESTS = {  # kinds of what users bring → the study that compares them, and its slot
    "optimizer": ("optimizers", "optimizer"), "train_fn": ("optimizers", "optimizer"), "loss": ("losses", "loss"),
    "regulariser": ("regularisers", "regulariser"), "activation": ("activations", "activation"),
}  # fmt: skip
FLAGS = {
    "diverged": "its loss or outputs were not finite at the end: try a lower --learning-rate",
    "constant": "it predicts one class for every example: it ignores its input, or has not learned",
    "memorises": "it fits the training set and is near chance on the test set: it memorises",
    "weak": "it is near chance on the test set: too weak to learn, it has nothing to lose by shuffling, and its score "
    "says nothing",
}


class Evaluation(NamedTuple):
    """The evaluation of a model.

    Attributes:
        row: the model's results.
        rows: the rows of the model, of both references of the same run and, if they were trained under the same
            protocol, of flylab's models; the highest score first.
        flags: reasons why the score may say nothing; names in `FLAGS`.
        results: accuracies of the model and both references, over `model`, `arrangement`, `n_train` and `seed`.
        folder: the folder of the figure and `evaluation.json`.
        learner: the model as it is trained.
        protocol: the protocol.
    """

    row: Row
    rows: list[Row]
    flags: tuple[str, ...]
    results: xr.Dataset
    folder: Path
    learner: Learner
    protocol: Protocol

    def fit(self, seeds: Sequence[int] = (0,)) -> Fitted:
        """Train the model again as it was on plain data, since runs keep no parameters: for its `models` and `predict`.

        Args:
            seeds: the seeds; the same ones give the same networks.

        Raises:
            ValueError: if the model fails in training.
        """
        protocol, config = self.protocol, self.protocol.data
        data = fresh(config) if protocol.fresh_data else shared(config)
        with user_code(f"{self.row.model}, in training,"):
            return self.learner.fit(data, protocol.plan, protocol.learning_rate, [*seeds], key=jax.random.key(KEY))


def protocol_of(preset: str = "quick", **changes: Any) -> Protocol:
    """Return the protocol of an evaluation: that of the study `continuum`, with smaller training sets, too.

    Raises:
        ValueError: for an unknown preset or field, or an invalid value.
    """
    study = get_study("continuum")
    protocol: Protocol = replace(study_protocol(study, preset), models=continuum.ENDS)
    if not protocol.train_sizes:
        protocol = replace(protocol, train_sizes=TRAIN_SIZES)
    if isinstance(n_train := getattr(changes.get("data"), "n_train", None), int) and "train_sizes" not in changes:
        changes["train_sizes"] = tuple(n for n in protocol.train_sizes if n < n_train)
    return override(protocol, **changes)


def evaluate(
    model: Any,
    name: str | None = None,
    preset: str = "quick",
    out: str | Path = "runs",
    force: bool = False,
    kind: str = "model",
    **changes: Any,
) -> Any:
    """Train a model under the protocol of `architectures`, and place it between the MLP and the CNN.

    What is of another kind competes with flylab's own of its kind, each tuned by equally many trials; see the studies
    `optimizers`, `losses`, `regularisers` and `activations`. The user's code runs in this process.

    Args:
        model: a `flylab.Model` or a pair `(init, apply)`; a `torch.nn.Module` class; an Equinox module class whose
            `__init__` takes `key`; a scikit-learn classifier or pipeline; a function that returns one of these; or the
            place of any of them as text, such as `"my_model.py:Net"`. Results of a model given by its place are reused.
        name: the model's name in the results; by default its own name, as it always is of other kinds.
        preset: "smoke", "quick" or "paper".
        out: the folder of all runs.
        force: train the references again, too; a model that is not given by its place is always trained.
        kind: what is given: "model", "optimizer", "train_fn", "loss", "regulariser" or "activation". The studies'
            `SLOTS` say which functions these are.
        **changes: fields of the protocol, e.g. `n_seeds=3`.

    Returns:
        An `Evaluation`; of another kind than a model, the results of its study.

    Raises:
        ValueError: if the model has none of these forms or does not fit, or an argument is invalid.
        OSError: if `out` cannot be written.

    >>> from sklearn.naive_bayes import GaussianNB
    >>> evaluate(GaussianNB(), preset="quick", n_seeds=3).row.score  # doctest: +SKIP
    """
    if kind == "model":
        return run(model, name, preset, protocol_of(preset, **changes), user_path(out), force=force)
    if kind not in CONTESTS:
        raise refusal("kind", kind, f"one of model, {', '.join(CONTESTS)}")
    if name is not None:
        raise refusal("name", name, f"None: {kind}s are named as they are defined")
    name_of_study, slot = CONTESTS[kind]
    study = filled(get_study(name_of_study), {slot: model})
    plan = plan_of_study(study, preset, study_protocol(study, preset, **changes))
    return run_and_publish(plan, user_path(out), force=force).results


@runtime.pinned()
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
    """Evaluate like `evaluate`, under a protocol; `watcher` makes the watchers of the references and of the model."""
    runtime.initialise()  # before the user's code starts JAX
    file = Path(model.rpartition(":")[0]) if isinstance(model, str) else None
    with contextlib.nullcontext() if file is None or file.suffix != ".py" else finding_neighbours(file):
        return _run(model, name, preset, protocol, out, force, watcher)


def _run(
    model: Any, name: str | None, preset: str, protocol: Protocol, out: Path, force: bool, watcher: Callable[[], Any]
) -> Evaluation:
    place = model if isinstance(model, str) else None
    loaded, digest = model, None
    default = str(getattr(model, "__name__", type(model).__name__))
    if place is not None:
        default, loaded, digest = load(place)
    name = name or default
    if name in continuum.MODELS or not re.fullmatch(r"\w[\w-]*", name):
        taken = ", ".join(continuum.MODELS)
        raise refusal("name", name, f"letters, digits, - and _, but none of flylab's own models: {taken}; use --name")
    learnable = user_model(loaded, name, published(protocol.data).train.x, protocol.data.outputs, digest)
    if place is not None:
        note_beside(Path(place.rpartition(":")[0]))  # modules that it has imported as it was made
    study = get_study("continuum")
    with watcher() as bar:
        references = execute(study, preset, protocol, out, force=force, watcher=bar).results
    with watcher() as bar:
        plan = plan_of_study(study_of(study, learnable), preset, protocol)
        plan = replace(plan, folder=f"{FOLDER}/{plan.folder}", is_reusable=learnable.digest is not None)
        finished = run_plan(plan, out, force=force, watcher=bar)
    condensed = [continuum.condensed(results) for results in (references, finished.results)]
    condensed = [results.assign_coords(model=results.model.astype(object)) for results in condensed]
    results = xr.concat(condensed, "model", join="outer", combine_attrs="drop")
    rows = continuum.rows(results, titles={name: name})
    row = next(row for row in rows if row.model == name)
    rows = sorted([*rows, *_others(protocol)], key=continuum.by_score)
    evaluation = Evaluation(row, rows, flags(finished.results), results, finished.folder, learnable.learner,
                            protocol)  # fmt: skip
    _publish(evaluation, preset, protocol, place, finished.results.checksum)
    return evaluation


def _others(protocol: Protocol) -> list[Row]:
    """Return the committed rows of flylab's models, if they were trained under the same protocol."""
    reference = continuum.load_reference()
    theirs, ours = json.loads(reference.attrs["protocol"]), plain(protocol)
    if any(theirs[name] != ours[name] for name in SAME):
        return []
    return [row for row in continuum.rows(reference) if row.model not in continuum.ENDS]


def flags(results: xr.Dataset) -> tuple[str, ...]:
    """Return the reasons, by a model's own results, why its score may say nothing; names in `FLAGS`."""
    last = results.sel(arrangement="plain", n_train=results.n_train.max(), step=results.step.max()).squeeze("model")
    n_classes = int(results.label.where(results.label != missing(results.label.dtype)).max()) + 1
    names = []
    if not all(np.isfinite(last[name]).all() for name in last.data_vars if str(name).endswith("_loss")):
        names.append("diverged")
    prediction = last.prediction.transpose("seed", "example").values
    if (prediction == prediction[:, :1]).all():
        names.append("constant")
    elif float(last.test_accuracy.mean()) < WEAK * 100 / n_classes:
        names.append("memorises" if float(last.train_accuracy.mean()) > 90 else "weak")
    return tuple(names)


def _publish(evaluation: Evaluation, preset: str, protocol: Protocol, place: str | None, checksum: str) -> None:
    row, folder = evaluation.row, evaluation.folder
    figure = continuum.figure_of(evaluation.rows, highlighted=row.model)
    finish(figure, STYLES["web"], f"{row.model}, preset {preset}, {bands_of(row.plain.n)}")
    for kind in ("png", "svg"):
        write_atomic(folder / f"figure.{kind}", image(figure, kind, checksum))
    content = {
        "name": row.model, "place": place, "preset": preset, "flags": list(evaluation.flags),
        "row": as_json(row), "results": checksum, "protocol": json.loads(to_json(protocol)), "origin": origin(),
    }  # fmt: skip
    write_atomic(folder / "evaluation.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def as_json(row: Row) -> dict[str, Any]:
    """Return a row as JSON has it; numbers that are not finite become None."""

    def converted(value: Any) -> Any:
        if isinstance(value, Interval):
            value = value._asdict()
        if isinstance(value, dict):
            return {str(name): converted(part) for name, part in value.items()}
        return None if isinstance(value, float) and not np.isfinite(value) else value

    return converted(row._asdict())
