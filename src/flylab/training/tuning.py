"""Tuning: hyper-parameters chosen on validation data by equally many trials, and then trained with anew.

All contestants of a comparison get the same number of trials. One hyper-parameter is tried on a geometric grid; several
are tried at the points of a Sobol sequence, which fill their box better than a grid or random points of equal number
(Bergstra & Bengio 2012). Each seed is tuned by itself, on trainings of its own, so that the results over seeds are
independent repetitions of "tune, then train", and their interval includes the luck of tuning.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.stats import qmc

from flylab.base.rng import stream
from flylab.base.types import Hparams, Key
from flylab.data.splits import Splits
from flylab.training.dispatch import Progress
from flylab.training.objectives import Objective
from flylab.training.population import train_members
from flylab.training.step import Plan, optimizer_of

Ranges = Mapping[str, tuple[float, float]]
RATES = (1e-4, 1.0)  # the range of a learning rate, if a contestant declares none
MOST_RANGES = 3


class Trials(NamedTuple):
    """Values of hyper-parameters to try: by name, one value for each trial."""

    values: Mapping[str, np.ndarray]

    @property
    def numbers(self) -> tuple[tuple[str, tuple[float, ...]], ...]:
        """The values as what can be hashed."""
        return tuple((name, tuple(column.tolist())) for name, column in self.values.items())

    def of(self, trial: int) -> dict[str, float]:
        """Return one trial's values."""
        return {name: float(column[trial]) for name, column in self.values.items()}


def trials(ranges: Ranges, n: int) -> Trials:
    """Return `n` trials of hyper-parameters, spread over their ranges.

    Ranges above 0 are divided logarithmically, others linearly.

    Args:
        ranges: lowest and highest value, by name.
        n: number of trials.

    Raises:
        ValueError: if there is no range or more than three, or the lowest value of one is not below the highest.

    >>> trials({"learning_rate": (1e-3, 1e-1)}, 3).values["learning_rate"].round(6).tolist()
    [0.001, 0.01, 0.1]
    """
    if not 1 <= len(ranges) <= MOST_RANGES:
        raise ValueError(f"one to {MOST_RANGES} hyper-parameters can be tuned, not {len(ranges)}: {', '.join(ranges)}")
    for name, (low, high) in ranges.items():
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"the range of {name}, {low} to {high}, must have a lowest value below its highest")
    if len(ranges) == 1:
        places = np.linspace(0, 1, n)[:, None] if n > 1 else np.full((1, 1), 0.5)
    else:  # drawn in full powers of two, of which a Sobol sequence is balanced
        drawn = qmc.Sobol(len(ranges), scramble=True, rng=np.random.default_rng(0)).random_base2((n - 1).bit_length())
        places = drawn[:n]
    return Trials({
        name: low * (high / low) ** u if low > 0 else low + (high - low) * u
        for (name, (low, high)), u in zip(ranges.items(), places.T, strict=True)
    })  # fmt: skip


class Fit(NamedTuple):
    """How something trains with some trials' hyper-parameters.

    Attributes:
        ranges: the hyper-parameters to tune.
        train: (data, plan, trials, the indices of those to train, seeds, key, progress) → results over `trial`, `seed`
            and `step`. `data` is a function from the seed to its `Splits`.
    """

    ranges: Ranges
    train: Callable[..., xr.Dataset]


def fit_of(objective: Objective, optimizer: Any, ranges: Ranges) -> Fit:
    """Return how a network trains in JAX, all trials and seeds as one population.

    Args:
        objective: the objective; it may read the hyper-parameters that are tuned.
        optimizer: as `Plan.optimizer`; a function of hyper-parameters reads those that are tuned.
        ranges: the hyper-parameters to tune.
    """

    def train(
        data: Callable[[int], Splits], plan: Plan, tried: Trials, chosen: Sequence[int], seeds: Sequence[int],
        key: Key, progress: Progress | None,
    ) -> xr.Dataset:  # fmt: skip
        of_trial, by_trial = _by_trial(objective, optimizer, tried.numbers)
        plan = replace(plan, optimizer=by_trial)
        grid = {"trial": list(chosen), "seed": list(seeds)}
        return train_members(of_trial, data, plan, grid, key=key, progress=progress).results

    return Fit(ranges, train)


@functools.lru_cache(maxsize=32)
def _by_trial(objective: Objective, optimizer: Any, numbers: tuple) -> tuple[Objective, Callable[[Hparams], Any]]:
    """Return objective and optimiser as functions of the number of a trial, so that one program trains all trials."""

    def of_trial(hparams: Hparams) -> Hparams:
        if "trial" not in hparams:  # prepared already
            return hparams
        i = hparams["trial"].astype(jnp.int32)
        return {name: jnp.asarray(values, jnp.float32)[i] for name, values in numbers}

    make = optimizer_of(optimizer)
    by_trial = objective._replace(
        init=lambda key, hparams: objective.init(key, of_trial(hparams)),
        prepare=lambda hparams: objective.prepare(of_trial(hparams)),
    )
    return by_trial, lambda hparams: make(of_trial(hparams))


def fit_of_single(ranges: Ranges, train_one: Callable[..., Mapping[str, np.ndarray]]) -> Fit:
    """Return how something trains that is no population, one network after the other.

    Args:
        ranges: the hyper-parameters to tune.
        train_one: (splits, plan, hyper-parameters, seed, the seed's key, progress) → history by name, over
            the evaluated steps.
    """

    def train(
        data: Callable[[int], Splits], plan: Plan, tried: Trials, chosen: Sequence[int], seeds: Sequence[int],
        key: Key, progress: Progress | None,
    ) -> xr.Dataset:  # fmt: skip
        histories = [
            train_one(data(seed), plan, tried.of(trial), seed, jax.random.fold_in(key, seed), progress)
            for trial, seed in itertools.product(chosen, seeds)
        ]
        variables = {
            name: (("trial", "seed", "step"), np.reshape([h[name] for h in histories], (len(chosen), len(seeds), -1)))
            for name in histories[0]
        }
        return xr.Dataset(variables, {"trial": list(chosen), "seed": list(seeds), "step": list(plan.evaluated)})

    return Fit(ranges, train)


def before_and_after(before: dict[str, float], after: dict[str, float], plan: Plan) -> dict[str, np.ndarray]:
    """Return a history over the evaluated steps of what is known at the first and the last one only."""
    history = {name: np.full(len(plan.evaluated), np.nan, np.float32) for name in before}
    for name, values in history.items():
        values[[0, -1]] = before[name], after[name]
    return history


def tuned(
    fit: Fit, data: Callable[[int], Splits], plan: Plan, seeds: Sequence[int], *, n_trials: int,
    n_tuning_seeds: int = 1, key: Key, progress: Progress | None = None,
) -> xr.Dataset:  # fmt: skip
    """Tune for each seed, by the validation accuracy after the last step, and train with the best trial.

    Trials that end without finite numbers are never the best. Of equally good ones the first is taken.

    Args:
        fit: how to train.
        data: seed → its data, with a validation set.
        plan: steps, batches and evaluations, of tuning too.
        seeds: the seeds.
        n_trials: values to try.
        n_tuning_seeds: trainings of each trial, for each seed.
        key: the root of all randomness; tuning has a stream of its own.
        progress: callback for steps.

    Returns:
        The results of the last training over `seed`, with `tried_NAME`, the values of each hyper-parameter, and
        `tuning_accuracy`, the validation accuracy with them, over `trial`; and `tuned_NAME`, the values chosen.
    """
    tried = trials(fit.ranges, n_trials)
    own = [seed * n_tuning_seeds + i for seed in seeds for i in range(n_tuning_seeds)]

    def data_of(tuning_seed: int) -> Splits:
        return data(tuning_seed // n_tuning_seeds)

    at_end = replace(plan, eval_every=plan.n_steps)
    search = fit.train(data_of, at_end, tried, range(n_trials), own, stream(key, "tuning"), progress)
    last = search.isel(step=-1)
    accuracy = last.valid_accuracy.where(np.isfinite(last.valid_loss))
    accuracy = accuracy.transpose("seed", "trial").values.reshape(len(seeds), n_tuning_seeds, n_trials)
    accuracy = accuracy.mean(1)  # NaN where any training of a trial diverged
    best = np.argmax(np.where(np.isnan(accuracy), -1, accuracy), axis=1)
    finals = []
    for trial in np.unique(best):
        of_trial = [seed for seed, index in zip(seeds, best, strict=True) if index == trial]
        results = fit.train(data, plan, tried, [int(trial)], of_trial, key, progress)
        finals.append(results.squeeze("trial", drop=True))
    final = xr.concat(finals, "seed").sel(seed=list(seeds))
    n = len(seeds)
    final["tuning_accuracy"] = (("seed", "trial"), accuracy.astype(np.float32))
    for name, values in tried.values.items():
        final[f"tried_{name}"] = (("seed", "trial"), np.tile(values, (n, 1)))
        final[f"tuned_{name}"] = ("seed", values[best])
    return final.assign_coords(trial=range(n_trials))
