"""The continuum of spatial priors: where do architectures stand between the MLP and the CNN, and beyond them?

"Models with more moderate spatial priors would sit somewhere along the continuum between the MLP and CNN benchmarks"
(Greydanus 2020). Each model learns MNIST-1D, plain and with the positions shuffled by one fixed permutation, by the
protocol of `architectures`. The accuracy that shuffling costs a model measures its assumptions about positions. The
**spatial-prior score** is this cost on a scale where the published MLP stands at 0 and the published CNN at 1.

Read the score beside the accuracy: a model too weak to learn has nothing to lose and scores near 0, and so may one
whose prior is wrong for these data, for example that the halves of a signal are alike.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import jax
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base import netcdf
from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, Dataset, Splits, published, shuffled
from flylab.data.generator import DATA_PARAMS, endless
from flylab.models import get_model
from flylab.models.masks import masked
from flylab.models.tickets import TICKET, load_ticket
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, bar_lengths, plain_ticks, style
from flylab.results.statistics import Interval, interval, interval_text
from flylab.study.protocol import BaseProtocol, NSeeds
from flylab.study.study import Condition, Study, Table
from flylab.training.learners import CLASSIFIERS, Learner, learner_title, of_classifier, of_model
from flylab.training.population import Progress
from flylab.training.step import Plan

Network = Literal[
    "logistic", "mlp", "ticket", "local", "cnn", "tcn", "resnet", "gru", "lstm", "attention", "bag", "mixer"
]
Reference = Literal["neighbours", "svm", "forest", "boosting"]  # untuned classifiers of scikit-learn
NETWORKS, REFERENCES = get_args(Network), get_args(Reference)
MODELS = (*NETWORKS, *REFERENCES)
ENDS = ("mlp", "cnn")  # where the score is 0 and 1
DOUBLED = ("corr_noise_scale", "iid_noise_scale", "shear_scale", "scale_coeff", "max_translation")
N_SHIFTED = 2000  # test examples with a data parameter doubled
LEAST_WIDTH = 5.0  # points between the costs at both ends; with fewer there is no scale


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The protocol of `architectures`: published data, Adam, batches in fixed order."""

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    models: tuple[Network | Reference, ...] = MODELS
    """Models to compare; neighbours, svm, forest and boosting are scikit-learn's. mlp and cnn are always included: they
    define the score."""
    train_sizes: tuple[PositiveInt, ...] = ()
    """Sizes of smaller training sets to train on as well: the first examples of the plain data."""
    n_steps: PositiveInt = 6000
    """Optimiser steps."""
    batch_size: PositiveInt = 100
    """Examples per step, taken in fixed order."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate."""
    eval_every: PositiveInt = 1000
    """Steps between evaluations."""
    fresh_data: bool = False
    """Use a new data set per seed (generator seed 1000 + 2·seed) instead of the published one."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """MNIST-1D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "models", tuple(name for name in MODELS if name in (*ENDS, *self.models)))
        is_smaller = max(self.train_sizes, default=0) < self.data.n_train
        self._require(is_smaller, "train_sizes", f"less than n_train={self.data.n_train}")
        shape, ticket = (self.data.final_seq_length, self.data.outputs), (40, 10)
        if "ticket" in self.models and shape != ticket:
            raise ValueError(f"models=ticket is for {ticket[0]} positions and {ticket[1]} classes, not {shape}: leave "
                             "it out with --models")  # fmt: skip


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return models × arrangements, and plain data with fewer examples; slowest first."""
    return [condition for model in protocol.models[::-1] for condition in conditions_of(protocol, model)]


def conditions_of(protocol: Protocol, model: str) -> list[Condition]:
    """Return the conditions of one model."""
    n_train = protocol.data.n_train
    tasks = [("plain", n_train), ("shuffled", n_train), *(("plain", n) for n in protocol.train_sizes)]
    return [{"model": model, "arrangement": arrangement, "n_train": n} for arrangement, n in tasks]


def run(
    protocol: Protocol,
    condition: Condition,
    seeds: Sequence[int],
    *,
    key,
    artifacts: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
    resume=None,
) -> xr.Dataset:
    """Train one model for all seeds, and test it with one data parameter doubled at a time."""
    size = protocol.data.final_seq_length, protocol.data.outputs
    if condition["model"] in REFERENCES:
        learner = of_classifier(CLASSIFIERS[condition["model"]].build())
    elif condition["model"] == "ticket":
        learner = _ticket((artifacts or STUDY.artifacts)["ticket"])
    else:
        learner = of_model(get_model(condition["model"], *size), size[:1])
    return learn(learner, protocol, condition, seeds, key=key, progress=progress)


def learn(learner: Learner, protocol: Protocol, condition: Condition, seeds: Sequence[int], *, key,
          progress: Progress | None = None) -> xr.Dataset:  # fmt: skip
    """Train any learner in one condition.

    With all plain data the results include `robust_accuracy` over `seed` and `data_param`, the test accuracy on plain
    data with this data parameter doubled.
    """

    def data(seed: int) -> Splits:
        config = replace(protocol.data, seed=1000 + 2 * seed) if protocol.fresh_data else protocol.data
        order = shuffled(config.final_seq_length) if condition["arrangement"] == "shuffled" else config.permutation
        return _first(replace(config, permutation=order), condition["n_train"])

    splits = data if protocol.fresh_data else data(0)
    plan = Plan(protocol.n_steps, protocol.batch_size, protocol.eval_every)
    fitted = learner.fit(splits, plan, protocol.learning_rate, seeds, key=key, progress=progress)
    results = fitted.results.assign(
        label=(("seed", "example"), np.array([data(seed).test.y for seed in seeds], np.uint8)),
        n_params=("seed", np.full(len(seeds), float(learner.n_params))),
        flops=("seed", np.full(len(seeds), float(learner.flops))),
    )
    if condition["arrangement"] == "plain" and condition["n_train"] == protocol.data.n_train:
        tests = doubled(protocol.data)
        robust = [100 * (fitted.predict(test.x) == test.y).mean(1) for test in tests.values()]
        results = results.assign_coords(data_param=list(tests))
        results = results.assign(robust_accuracy=(("seed", "data_param"), np.array(robust).T))
    return results


@functools.cache
def _ticket(path: Path) -> Learner:
    """Make a learner of the committed ticket's mask; its parameters and FLOPs are those of the surviving weights."""
    ticket = load_ticket(path)
    learner = of_model(masked(ticket.model, ticket.mask), (40,))
    survivors = [int(leaf.sum()) for leaf in jax.tree.leaves(ticket.mask)]
    weights = [int(leaf.sum()) for leaf in jax.tree.leaves(ticket.mask) if leaf.ndim == 2]
    return learner._replace(n_params=sum(survivors), flops=2 * sum(weights))


@functools.lru_cache(maxsize=8)
def _first(config: MNIST1D, n_train: int) -> Splits:
    """Return the data of a config with only the first `n_train` training examples."""
    splits = published(config)
    return splits._replace(train=Dataset(splits.train.x[:n_train], splits.train.y[:n_train]))


@functools.lru_cache(maxsize=4)
def doubled(data: MNIST1D) -> dict[str, Dataset]:
    """Return fresh test sets: the usual one (`none`), and one with each data parameter doubled.

    The translation is doubled only as far as a signal has room. All sets come from the generator in JAX and are
    standardised by the constants of the usual data.
    """
    n_test = -(-N_SHIFTED // data.n_classes) * data.n_classes  # a multiple of the number of classes
    source = endless(replace(data, n_train=data.n_classes, n_valid=0, n_test=n_test))
    usual = {name: float(getattr(data, name)) for name in DATA_PARAMS}
    room = {"max_translation": max(data.n_points - data.template_len, data.max_translation)}
    settings = {"none": usual} | {
        name: usual | {name: min(2 * usual[name], float(room.get(name, np.inf)))} for name in DOUBLED
    }
    generate = jax.jit(lambda data_params: source.evaluation(source.prepare(usual), data_params)[1])
    return {name: Dataset(*map(np.asarray, generate(data_params))) for name, data_params in settings.items()}


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


def _claim(id_: str, statement: str, source: str, unit: str, effect: Callable, *models: str, **region: Any) -> Claim:
    return Claim(id_, statement, source, "–", unit, effect, requires={"model": (*ENDS, *models)}, **region)


def _between(model: str) -> Claim:
    statement = f"{learner_title(model)}: its accuracy lies between the MLP's and the CNN's"
    return _claim(f"between-{model}", statement, "blog", "of MLP … CNN", lambda r: place(r, model), model,
                  within=(0, 1))  # fmt: skip


def _score(id_: str, model: str, statement: str, **region: Any) -> Claim:
    statement = f"{learner_title(model)}: {statement}"
    return _claim(f"{id_}-{model}", statement, "here", "", lambda r: score(r, model), model, **region)


CLAIMS = (
    *map(_between, ("ticket", "local", "tcn", "lstm", "attention", "mixer")),
    *(_score("moderate", model, "its prior is weaker than the CNN's and stronger than the MLP's", within=(0, 1))
      for model in ("ticket", "local", "attention", "mixer")),
    *(_score("equivariant", model, "what treats all positions alike has at least half of the CNN's prior", above=0.5)
      for model in ("tcn", "resnet", "gru", "lstm", "bag")),
    *(_score("none", model, "has no spatial prior (score within ± 0.1)", within=(-0.1, 0.1))
      for model in ("logistic", "neighbours", "svm", "forest", "boosting")),
    _claim("deeper", "the ResNet reaches more than the CNN", "here", "points",
           lambda r: last(r, "resnet") - last(r, "cnn"), "resnet", above=0),
    _claim("sharing", "sharing weights over positions is worth more than 5 points: CNN − locally connected", "here",
           "points", lambda r: last(r, "cnn") - last(r, "local"), "local", above=5),
)  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Tabulate every model, the highest score first."""
    title = f"Spatial priors, mean over {results.sizes['seed']} seeds ± half of the 95 % interval"
    return table_of(rows(results), title)


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


def figure(results: xr.Dataset) -> Figure:
    """Plot plain against shuffled accuracy, the sorted scores, and accuracy against several sizes if there are any."""
    return figure_of(rows(results))


def figure_of(rows: Sequence[Row], highlighted: str | None = None) -> Figure:
    """Plot some rows; one may be highlighted."""
    sizes = sorted({n for row in rows for n in row.by_size})
    special = {highlighted: COLOURS[2], "mlp": COLOURS[0], "cnn": COLOURS[1]}
    colour = {row.model: special.get(row.model, "0.45") for row in rows}
    with style():
        picture = Figure(figsize=(12 + 5 * bool(sizes), 1.8 + 0.26 * len(rows)))
        axes = picture.subplots(1, 2 + bool(sizes), width_ratios=(1.15, 1, 0.8)[: 2 + bool(sizes)])
        _draw_plane(axes[0], rows, colour)
        _draw_scores(axes[1], rows, colour)
        if sizes:
            _draw_sizes(axes[2], rows, colour, sizes)
    return picture


def _draw_plane(ax: Axes, rows: Sequence[Row], colour: Mapping[str, str]) -> None:
    for row in rows:
        ax.errorbar(row.shuffled.mean, row.plain.mean, bar_lengths([row.plain]), bar_lengths([row.shuffled]), fmt="o",
                    color=colour[row.model], markersize=4.5, linewidth=1, zorder=3)  # fmt: skip
    values = [value for row in rows for value in (row.plain.mean, row.shuffled.mean)]
    ends, right = (min(values) - 3, max(values) + 3), max(row.shuffled.mean for row in rows) + 3
    ax.plot((ends[0], right), (ends[0], right), color="0.6", linestyle="--", linewidth=1)
    ax.set(xlim=(ends[0], right + 0.42 * (right - ends[0])), ylim=ends, title="What shuffling costs (dashed: nothing)")
    ax.set(xlabel="test accuracy, positions shuffled (%)", ylabel="test accuracy, plain (%)")
    ax.set_xticks([tick for tick in ax.get_xticks() if ends[0] <= tick <= right])
    _draw_names(ax, rows, colour, right + 0.03 * (right - ends[0]))


def _draw_names(ax: Axes, rows: Sequence[Row], colour: Mapping[str, str], x: float) -> None:
    """Write the names to the right of all dots, without overlap, each joined to its dot by a line."""
    ordered = sorted(rows, key=lambda row: row.plain.mean)
    low, high = ax.get_ylim()
    step = (high - low) * 0.036
    heights = np.array([row.plain.mean for row in ordered])
    for _ in range(500):  # neighbours push each other apart
        overlap = np.maximum(step - np.diff(heights), 0) / 2
        heights[:-1] -= overlap
        heights[1:] += overlap
        heights = heights.clip(low + step / 2, high - step / 2)
    for row, y in zip(ordered, heights, strict=True):
        ax.annotate(row.title, (row.shuffled.mean, row.plain.mean), (x, y), color=colour[row.model], fontsize=8,
                    va="center", arrowprops={"arrowstyle": "-", "color": "0.85", "linewidth": 0.7, "shrinkB": 3,
                                             "relpos": (0, 0.5)})  # fmt: skip


def _draw_scores(ax: Axes, rows: Sequence[Row], colour: Mapping[str, str]) -> None:
    scored = [(row, row.score) for row in rows if row.score is not None][::-1]
    for i, (row, value) in enumerate(scored):
        ax.barh(i, value.mean, color=colour[row.model], alpha=0.75, height=0.7)
        ax.errorbar(value.mean, i, xerr=bar_lengths([value]), color="black", capsize=2, linewidth=1)
    for end in (0, 1):
        ax.axvline(end, color="0.6", linestyle=":", linewidth=1)
    if not scored:
        ax.text(0.5, 0.5, "no score: the costs of shuffling\nof MLP and CNN hardly differ", ha="center", va="center",
                transform=ax.transAxes)  # fmt: skip
    ax.set_yticks(range(len(scored)), [row.title for row, _ in scored], fontsize=9)
    ax.set(xlabel="spatial-prior score (MLP 0, CNN 1; 95 % interval)", title="The continuum of spatial priors")
    ax.grid(visible=False, axis="y")


def _draw_sizes(ax: Axes, rows: Sequence[Row], colour: Mapping[str, str], sizes: Sequence[int]) -> None:
    for row in rows:
        if row.by_size:
            is_special = colour[row.model] != "0.45"
            accuracies = [value.mean for value in row.by_size.values()]
            ax.plot([*row.by_size, row.n_train], [*accuracies, row.plain.mean], "o-", color=colour[row.model],
                    markersize=3, linewidth=2 if is_special else 0.8, zorder=3 if is_special else 2,
                    label=row.title if is_special else None)  # fmt: skip
    ax.set_xscale("log")
    plain_ticks(ax, sorted({*sizes, *(row.n_train for row in rows)}))
    ax.set(xlabel="training examples", ylabel="test accuracy (%)", title="Sample efficiency")
    ax.legend(fontsize=8, loc="lower right")


REFERENCE = Path(__file__).parents[1] / "artifacts" / "continuum.nc"


def condensed(results: xr.Dataset) -> xr.Dataset:
    """Return the part of a run's results that `rows` reads."""
    return results[["test_accuracy", "robust_accuracy", "n_params", "flops"]].sel(step=[results.step.values.max()])


def save_reference(results: xr.Dataset, path: Path = REFERENCE) -> None:
    """Save the part of a run that figures and leaderboards read, to show a model among others."""
    netcdf.save(path, condensed(results).assign_attrs(results.attrs))


def load_reference(path: Path = REFERENCE) -> xr.Dataset:
    """Load the results that `save_reference` saved; by default those of the committed run of preset `quick`."""
    return netcdf.open_checked(path)


_TINY = MNIST1D(n_train=200, n_valid=100, n_test=100)
STUDY = Study(
    question="Where do architectures stand on the continuum of spatial priors between the MLP and the CNN?",
    presets={
        "smoke": Protocol(n_seeds=2, n_steps=10, eval_every=5, data=_TINY, train_sizes=(100,),
                          models=("logistic", "local", "ticket", "forest")),
        "quick": Protocol(n_seeds=4),
        "paper": Protocol(n_seeds=10, train_sizes=(500, 1000, 2000)),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    n_steps=lambda protocol, condition: protocol.n_steps,
    minutes={"smoke": 0.5, "quick": 7, "paper": 60},
    artifacts={"ticket": TICKET},
)  # fmt: skip
