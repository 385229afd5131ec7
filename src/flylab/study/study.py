"""`Study`: a question, the protocols that answer it, how to train, and what to claim and draw of the results."""

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from flylab.base.config import override, to_json
from flylab.data.images import Images, digest
from flylab.results.claims import Claim
from flylab.results.tables import Table
from flylab.study.context import Context
from flylab.study.slots import Slot
from flylab.training.training import Training

Condition = Mapping[str, Any]  # a value for each static axis
RESERVED = ("preset", "out", "force")  # options of the command line, which a protocol's fields must not repeat


@dataclass(frozen=True)
class Study:
    """A question about networks and the experiment that answers it; usually made of a module, by `Study.of_module`.

    Attributes:
        question: the question, in one sentence.
        presets: protocols by name: "smoke", "quick" and "paper".
        conditions: protocol → its conditions, e.g. `[{"model": "cnn"}, …]`.
        run: (protocol, condition, seeds, *, key, artifacts, progress, resume) → the results of a condition, with the
            dimension `seed`. A pure function; one that takes long saves its state by seed in `resume`, and resumes
            from it.
        claims: the claims to test on the results.
        figure: results → matplotlib figure.
        table: results → table for the terminal and the report.
        n_steps: (protocol, condition) → optimiser steps of one seed, for the progress bar.
        resources: (protocol, condition) → FLOPs of training one seed, and bytes of its data and network.
        minutes: expected minutes on two cores, by preset.
        artifacts: files with results of other studies, by name.
        input_digest: protocol → condition → a digest of the files that the condition reads, or None. It is called
            before training, and raises if files are missing.
        image_sets: protocol → the image sets that it reads, by name. Results say by what title each goes
            (`flylab.data.images.titles`): a folder may hold others than the published ones.
        slim: results → smaller ones from which claims, figure and table are the same, to be stored beside a paper. By
            default they are without what is known of single examples.
        name: the name of the study's module, set by the registry.
        place: where the registry finds the study, if not by its name: a file.
        slots: places for functions of its users, by name; see `flylab.study.Slot`.
        filled: the functions in them, set by `flylab.runs.slots.filled`.

    Raises:
        ValueError: if two fields of a protocol would be the same option of the command line.
    """

    question: str
    presets: Mapping[str, Any]
    conditions: Callable[[Any], Sequence[Condition]]
    run: Callable[..., xr.Dataset]
    claims: Sequence[Claim]
    figure: Callable[[xr.Dataset], Figure]
    table: Callable[[xr.Dataset], Table]
    n_steps: Callable[[Any, Condition], int] = lambda protocol, condition: 0
    resources: Callable[[Any, Condition], tuple[int, int]] | None = None
    minutes: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    input_digest: Callable[[Any], Callable[[Condition], str | None]] = lambda protocol: lambda condition: None
    image_sets: Callable[[Any], Mapping[str, Images]] = lambda protocol: {}
    slim: Callable[[xr.Dataset], xr.Dataset] = lambda results: results.drop_dims("example", errors="ignore")
    name: str = ""
    place: str = ""
    slots: Mapping[str, Slot] = field(default_factory=dict)
    filled: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def of_module(cls, name: str) -> "Study":
        """Return the study that a module describes; at the module's end, `STUDY = Study.of_module(__name__)`.

        See `Study.of` for the names that the module defines.

        Raises:
            ValueError: if one of them is missing.
        """
        return cls.of(vars(sys.modules[name]))

    @classmethod
    def of(cls, given: Mapping[str, Any], name: str = "") -> "Study":
        """Return the study that some names describe, those of a module or, in a notebook, a dictionary.

        They are `PRESETS`, `conditions(protocol)`, `table(results)`, `figure(results)` and one or both of

        - `training(protocol, **condition)`: a `Training`, or a list of them, from which the number of steps and the
          resources follow;
        - `run(protocol, condition, context)`: the results of a condition, over `seed`; see `flylab.study.Context`. By
          default they are those of the condition's only training.

        There may be `CLAIMS`, `MINUTES`, `ARTIFACTS`, `SLOTS` (see `flylab.study.Slot`), `QUESTION` (by default, the
        first line of its docstring), `image_sets(protocol)`, `input_digest(protocol)` (by default, of the image set
        that is the condition's `dataset`), `slim(results)` and, where they do not follow from `training`,
        `n_steps(protocol, **condition)` and `resources(protocol, **condition)`.

        Raises:
            ValueError: if a name is missing.
        """
        title = name or given.get("__name__", "")
        for needed in ("PRESETS", "conditions", "table", "figure"):
            if needed not in given:
                raise ValueError(f"the study {title} defines no {needed}")
        training, run = (given[part] if callable(given.get(part)) else None for part in ("training", "run"))
        if training is None and run is None:  # an imported submodule of such a name is none
            raise ValueError(f"the study {title} defines neither training nor run")
        trainings = None if training is None else functools.partial(_trainings, training)
        artifacts = given.get("ARTIFACTS", {})
        more = {part: given[part] for part in ("image_sets", "input_digest", "slim") if callable(given.get(part))}
        if "image_sets" in more:
            more.setdefault("input_digest", functools.partial(_images_digest, given["image_sets"]))
        if "n_steps" in given:
            more["n_steps"] = lambda protocol, condition: given["n_steps"](protocol, **condition)
        elif trainings is not None:
            more["n_steps"] = lambda protocol, condition: sum(one.n_steps for one in trainings(protocol, condition))
        if "resources" in given:
            more["resources"] = lambda protocol, condition: given["resources"](protocol, **condition)
        elif trainings is not None:
            more["resources"] = functools.partial(_resources, trainings)
        return cls(
            question=given.get("QUESTION") or (given.get("__doc__") or "").partition("\n")[0],
            presets=given["PRESETS"],
            conditions=given["conditions"],
            run=_run(training, run, artifacts),
            claims=given.get("CLAIMS", ()),
            figure=given["figure"],
            table=given["table"],
            minutes=given.get("MINUTES", {}),
            artifacts=artifacts,
            slots=given.get("SLOTS", {}),
            name=name,
            **more,
        )

    @property
    def origin(self) -> dict[str, str]:
        """Where the study and its users' functions are found, as attributes of its results; nothing for its name."""
        functions = {slot: [one.place or one.name for one in some] for slot, some in self.filled.items()}
        return ({"place": self.place} if self.place else {}) | ({"filled": to_json(functions)} if functions else {})

    def __post_init__(self) -> None:
        for protocol in filter(is_dataclass, self.presets.values()):
            outer = [field_.name for field_ in fields(protocol)]
            nested = [field_.name for name in outer for field_ in _fields_of(getattr(protocol, name))]
            names = [*RESERVED, *self.slots, *outer, *nested]
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(
                    f"the protocol's field {repeated[0]!r} would be an option twice: rename it, as its fields, those "
                    f"of its configs, and --{', --'.join(RESERVED)} are all options of the command line"
                )


def _trainings(describe: Callable, protocol: Any, condition: Condition) -> Sequence[Training]:
    described = describe(protocol, **condition)
    return [described] if isinstance(described, Training) else described


def _resources(trainings: Callable, protocol: Any, condition: Condition) -> tuple[int, int]:
    """Return the FLOPs of all trainings, which run one after another, and the bytes of the largest."""
    costs = [training.resources for training in trainings(protocol, condition)]
    return sum(flops for flops, _ in costs), max((n_bytes for _, n_bytes in costs), default=0)


def _run(training: Callable | None, run: Callable | None, artifacts: Mapping[str, Path]) -> Callable[..., xr.Dataset]:
    """Return `Study.run`; it wraps the module's own function, so that its code is found."""

    def run_study(protocol, condition, seeds, *, key, artifacts=artifacts, progress=None, resume=None) -> xr.Dataset:
        context = Context(seeds, key, artifacts, progress, resume)
        if run is not None:
            return run(protocol, condition, context)
        assert training is not None
        return context.train(training(protocol, **condition)).results

    return functools.wraps(run or training)(run_study)  # pyright: ignore[reportArgumentType]


def _images_digest(image_sets: Callable, protocol: Any) -> Callable[[Condition], str | None]:
    """Return the digest of a condition's images, as a function; reading them all finds missing files at once."""
    digests = {name: digest(config) for name, config in image_sets(protocol).items()}
    return lambda condition: digests.get(condition.get("dataset", ""))


def _fields_of(value: Any) -> tuple:
    return fields(value) if is_dataclass(value) and not isinstance(value, type) else ()


def protocol_of(study: Study, preset: str, **changes: Any) -> Any:
    """Return the protocol of a preset, with some fields changed.

    Args:
        study: the study.
        preset: the name of the preset.
        **changes: new values of fields of the protocol.

    Raises:
        ValueError: if there is no such preset or field, or a value is invalid.
    """
    if preset not in study.presets:
        raise ValueError(f"{study.name} has no preset {preset!r}; it has {', '.join(study.presets)}")
    return override(study.presets[preset], **changes)
