"""`Training` describes a population: from it follow the run, the number of steps, FLOPs and memory."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from flylab.base import runtime, settings
from flylab.base.rng import stream
from flylab.base.types import Key, Params
from flylab.data.inputs import trainable
from flylab.data.mnist1d import MNIST1D
from flylab.data.sharing import Fresh, shared
from flylab.data.splits import Source, Splits
from flylab.models.flops import training_cost
from flylab.models.model import Model
from flylab.training.dispatch import Progress
from flylab.training.inputs import as_key
from flylab.training.networks import Population
from flylab.training.objectives import Objective, supervised
from flylab.training.population import train_members
from flylab.training.step import Plan


@dataclass(frozen=True)
class Training:
    """A population to train.

    Attributes:
        model: the network.
        data: a config, whose published set all seeds share; `fresh(config)` for data made anew for each seed, or
            another function from the seed to `Splits`; `endless(config)` or another `Source` for data made in each
            step; or `Splits`.
        plan: steps, batches, evaluations and optimiser.
        hparams: hyper-parameters by name; a number holds for all members, a list is an axis of the results.
        objective: network → objective.
        params: the key of a seed's initial weights → its initial parameters; by default the objective initialises them.

    >>> from flylab.models import get_model
    >>> training = Training(get_model("logistic"), MNIST1D(n_train=100, n_valid=100, n_test=100), Plan(20),
    ...                     {"learning_rate": 1e-2})
    >>> training.n_steps
    20
    >>> dict(training.run(range(3)).results.test_accuracy.sizes)
    {'seed': 3, 'step': 2}
    """

    model: Model
    data: MNIST1D | Splits | Source | Fresh | Callable[[int], Splits]
    plan: Plan
    hparams: Mapping[str, float | Sequence[float]] = field(default_factory=dict)
    objective: Callable[[Model], Objective] = supervised
    params: Callable[[Key], Params] | None = None

    @settings.pinned()
    def run(self, seeds: Sequence[int], *, key: Key | int = 0, progress: Progress | None = None) -> Population:
        """Train one network for each seed and each combination of listed hyper-parameters, see `train_members`."""
        runtime.initialise()  # before JAX starts
        root = as_key(key)
        initial = self.params

        def params(seed: int) -> Params:
            assert initial is not None
            return jax.device_get(initial(stream(jax.random.fold_in(root, seed), "init")))

        data = shared(self.data) if isinstance(self.data, MNIST1D) else self.data
        hparams = {name: value if np.ndim(value) == 0 else self._axes[name] for name, value in self.hparams.items()}
        return train_members(
            self.objective(self.model), data, self.plan, {**hparams, "seed": seeds}, key=root,
            params=None if initial is None else params, progress=progress,
        )  # fmt: skip

    @property
    def _axes(self) -> dict[str, list]:
        return {name: np.atleast_1d(value).tolist() for name, value in self.hparams.items()}

    @property
    def n_steps(self) -> int:
        """The optimiser steps of one seed."""
        return self.plan.n_steps * math.prod(map(len, self._axes.values()))

    @property
    def resources(self) -> tuple[int, int]:
        """The FLOPs of training one seed, and the bytes of its data and network; see `models.flops.training_cost`."""
        (shape, n_examples), plan = self._sizes(), self.plan
        sizes = shape, plan.n_steps, plan.batch_size
        flops, n_bytes = training_cost(self.model, *sizes, len(plan.evaluated), n_examples)
        if plan.n_train_evaluated and isinstance(self.data, Splits):
            unread = max(len(self.data.train.y) - plan.n_train_evaluated, 0)
            flops, _ = training_cost(self.model, *sizes, len(plan.evaluated), n_examples - unread)
        return flops * math.prod(map(len, self._axes.values())), n_bytes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an example."""
        return self._sizes()[0]

    def _sizes(self) -> tuple[tuple[int, ...], int]:
        """Return the shape of an example, and how many are kept; data of a config are not made for it."""
        data: Any = self.data
        if isinstance(data, MNIST1D | Fresh):
            config = data if isinstance(data, MNIST1D) else data.config
            return (config.final_seq_length,), config.n_train + config.n_valid + config.n_test
        if isinstance(data, Source):
            hparams = {name: np.float32(values[0]) for name, values in self._axes.items()}
            sets = jax.eval_shape(lambda: data.evaluation(data.prepare(hparams), hparams))
        else:
            targets = self.objective(self.model).targets
            sets = trainable(data if isinstance(data, Splits) else data(0), targets)[:3]
        return sets[-1].x.shape[1:], sum(len(part.y) for part in sets)
