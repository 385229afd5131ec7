"""`Study`: a question, the protocols that answer it, how to train, and what to claim and draw of the results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from flylab.base.config import override
from flylab.results.claims import Claim
from flylab.results.tables import Table

Condition = Mapping[str, Any]  # a value for each static axis
# options of the command line, which a protocol's fields must not repeat
RESERVED = ("preset", "out", "force", "dry_run", "part", "workers", "scheduler")


@dataclass(frozen=True)
class Study:
    """A question about networks and the experiment that answers it.

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
        name: the name of the study's module, set by the registry.

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
    name: str = ""

    def __post_init__(self) -> None:
        for protocol in filter(is_dataclass, self.presets.values()):
            outer = [field_.name for field_ in fields(protocol)]
            nested = [field_.name for name in outer for field_ in _fields_of(getattr(protocol, name))]
            names = [*RESERVED, *outer, *nested]
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(
                    f"the protocol's field {repeated[0]!r} would be an option twice: rename it, as its fields, those "
                    f"of its configs, and --{', --'.join(RESERVED)} are all options of the command line"
                )


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
