"""The continuum of spatial priors: where do architectures stand between the MLP and the CNN, and beyond them?

"Models with more moderate spatial priors would sit somewhere along the continuum between the MLP and CNN benchmarks"
(Greydanus 2020). Here each learns MNIST-1D, plain and with the positions shuffled by one fixed permutation, under the
protocol of `architectures`. What shuffling costs a network is what it had presupposed about positions; on this scale
the published MLP stands at 0 and the published CNN at 1: the **spatial-prior score**.

What the score is not: a network too weak to learn has nothing to lose, and scores 0; one whose prior is wrong for these
data (say, that the halves of a signal are alike) may score 0 as well. Read it beside the accuracy.
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
from flylab.results.plots import COLOURS, style
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
N_SHIFTED = 2000  # test examples with a data parameter turned
LEAST_WIDTH = 5.0  # points between the costs at both ends, below which there is no scale


# ── protocol ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The protocol of `architectures`: published data, Adam, batches in fixed order."""

    n_seeds: NSeeds = 5
    """Seeds: independent repetitions."""
    models: tuple[Network | Reference, ...] = MODELS
    """Models to compare, scikit-learn's neighbours, svm, forest and boosting among them. mlp and cnn are always
    included: the score is between them."""
    train_sizes: tuple[PositiveInt, ...] = ()
    """Sizes of smaller training sets, the first examples of the plain data, to train on as well."""
    n_steps: PositiveInt = 6000
    """Optimiser steps."""
    batch_size: PositiveInt = 100
    """Examples per step, taken in fixed order."""
    learning_rate: PositiveFloat = 1e-2
    """Adam's learning rate."""
    eval_every: PositiveInt = 1000
    """Steps between evaluations."""
    fresh_data: bool = False
    """Use a new data set per seed (generator seed 1000 + 2·seed) in place of the published one."""
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
    """Models × arrangements, and plain with fewer examples; slowest first."""
    return [condition for model in protocol.models[::-1] for condition in conditions_of(protocol, model)]


def conditions_of(protocol: Protocol, model: str) -> list[Condition]:
    """What one model has to learn."""
    found = [("plain", protocol.data.n_train), ("shuffled", protocol.data.n_train)]
    found += [("plain", n) for n in protocol.train_sizes]
    return [{"model": model, "arrangement": arrangement, "n_train": n} for arrangement, n in found]


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
    """Train one model for all seeds, and test it where a data parameter of the data is turned."""
    size = protocol.data.final_seq_length, protocol.data.outputs
    if condition["model"] in REFERENCES:
        learner = of_classifier(CLASSIFIERS[condition["model"]].build())
    elif condition["model"] == "ticket":
        learner = _ticket((artifacts or STUDY.artifacts)["ticket"])
    else:
        learner = of_model(get_model(condition["model"], *size), size[:1])
    return learn(learner, protocol, condition, seeds, key=key, progress=progress)


def learn(
    learner: Learner,
    protocol: Protocol,
    condition: Condition,
    seeds: Sequence[int],
    *,
    key,
    progress: Progress | None = None,
) -> xr.Dataset:
    """One condition, whoever learns; `robust_accuracy`, over seed and data_param, is that of the plain data with a data parameter turned."""

    def data(seed: int) -> Splits:
        made = replace(protocol.data, seed=1000 + 2 * seed) if protocol.fresh_data else protocol.data
        order = shuffled(made.final_seq_length) if condition["arrangement"] == "shuffled" else made.permutation
        return _first(replace(made, permutation=order), condition["n_train"])

    splits = data if protocol.fresh_data else data(0)
    plan = Plan(protocol.n_steps, protocol.batch_size, protocol.eval_every)
    fitted = learner.fit(splits, plan, protocol.learning_rate, seeds, key=key, progress=progress)
    results = fitted.results
    labels = np.array([data(seed).test.y for seed in seeds], np.uint8)
    results = results.assign(
        label=(("seed", "example"), labels),
        n_params=("seed", np.full(len(seeds), float(learner.n_params))),
        flops=("seed", np.full(len(seeds), float(learner.flops))),
    )
    if condition["arrangement"] == "plain" and condition["n_train"] == protocol.data.n_train:
        tests = turned(protocol.data)
        robust = [100 * (fitted.predict(test.x) == test.y).mean(1) for test in tests.values()]
        data_params = xr.DataArray(
            np.array(robust).T, {"seed": list(seeds), "data_param": list(tests)}, ("seed", "data_param")
        )
        results = results.assign(robust_accuracy=data_params)
    return results


@functools.cache
def _ticket(path: Path) -> Learner:
    """The committed ticket's mask, with other initial weights for each seed; work and size are those of survivors."""
    ticket = load_ticket(path)
    learner = of_model(masked(ticket.model, ticket.mask), (40,))
    survivors = [int(leaf.sum()) for leaf in jax.tree.leaves(ticket.mask)]
    weights = [int(leaf.sum()) for leaf in jax.tree.leaves(ticket.mask) if leaf.ndim == 2]
    return learner._replace(n_params=sum(survivors), flops=2 * sum(weights))


@functools.lru_cache(maxsize=8)
def _first(config: MNIST1D, n_train: int) -> Splits:
    """The data of a config, of the training set the first `n_train`."""
    splits = published(config)
    return splits._replace(train=Dataset(splits.train.x[:n_train], splits.train.y[:n_train]))


@functools.lru_cache(maxsize=4)
def turned(data: MNIST1D) -> dict[str, Dataset]:
    """Fresh test sets: as usual (`none`), and with one data parameter doubled, the translation as far as a signal has room.

    From the generator in JAX, standardised as the usual data are.
    """
    source = endless(replace(data, n_train=data.n_classes, n_valid=0, n_test=_multiple(N_SHIFTED, data.n_classes)))
    usual = {name: float(getattr(data, name)) for name in DATA_PARAMS}
    room = {"max_translation": max(data.n_points - data.template_len, data.max_translation)}
    settings = {"none": usual} | {
        name: usual | {name: min(2 * usual[name], float(room.get(name, np.inf)))} for name in DOUBLED
    }
    made = jax.jit(lambda data_params: source.evaluation(source.prepare(usual), data_params)[1])
    return {name: Dataset(*map(np.asarray, made(data_params))) for name, data_params in settings.items()}


def _multiple(n: int, of: int) -> int:
    return -(-n // of) * of


# ── reading the results ──────────────────────────────────────────────────────────────────────────────────────────────


def last(results: xr.Dataset, model: str, arrangement: str = "plain", n_train: int | None = None) -> xr.DataArray:
    """Test accuracy at the last step, over `seed`; NaN where the results have no such network."""
    n_train = int(results.n_train.max()) if n_train is None else n_train
    place = {"model": model, "arrangement": arrangement, "n_train": n_train}
    end = results.test_accuracy.sel(step=results.step.max(), drop=True)  # classifiers have no other steps
    return end.reindex({dim: [value] for dim, value in place.items()}).sel(place)


def cost_of_shuffling(results: xr.Dataset, model: str) -> xr.DataArray:
    """Points of test accuracy lost by shuffling the positions, paired by seed."""
    return last(results, model) - last(results, model, "shuffled")


def score(results: xr.Dataset, model: str) -> xr.DataArray:
    """The spatial-prior score, over `seed`: the cost of shuffling, the MLP's being 0 and the CNN's 1, paired by seed.

    NaN where the costs at both ends differ by less than 5 points: then the data give no scale.
    """
    low, high = (cost_of_shuffling(results, end) for end in ENDS)
    width = high - low
    return ((cost_of_shuffling(results, model) - low) / width).where(width.mean() >= LEAST_WIDTH)


def place(results: xr.Dataset, model: str) -> xr.DataArray:
    """Where a model's accuracy on plain data lies, over `seed`: 0 is the MLP's, 1 the CNN's."""
    low, high = (last(results, end) for end in ENDS)
    return (last(results, model) - low) / (high - low)


class Row(NamedTuple):
    """What is known about one model: accuracies in percent, intervals over seeds."""

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
    """Accuracy with fewer training examples."""
    robustness: dict[str, Interval]
    """Points lost where a data parameter of the data is doubled in the test."""


def rows(
    results: xr.Dataset, models: Sequence[str] | None = None, titles: Mapping[str, str] | None = None
) -> list[Row]:
    """A row for each model, the highest score first."""
    found = []
    for model in results.model.values.tolist() if models is None else models:
        at = results.sel(model=model)
        scores = score(results, model).values
        sizes = [int(n) for n in np.sort(results.n_train.values)[:-1]]
        accuracies = {n: last(results, model, n_train=n).dropna("seed") for n in sizes}
        lost = _lost(at).dropna("seed")
        found.append(Row(
            model, (titles or {}).get(model) or learner_title(model), interval(last(results, model)),
            interval(last(results, model, "shuffled")), None if np.isnan(scores).any() else interval(scores),
            _number(at.n_params), _number(at.flops), results.sizes["seed"], int(results.n_train.max()),
            {n: interval(values) for n, values in accuracies.items() if values.size},
            {str(one.data_param.values): interval(one) for one in lost.transpose("data_param", "seed")} if lost.size else {},
        ))  # fmt: skip
    return sorted(found, key=by_score)


def by_score(row: Row) -> float:
    """A key to sort by: the highest score first, last where there is none."""
    return -row.score.mean if row.score else np.inf


def _lost(at: xr.Dataset) -> xr.DataArray:
    accuracy = at.robust_accuracy.sel(arrangement="plain", n_train=at.n_train.max())
    return accuracy.sel(data_param="none", drop=True) - accuracy.drop_sel(data_param="none")


def _number(values: xr.DataArray) -> float | None:
    found = values.values[~np.isnan(values.values)]
    return float(found[0]) if found.size else None


# ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _claim(id_: str, statement: str, source: str, unit: str, effect: Callable, *models: str, **region: Any) -> Claim:
    return Claim(id_, statement, source, "–", unit, effect, requires={"model": (*ENDS, *models)}, **region)


def _between(model: str) -> Claim:
    statement = f"{learner_title(model)}: its accuracy lies between the MLP's and the CNN's"
    return _claim(f"between-{model}", statement, "blog", "of MLP … CNN", lambda r: place(r, model), model,
                  within=(0, 1))  # fmt: skip


def _score(id_: str, model: str, says: str, **region: Any) -> Claim:
    return _claim(
        f"{id_}-{model}", f"{learner_title(model)}: {says}", "here", "", lambda r: score(r, model), model, **region
    )


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


# ── table and figure ─────────────────────────────────────────────────────────────────────────────────────────────────


def table(results: xr.Dataset) -> Table:
    """Every model's row, the highest score first."""
    title = f"Spatial priors, mean over {results.sizes['seed']} seeds ± half of the 95 % interval"
    return table_of(rows(results), title)


def table_of(found: Sequence[Row], title: str) -> Table:
    """Rows as text."""
    columns = ("model", "score (MLP 0, CNN 1)", "plain (%)", "shuffled (%)", "parameters", "FLOPs/example")
    texts = [
        (row.title, interval_text(row.score, 2), *map(interval_text, (row.plain, row.shuffled)), count(row.n_params),
         count(row.flops))
        for row in found
    ]  # fmt: skip
    return Table(title, columns, texts)


def details(row: Row) -> Table:
    """One model's accuracy with fewer examples, and what it loses where a data parameter of the data is turned in the test."""
    sizes = [(f"{n} training examples", interval_text(value) + " %") for n, value in row.by_size.items()]
    data_params = [
        (f"{name} turned up", interval_text(value) + " points lost") for name, value in row.robustness.items()
    ]
    return Table(row.title, ("", ""), [*sizes, *data_params])


def count(value: float | None) -> str:
    """A whole number, its thousands apart."""
    return "–" if value is None else f"{value:,.0f}".replace(",", " ")


def figure(results: xr.Dataset) -> Figure:
    """Plain against shuffled accuracy, and the score, sorted; where there are several sizes, accuracy against them."""
    return drawn(rows(results))


def drawn(found: Sequence[Row], highlighted: str | None = None) -> Figure:
    """The figure of some rows, one of them perhaps highlighted."""
    sizes = sorted({n for row in found for n in row.by_size})
    colour = {row.model: _colour(row.model, highlighted) for row in found}
    with style():
        figure_ = Figure(figsize=(12 + 5 * bool(sizes), 1.8 + 0.26 * len(found)))
        axes = figure_.subplots(1, 2 + bool(sizes), width_ratios=(1.15, 1, 0.8)[: 2 + bool(sizes)])
        _draw_plane(axes[0], found, colour)
        _draw_scores(axes[1], found, colour)
        if sizes:
            _draw_sizes(axes[2], found, colour, sizes)
    return figure_


def _colour(model: str, highlighted: str | None) -> str:
    return {highlighted: COLOURS[2], "mlp": COLOURS[0], "cnn": COLOURS[1]}.get(model, "0.45")


def _error(value: Interval) -> list[list[float]] | None:
    return None if np.isnan(value.low) else [[value.mean - value.low], [value.high - value.mean]]


def _draw_plane(ax: Axes, found: Sequence[Row], colour: Mapping[str, str]) -> None:
    for row in found:
        ax.errorbar(row.shuffled.mean, row.plain.mean, _error(row.plain), _error(row.shuffled), fmt="o",
                    color=colour[row.model], markersize=4.5, linewidth=1, zorder=3)  # fmt: skip
    values = [value for row in found for value in (row.plain.mean, row.shuffled.mean)]
    ends, right = (min(values) - 3, max(values) + 3), max(row.shuffled.mean for row in found) + 3
    ax.plot((ends[0], right), (ends[0], right), color="0.6", linestyle="--", linewidth=1)
    ax.set(xlim=(ends[0], right + 0.42 * (right - ends[0])), ylim=ends, title="What shuffling costs (dashed: nothing)")
    ax.set(xlabel="test accuracy, positions shuffled (%)", ylabel="test accuracy, plain (%)")
    ax.set_xticks([tick for tick in ax.get_xticks() if ends[0] <= tick <= right])
    _draw_names(ax, found, colour, right + 0.03 * (right - ends[0]))


def _draw_names(ax: Axes, found: Sequence[Row], colour: Mapping[str, str], x: float) -> None:
    """Each name right of all dots, near its dot's height but clear of other names, a line leading there."""
    ordered = sorted(found, key=lambda row: row.plain.mean)
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


def _draw_scores(ax: Axes, found: Sequence[Row], colour: Mapping[str, str]) -> None:
    scored = [row for row in found if row.score is not None][::-1]
    for i, row in enumerate(scored):
        assert row.score is not None
        ax.barh(i, row.score.mean, color=colour[row.model], alpha=0.75, height=0.7)
        ax.errorbar(row.score.mean, i, xerr=_error(row.score), color="black", capsize=2, linewidth=1)
    for value in (0, 1):
        ax.axvline(value, color="0.6", linestyle=":", linewidth=1)
    if not scored:
        ax.text(0.5, 0.5, "no score: the costs of shuffling\nof MLP and CNN hardly differ", ha="center", va="center",
                transform=ax.transAxes)  # fmt: skip
    ax.set_yticks(range(len(scored)), [row.title for row in scored], fontsize=9)
    ax.set(xlabel="spatial-prior score (MLP 0, CNN 1; 95 % interval)", title="The continuum of spatial priors")
    ax.grid(visible=False, axis="y")


def _draw_sizes(ax: Axes, found: Sequence[Row], colour: Mapping[str, str], sizes: Sequence[int]) -> None:
    for row in found:
        if row.by_size:
            values = [row.by_size[n].mean for n in sizes if n in row.by_size]
            strong = colour[row.model] != "0.45"
            ax.plot([*(n for n in sizes if n in row.by_size), row.n_train], [*values, row.plain.mean], "o-",
                    color=colour[row.model], markersize=3, linewidth=2 if strong else 0.8, zorder=3 if strong else 2,
                    label=row.title if strong else None)  # fmt: skip
    ax.set_xscale("log")
    ticks = sorted({*sizes, *(row.n_train for row in found)})
    ax.set_xticks(ticks, [f"{n}" for n in ticks], minor=False)
    ax.minorticks_off()
    ax.set(xlabel="training examples", ylabel="test accuracy (%)", title="Sample efficiency")
    ax.legend(fontsize=8, loc="lower right")


# ── the stored reference rows ──────────────────────────────────────────────────────────────────────────────────────────

REFERENCE = Path(__file__).parents[1] / "artifacts" / "continuum.nc"


def condensed(results: xr.Dataset) -> xr.Dataset:
    """What `rows` needs of a run."""
    kept = results[["test_accuracy", "robust_accuracy", "n_params", "flops"]]
    return kept.sel(step=[results.step.values.max()])


def save_reference(results: xr.Dataset, path: Path = REFERENCE) -> None:
    """Keep what figures and leaderboards need of a run, to show a model among others."""
    netcdf.save(path, condensed(results).assign_attrs(results.attrs))


def load_reference(path: Path = REFERENCE) -> xr.Dataset:
    """What `save_reference` kept; by default the committed run of preset `quick`."""
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
