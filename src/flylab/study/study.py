"""`Study`: a question, its protocol, what to run, the claims and the figure. `execute` runs it, shard by shard."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from flylab.base.config import override
from flylab.results.claims import Claim
from flylab.results.tables import Table

Condition = Mapping[str, Any]  # one value for each static axis
RESERVED = ("preset", "out", "force")  # options of the command line, beside a protocol's fields


@dataclass(frozen=True)
class Study:
    """A question to networks, and how it is answered.

    Attributes:
        question: in one sentence.
        presets: protocols by name, "smoke", "quick" and "paper".
        conditions: protocol → the conditions of its static axes, e.g. `[{"model": "cnn"}, …]`.
        run: (protocol, condition, seeds, *, key, artifacts, progress, resume) → results of one condition over `seed`; pure.
            A long one saves what it has half done in `resume`, by seed, and goes on from there.
        claims: to test on the results.
        figure: results → matplotlib figure.
        table: results → what the terminal shows.
        n_steps: (protocol, condition) → optimiser steps of one seed, for the progress bar.
        resources: (protocol, condition) → FLOPs of training one seed, and bytes of its data and network.
        minutes: preset → expected minutes on two cores, for the list of studies.
        artifacts: results of other studies by name.
        input_digest: protocol → condition → what identifies the files that the condition reads, e.g. their digest, or None. Called
            before anything is trained, so this is where missing files are refused.
        name: the module's name; set on discovery.

    Raises:
        ValueError: if two fields of a protocol would be the same flag of the command line.
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
            own = [field_.name for field_ in fields(protocol)]
            nested = [field_.name for name in own for field_ in _fields_of(getattr(protocol, name))]
            names = [*RESERVED, *own, *nested]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(
                    f"the protocol has two fields, or an option, called {twice[0]} (its own and its data's fields are "
                    f"all flags, and --{', --'.join(RESERVED)} are taken): rename it"
                )


def _fields_of(value: Any) -> tuple:
    return fields(value) if is_dataclass(value) and not isinstance(value, type) else ()


def protocol_of(study: Study, preset: str, **changes: Any) -> Any:
    """The protocol of a preset, with some fields changed.

    Raises:
        ValueError: for an unknown preset or field, or a value that is not allowed.
    """
    return override(_preset_of(study, preset), **changes)


def _preset_of(study: Study, preset: str) -> Any:
    if preset not in study.presets:
        raise ValueError(f"{study.name} has no preset {preset!r}; it has {', '.join(study.presets)}")
    return study.presets[preset]
