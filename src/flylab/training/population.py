"""Training of populations: many networks over named axes, on all devices."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import jax
import numpy as np
import xarray as xr

from flylab.base import runtime
from flylab.base.config import plain
from flylab.base.types import Key, Params
from flylab.data.inputs import data_type_error
from flylab.data.mnist1d import MNIST1D
from flylab.data.splits import SETS, Source, Splits
from flylab.models.model import Model
from flylab.training.dispatch import Progress, fetched, program_for, result_of, run_members, started
from flylab.training.inputs import SplitArrays, as_arrays, as_axes, as_key, as_objective
from flylab.training.members import Members, alike
from flylab.training.networks import Population
from flylab.training.objectives import Objective
from flylab.training.step import Member, Plan
from flylab.training.train import Trained, TrainingRun, check_training, training_run


@runtime.pinned()
def train_members(
    objective: Objective | Model,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Any],
    *,
    key: Key | int = 0,
    params: Callable[[int], Params] | Population | None = None,
    progress: Progress | None = None,
) -> Population:
    """Train one network for each point of `grid`, on all cores, through one compiled program.

    Args:
        objective: the objective, e.g. `supervised(model)`, or a model, which is classification's.
        data: `Splits`; or a function of the seed, for fresh data per seed (of one shape); or a `Source`, for fresh
            data in every step (`flylab.endless(config)`), whose data parameters may then be axes of the grid.
        plan: steps, batches, evaluations and optimiser.
        grid: values by axis name, e.g. `{"learning_rate": [1e-3, 1e-2], "seed": range(20)}`. `seed` gives each member
            its key, `fold_in(key, seed)`; the others are hyper-parameters, of which a single number is no axis.
        key: root of all randomness, a key or an integer. Making a key yourself starts JAX; to use all cores, call
            `flylab.initialise` before.
        params: function from the seed to initial parameters; or a population whose members train on, each found by its
            labels, with a new optimiser; by default the objective initialises them.
        progress: callback after each dispatch.

    Raises:
        ValueError: for a grid without `seed`, seeds that are not different integers ≥ 0, hyper-parameters that are not
            finite numbers, that nothing reads or that are missing, a key of more than 32 bits, sets that do not fit
            together (see `data.inputs`) or have another shape for another seed, or a label that the network has no
            output for. What is made for each seed is checked in turn.
        TypeError: if `data` is none of the three, or `objective` neither an objective nor a model.

    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> grid = {"learning_rate": [1e-3, 1e-2], "seed": range(3)}
    >>> population = train_members(supervised(get_model("logistic")), splits, Plan(20), grid)
    >>> dict(population.results.test_accuracy.sizes)
    {'learning_rate': 2, 'seed': 3, 'step': 2}
    """
    run, members, make = _checked_run(objective, data, plan, grid, key, params)
    one_data_set = isinstance(data, Splits)
    return make(list(run_members(run, members, one_data_set=one_data_set, progress=progress)))


def watch_members(
    objective: Objective | Model,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Any],
    *,
    key: Key | int = 0,
    params: Callable[[int], Params] | Population | None = None,
) -> Iterator[Population]:
    """Train like `train_members`, with all members in parallel, and yield the population after each evaluation.

    So a loop over it measures anything while networks train, at the steps that the plan's `eval_every` lists, and ends
    training where it ends. The last population is bit-identical to that of `train_members`; earlier ones end at an
    earlier `step`. Memory is that of all members at once.

    Arguments and errors are those of `train_members`.

    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.objectives import supervised
    >>> splits = published(MNIST1D(n_train=100, n_valid=100, n_test=100))
    >>> watched = watch_members(supervised(get_model("logistic")), splits, Plan(20, eval_every=10), {"seed": [0, 1],
    ...                         "learning_rate": [1e-2]})
    >>> [population.results.step.values.tolist() for population in watched]
    [[0], [0, 10], [0, 10, 20]]
    """
    with runtime.pinned():
        run, members, make = _checked_run(objective, data, plan, grid, key, params)
        program, members = program_for(run, members, isinstance(data, Splits))
        groups = [[n, state, advance] for n, state, advance in started(program, members)]
    for n_evaluated, step in enumerate(plan.evaluated, 1):
        trained: list[Trained] = []
        for group in groups:
            n, state, advance = group
            # an evaluation is made at the beginning of the next step
            group[1] = state = advance(state, np.int32(min(step + 1, plan.n_steps)))
            trained += fetched([(n, result_of(state))])
        yield make(trained, n_evaluated)


def _checked_run(
    objective: Objective | Model,
    data: Splits | Source | Callable[[int], Splits],
    plan: Plan,
    grid: Mapping[str, Any],
    key: Key | int,
    params: Callable[[int], Params] | Population | None,
) -> tuple[TrainingRun, Members, Callable[..., Population]]:
    """Check the arguments of `train_members`; return the run, the members, and what makes a population of them."""
    objective, (axes, numbers) = as_objective(objective), as_axes(grid)
    if not (isinstance(data, Splits | Source) or callable(data)):
        raise data_type_error(data)
    runtime.initialise()  # before JAX starts
    root = as_key(key)
    source = data if isinstance(data, Source) else None
    fixed = as_arrays(data, objective.targets) if isinstance(data, Splits) else None

    def made() -> Iterator[tuple[SplitArrays | None, Member]]:
        for point in itertools.product(*axes.values()):
            hparams = numbers | dict(zip(axes, point, strict=True))
            initial = started_from(hparams)
            seed = hparams.pop("seed")
            sets = as_arrays(data(seed), objective.targets) if callable(data) else fixed
            hparams = {name: np.float32(value) for name, value in hparams.items()}
            yield sets, Member(jax.random.fold_in(root, seed), hparams, initial)

    def started_from(point: dict[str, Any]) -> Params | None:
        if isinstance(params, Population):
            return params.params_at(point)
        return None if params is None else params(point["seed"])

    def check(sets: SplitArrays | None, member: Member) -> None:
        checked = sets if source is None else source
        assert checked is not None
        check_training(objective, plan, checked, member)

    if source is not None:
        hparam_axes = {name: values for name, values in axes.items() if name != "seed"}
        for point in itertools.product(*hparam_axes.values()):
            source.check(numbers | dict(zip(hparam_axes, point, strict=True)))
    _check_axes(axes)
    if isinstance(params, Population):  # all labels, before any work
        for point in itertools.product(*axes.values()):
            params.params_at(numbers | dict(zip(axes, point, strict=True)))
    members = alike(made(), check)
    make = functools.partial(_population, plan, axes, numbers, objective, root, _config(data, plan))
    return training_run(objective, plan, source), members, make


def _config(data: Any, plan: Plan) -> dict[str, Any]:
    """Return the parameters of the data, None where they are not known, and the plan, as JSON has them."""
    config, optimizer = getattr(data, "config", None), plan.optimizer
    name = optimizer if isinstance(optimizer, str) else getattr(optimizer, "__qualname__", type(optimizer).__name__)
    return {
        "data": plain(config) if isinstance(config, MNIST1D) else None,
        "plan": {field.name: plain(getattr(plan, field.name)) for field in fields(plan) if field.name != "optimizer"}
        | {"optimizer": name},
    }


def _check_axes(axes: Mapping[str, Sequence]) -> None:
    """Refuse hyper-parameters that have the name of a variable or a dimension of the results.

    Raises:
        ValueError: naming it.
    """
    measured = (f"{name}_{metric}" for name in SETS for metric in ("loss", "accuracy"))
    if taken := axes.keys() & {"step", "example", "output", "update", "prediction", "loss", *measured}:
        raise ValueError(f"{min(taken)!r} cannot be an axis: results have a variable or dimension of this name")


def _population(
    plan: Plan, axes: dict[str, list], hparams: dict[str, Any], objective: Objective, key: Key, config: dict[str, Any],
    trained: Sequence[Trained], n_evaluated: int | None = None,
) -> Population:  # fmt: skip
    sizes = tuple(len(values) for values in axes.values())
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves).reshape(*sizes, *np.shape(leaves[0])), *trained)
    now = plan.n_steps if n_evaluated is None else plan.evaluated[n_evaluated - 1]
    results = to_dataset(stacked, axes, plan).isel(step=slice(n_evaluated))
    results = results.isel(update=slice(now), missing_dims="ignore")
    saved = stacked.saved_params[: sum(step <= now for step in plan.save_params_at)]
    return Population(stacked.params, results, saved, axes, hparams, objective, key, config)


def to_dataset(stacked: Trained, axes: Mapping[str, Sequence], plan: Plan) -> xr.Dataset:
    """Label the stacked histories of a population with its axes and steps."""
    history = dict(stacked.history)
    per_example = ("example", "output")[: stacked.prediction.ndim - len(axes)]  # outputs only where they are no classes
    variables = {"prediction": ((*axes, *per_example), stacked.prediction)}
    evaluated = {f"{name}_{metric}" for name in SETS for metric in ("loss", "accuracy")}
    if plan.record_loss:
        variables["loss"] = ((*axes, "update"), history.pop("loss"))
    for name, values in history.items():
        variables[name] = ((*axes, "step" if name in evaluated else "update"), values)
    return xr.Dataset(variables, {**axes, "step": list(plan.evaluated)})
