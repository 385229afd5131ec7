"""`Context`: what a study's `run` is given besides protocol and condition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import xarray as xr

from flylab.base.types import Key
from flylab.training.dispatch import Progress
from flylab.training.networks import Population
from flylab.training.training import Training


class Resume(Protocol):
    """The states of long trainings, by seed."""

    def load(self, seed: int) -> xr.Dataset | None:
        """Return the last state of a seed, or None if there is none."""

    def save(self, seed: int, data: xr.Dataset) -> None:
        """Save the state of a seed in place of its last one."""


@dataclass(frozen=True)
class Context:
    """What a condition is trained with.

    Attributes:
        seeds: the seeds to train.
        key: the root of all randomness; that of a seed is `jax.random.fold_in(key, seed)`.
        artifacts: files with results of other studies, by name.
        progress: callback for optimiser steps, or None.
        resume: where a long training saves its state, or None.
    """

    seeds: Sequence[int]
    key: Key
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    progress: Progress | None = None
    resume: Resume | None = None

    def train(self, training: Training) -> Population:
        """Train a population for all seeds."""
        return training.run(self.seeds, key=self.key, progress=self.progress)
