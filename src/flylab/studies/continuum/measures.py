"""Accuracies, costs of shuffling and scores: a row for each model, in tables and in files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from flylab.base import netcdf
from flylab.results.statistics import Interval, interval, interval_text
from flylab.results.tables import Table
from flylab.studies.continuum.method import ENDS
from flylab.training.learners import learner_title

LEAST_WIDTH = 5.0  # points between the costs at both ends; with fewer there is no scale


def last(results: xr.Dataset, model: str, arrangement: str = "plain", n_train: int | None = None) -> xr.DataArray:
    """Return test accuracy at the last step, over `seed`; NaN where the results have no such network."""
    n_train = int(results.n_train.max()) if n_train is None else n_train
    place = {"model": model, "arrangement": arrangement, "n_train": n_train}
    end = results.test_accuracy.sel(step=results.step.max(), drop=True)  # classifiers have no other steps
    return end.reindex({dim: [value] for dim, value in place.items()}).sel(place)


def cost_of_shuffling(results: xr.Dataset, model: str) -> xr.DataArray:
    """Return the points of test accuracy lost by shuffling the positions, paired by seed."""
    return last(results, model) - last(results, model, "shuffled")


def score(results: xr.Dataset, model: str) -> xr.DataArray:
    """Return the spatial-prior score over `seed`: the cost of shuffling, scaled to 0 for the MLP and 1 for the CNN.

    Costs are paired by seed. Returns NaN if those of the MLP and the CNN differ by less than 5 points on average.
    """
    low, high = (cost_of_shuffling(results, end) for end in ENDS)
    width = high - low
    return ((cost_of_shuffling(results, model) - low) / width).where(width.mean() >= LEAST_WIDTH)


def place(results: xr.Dataset, model: str) -> xr.DataArray:
    """Return a model's accuracy on plain data over `seed`, scaled to 0 for the MLP and 1 for the CNN."""
    low, high = (last(results, end) for end in ENDS)
    return (last(results, model) - low) / (high - low)


class Row(NamedTuple):
    """The measurements of one model: accuracies in percent, with intervals over seeds.

    Attributes:
        model: the model's name.
        title: its name in figures and tables.
        plain: accuracy on plain data.
        shuffled: accuracy on shuffled data.
        score: the spatial-prior score; None if there is no scale.
        n_params: number of parameters, if known.
        flops: operations of one example's forward pass, if known.
        n_seeds: number of seeds.
        n_train: number of training examples.
        by_size: accuracy by the size of smaller training sets.
        robustness: points lost with a data parameter raised in the test (see `doubled`), by data parameter.
    """

    model: str
    title: str
    plain: Interval
    shuffled: Interval
    score: Interval | None
    n_params: float | None
    flops: float | None
    n_seeds: int
    n_train: int
    by_size: dict[int, Interval]
    robustness: dict[str, Interval]


def rows(
    results: xr.Dataset, models: Sequence[str] | None = None, titles: Mapping[str, str] | None = None
) -> list[Row]:
    """Return a row for each model, the highest score first."""
    *sizes, n_train = np.sort(results.n_train.values).tolist()
    by_model = []
    for model in results.model.values.tolist() if models is None else models:
        title, measured = (titles or {}).get(model) or learner_title(model), results.sel(model=model)
        scores = score(results, model).values
        accuracies = {n: last(results, model, n_train=n).dropna("seed") for n in sizes}
        robust = measured.robust_accuracy.sel(arrangement="plain", n_train=n_train)
        lost = (robust.sel(data_param="none", drop=True) - robust.drop_sel(data_param="none")).dropna("seed")
        by_model.append(Row(
            model, title, interval(last(results, model)), interval(last(results, model, "shuffled")),
            None if np.isnan(scores).any() else interval(scores), _first_number(measured.n_params),
            _first_number(measured.flops), results.sizes["seed"], n_train,
            {n: interval(values) for n, values in accuracies.items() if values.size},
            {name: interval(lost.sel(data_param=name)) for name in lost.data_param.values.tolist() if lost.size},
        ))  # fmt: skip
    return sorted(by_model, key=by_score)


def by_score(row: Row) -> float:
    """Return a sort key that puts the highest score first and rows without a score last."""
    return -row.score.mean if row.score else np.inf


def _first_number(values: xr.DataArray) -> float | None:
    numbers = values.values[~np.isnan(values.values)]
    return float(numbers[0]) if numbers.size else None


def table_of(rows: Sequence[Row], title: str) -> Table:
    """Tabulate some rows."""
    columns = ("model", "score (MLP 0, CNN 1)", "plain (%)", "shuffled (%)", "parameters", "FLOPs/example")
    texts = [
        (row.title, interval_text(row.score, 2), *map(interval_text, (row.plain, row.shuffled)), count(row.n_params),
         count(row.flops))
        for row in rows
    ]  # fmt: skip
    return Table(title, columns, texts)


def details(row: Row) -> Table:
    """Tabulate one model's accuracy with fewer examples and its loss where the test raises a data parameter."""
    sizes = [(f"{n} training examples", interval_text(value) + " %") for n, value in row.by_size.items()]
    losses = [(f"{name} raised", interval_text(value) + " points lost") for name, value in row.robustness.items()]
    return Table(row.title, ("", ""), [*sizes, *losses])


def count(value: float | None) -> str:
    """Return a whole number as text with its thousands apart; a dash for None."""
    return "–" if value is None else f"{value:,.0f}".replace(",", " ")


REFERENCE = Path(__file__).parents[2] / "artifacts" / "continuum.nc"


def condensed(results: xr.Dataset) -> xr.Dataset:
    """Return the part of a run's results that `rows` reads."""
    return results[["test_accuracy", "robust_accuracy", "n_params", "flops"]].sel(step=[results.step.values.max()])


def save_reference(results: xr.Dataset, path: Path = REFERENCE) -> None:
    """Save the part of a run that figures and leaderboards read, to show a model among others."""
    netcdf.save(path, condensed(results).assign_attrs(results.attrs))


def load_reference(path: Path = REFERENCE) -> xr.Dataset:
    """Load the results that `save_reference` saved; by default those of the committed run of preset `quick`."""
    return netcdf.open_checked(path)
