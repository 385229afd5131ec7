"""Lottery tickets: are there sparse networks, found by pruning, that learn better than the dense one, and why?

An MLP is trained, its smallest weights are pruned, the survivors are rewound to their initial values, and so on
(Frankle & Carbin 2019); random masks of the same sparsity are the control. Then the ticket at one sparsity is trained
on fresh data, plain and rearranged, and its first layer is tested for locality (Greydanus & Kobak 2024, section 4.1).
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args

import jax
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from msgspec import Meta

from flylab.base.config import from_json
from flylab.base.constraints import MOST, NonNegativeInt, PositiveFloat, PositiveInt
from flylab.base.rng import stream
from flylab.data import MNIST1D, exchanged, published, reversed_, shuffled
from flylab.models import Model, tickets
from flylab.models.masks import Mask, adjacency, applied, first_layer, full, masked, pack, prune, random_mask, unpack
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, dots, style
from flylab.results.statistics import plus_minus
from flylab.runs.runner import Resume
from flylab.study.protocol import BaseProtocol, Published
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import Objective, supervised
from flylab.training.population import Progress, run_members
from flylab.training.step import Member, Plan, SplitArrays, as_arrays
from flylab.training.train import Trained, training_run

TREATMENTS = ("dense", "random", "ticket", "reinitialised")
CRITERIA = ("ticket", "random")
METRICS = ("loss", "accuracy", "best_accuracy", "train_accuracy")
RUN_LENGTHS = (2, 3, 4)
Arrangement = Literal["plain", "shuffled", "reversed", "exchanged"]
ARRANGEMENTS = {
    "plain": lambda length: None,
    "shuffled": functools.partial(shuffled, seed=0),
    "reversed": reversed_,
    "exchanged": exchanged,
}
COLOUR = {"ticket": COLOURS[1], "random": COLOURS[0], "dense": "0.35", "reinitialised": COLOURS[2]}


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol: iterative magnitude pruning with rewinding, and an analysis of the tickets."""

    n_rounds: Annotated[int, Meta(ge=2, le=MOST)] = 100
    """Rounds of pruning; the first trains the dense network."""
    schedule: Literal["linear", "geometric"] = "linear"
    """Sparsity over rounds: linear from 0 to 1, as published, or geometric, where each round prunes the same share."""
    prune_rate: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    """Share of the surviving weights that a round of the geometric schedule prunes."""
    one_shot: bool = False
    """Prune the dense network to each sparsity at once instead of round by round."""
    scope: Literal["layer", "global"] = "layer"
    """Rank the weights within each layer, its biases included, or over the whole network."""
    prune_biases: bool = True
    """Prune biases like weights; otherwise keep all of them."""
    rewind_to: NonNegativeInt = 0
    """Step of the dense training to which the survivors are rewound; 0 is the initialisation."""
    n_steps: PositiveInt = 1500
    """Optimiser steps of a round."""
    score_at: NonNegativeInt = 1000
    """Step at which the weights are ranked."""
    random_every: PositiveInt = 1
    """Rounds between random controls."""
    batch_size: PositiveInt = 100
    """Examples per step of the search, in fixed order."""
    learning_rate: PositiveFloat = 2e-2
    """Adam's learning rate."""
    model: Published = "mlp"
    """The network."""
    width: PositiveInt = 500
    """Hidden units, or channels; logistic regression has none."""
    analysed: Annotated[float, Meta(gt=0, lt=1)] = 0.92
    """Sparsity of the ticket to analyse; the round with the nearest sparsity is taken."""
    analysis_steps: PositiveInt = 6000
    """Optimiser steps of the analysis."""
    analysis_batch: PositiveInt = 500
    """Examples per step of the analysis."""
    analysis_every: PositiveInt = 250
    """Steps between evaluations in the analysis."""
    arrangements: tuple[Arrangement, ...] = get_args(Arrangement)
    """Arrangements of the fresh data. All treatments train on plain data; only dense network and ticket on others."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """The data set of the search. The analysis uses new data for each seed (generator seed 1000 + 2·seed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("score_at", "rewind_to"):
            self._require(getattr(self, name) <= self.n_steps, name, f"an integer ≤ n_steps={self.n_steps}")
        self._require("plain" in self.arrangements, "arrangements", "a list that contains plain")

    @property
    def sparsities(self) -> tuple[float, ...]:
        """The share of pruned weights in each round."""
        if self.schedule == "linear":
            return tuple(np.linspace(0, 1, self.n_rounds).tolist())
        return tuple(1 - (1 - self.prune_rate) ** i for i in range(self.n_rounds))

    @property
    def analysed_round(self) -> int:
        """The round whose ticket is analysed."""
        return int(np.argmin(np.abs(np.array(self.sparsities) - self.analysed)))


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return the only condition: each seed runs a search with both criteria, and the analysis of its ticket."""
    return [{"model": protocol.model}]


@functools.cache
def objective_of(model: Model) -> Objective:
    """Return the objective of supervised learning under a mask, which is one of the hyper-parameters."""
    return supervised(lambda hparams: masked(model, hparams["mask"]))


def _model(protocol: Protocol) -> Model:
    return tickets.model_of(protocol.model, protocol.width, protocol.data.final_seq_length, protocol.data.outputs)


class Search(NamedTuple):
    """The search of one seed, between two rounds."""

    round: int  # the next one
    mask: Mask  # of the ticket that the next round prunes further
    rewound: Any  # the weights to which survivors are rewound
    scores: Any  # the weights to rank: the last round's, or the dense network's if one-shot
    results: dict[str, np.ndarray]  # metrics and adjacency (criterion, sparsity, …), masks (sparsity, byte)


def run(
    protocol: Protocol, condition: Condition, seeds: Sequence[int], *, key, artifacts=None,
    progress: Progress | None = None, resume: Resume | None = None,
) -> xr.Dataset:  # fmt: skip
    """Search for tickets, round by round for all seeds side by side, then analyse them."""
    model, keys = _model(protocol), {seed: jax.random.fold_in(key, seed) for seed in seeds}
    searches = {seed: _begin(protocol, model, keys[seed], seed, resume, progress) for seed in seeds}
    for number in range(min(search.round for search in searches.values()), protocol.n_rounds):
        due = {seed: search for seed, search in searches.items() if search.round == number}
        for seed, search in _round(protocol, model, keys, due, number, progress):
            searches[seed] = search
            if resume is not None:
                resume.save(seed, _to_dataset(search))
    parts = [
        xr.merge([_search_results(protocol, searches[seed], seed), analysis], join="outer")
        for seed, analysis in _analysis(protocol, model, keys, searches, progress)
    ]
    return xr.concat(parts, "seed")


def _begin(protocol: Protocol, model: Model, key, seed: int, resume, progress: Progress | None) -> Search:
    """Return the search of a seed at its start, or at the round from which it resumes."""
    initial = jax.device_get(model.init(stream(key, "init")))
    shape = len(CRITERIA), protocol.n_rounds
    results: dict[str, np.ndarray] = {f"search_{name}": np.full(shape, np.nan, np.float32) for name in METRICS}
    results["adjacency"] = np.full((*shape, len(RUN_LENGTHS)), np.nan, np.float32)
    results["mask"] = np.zeros((protocol.n_rounds, len(pack(full(initial)))), np.uint8)
    search = Search(0, full(initial), initial, initial, results)
    saved = resume.load(seed) if resume is not None else None
    if saved is None:
        return search
    search = _from_dataset(saved, search)
    if progress is not None:
        progress(_search_steps(protocol, search.round))
    return search


def _search_steps(protocol: Protocol, n_rounds: int) -> int:
    """Return the optimiser steps of the first `n_rounds` rounds of one seed."""
    return protocol.n_steps * (n_rounds + len(range(0, n_rounds, protocol.random_every)))


def _round(
    protocol: Protocol, model: Model, keys: Mapping[int, Any], searches: Mapping[int, Search], number: int,
    progress: Progress | None,
) -> Iterator[tuple[int, Search]]:  # fmt: skip
    """Prune, train and score every seed once."""
    sparsity, ranking = protocol.sparsities[number], _ranking(protocol)
    masks: dict[tuple[int, str], Mask] = {}
    for seed, search in searches.items():
        masks[seed, "ticket"] = prune(search.scores, search.mask, sparsity, **ranking) if number else search.mask
        if number % protocol.random_every == 0:
            masks[seed, "random"] = _control_mask(protocol, search.rewound, seed, number)
    rewinds = number == 0 and protocol.rewind_to > 0
    saved_at = tuple(sorted({protocol.score_at, protocol.rewind_to} if rewinds else {protocol.score_at}))
    plan = Plan(protocol.n_steps, protocol.batch_size, save_params_at=saved_at)
    data = as_arrays(_splits(protocol.data))
    members = ((data, _member(protocol, keys[seed], searches[seed].rewound, mask)) for (seed, _), mask in masks.items())
    trained_members = run_members(training_run(objective_of(model), plan), members, progress=progress)
    trained = dict(zip(masks, trained_members, strict=True))
    for seed, search in searches.items():
        for i, criterion in enumerate(CRITERIA):
            if (seed, criterion) in trained:
                _record(search.results, (i, number), masks[seed, criterion], trained[seed, criterion])
        mask = masks[seed, "ticket"]
        search.results["mask"][number] = pack(mask)
        saved = dict(zip(saved_at, trained[seed, "ticket"].saved_params, strict=True))
        rewound = saved[protocol.rewind_to] if rewinds else search.rewound
        scores = search.scores if protocol.one_shot and number else saved[protocol.score_at]
        yield seed, Search(number + 1, search.mask if protocol.one_shot else mask, rewound, scores, search.results)


def _ranking(protocol: Protocol) -> dict[str, Any]:
    return {"scope": protocol.scope, "prune_biases": protocol.prune_biases}


def _control_mask(protocol: Protocol, like, seed: int, number: int) -> Mask:
    """Return the random mask of a seed and round, independent of all others."""
    rng = np.random.default_rng([seed, number])
    return random_mask(like, protocol.sparsities[number], rng, **_ranking(protocol))


def _member(protocol: Protocol, key, params, mask: Mask) -> Member:
    """Return the member that trains the parameters under the mask."""
    hparams = {"learning_rate": np.float32(protocol.learning_rate), "mask": mask}
    return Member(key, hparams, jax.device_get(applied(mask, params)))


def _record(results: dict[str, np.ndarray], place: tuple[int, int], mask: Mask, trained: Trained) -> None:
    history = trained.history
    metrics = (history["test_loss"][-1], history["test_accuracy"][-1], history["test_accuracy"].max(),
               history["train_accuracy"][-1])  # fmt: skip
    for name, value in zip(METRICS, metrics, strict=True):
        results[f"search_{name}"][place] = value
    results["adjacency"][place] = [adjacency(first_layer(mask), n) for n in RUN_LENGTHS]


_splits = functools.lru_cache(maxsize=4)(published)


def _to_dataset(search: Search) -> xr.Dataset:
    """Return a search as `resume` saves it; the masks of past rounds are among its results."""
    arrays = dict(search.results) | {"next_mask": pack(search.mask)}
    for name in ("rewound", "scores"):
        arrays |= {f"{name}{i}": leaf for i, leaf in enumerate(jax.tree.leaves(getattr(search, name)))}
    variables = {name: ([f"{name}_{i}" for i in range(array.ndim)], array) for name, array in arrays.items()}
    return xr.Dataset(variables, attrs={"round": search.round})


def _from_dataset(data: xr.Dataset, like: Search) -> Search:
    """Return the search that `_to_dataset` saved; `like` has its trees."""
    tree = jax.tree.structure(like.rewound)
    rewound, scores = (
        tree.unflatten([data[f"{name}{i}"].values for i in range(tree.num_leaves)]) for name in ("rewound", "scores")
    )
    results = {name: data[name].values for name in like.results}
    return Search(int(data.attrs["round"]), unpack(data["next_mask"].values, like.rewound), rewound, scores, results)


def analyses(protocol: Protocol) -> list[tuple[str, str]]:
    """Return the pairs of treatment and arrangement to train: all treatments on plain data, two of them on others."""
    return [
        (treatment, arrangement)
        for arrangement in protocol.arrangements
        for treatment in TREATMENTS
        if arrangement == "plain" or treatment in ("dense", "ticket")
    ]


def _analysis(
    protocol: Protocol, model: Model, keys: Mapping[int, Any], searches: Mapping[int, Search],
    progress: Progress | None,
) -> Iterator[tuple[int, xr.Dataset]]:  # fmt: skip
    """Train every treatment of every seed on fresh data."""
    analysed, number = analyses(protocol), protocol.analysed_round
    plan = Plan(protocol.analysis_steps, protocol.analysis_batch, protocol.analysis_every)

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for seed, search in searches.items():
            data = as_arrays(_splits(replace(protocol.data, seed=1000 + 2 * seed)))
            ticket = unpack(search.results["mask"][number], search.rewound)
            other = jax.device_get(model.init(stream(keys[seed], "reinitialised")))
            treatments = {
                "dense": (search.rewound, full(search.rewound)),
                "random": (search.rewound, _control_mask(protocol, search.rewound, seed, number)),
                "ticket": (search.rewound, ticket), "reinitialised": (other, ticket),
            }  # fmt: skip
            for treatment, arrangement in analysed:
                yield _arranged(data, arrangement), _member(protocol, keys[seed], *treatments[treatment])

    def report(n: int) -> None:
        if progress is not None:
            progress(n * protocol.analysis_batch // protocol.batch_size)

    trained = run_members(training_run(objective_of(model), plan), members(), progress=report)
    for seed in searches:
        yield seed, _analysis_results(plan, analysed, [next(trained) for _ in analysed], seed)


def _arranged(data: SplitArrays, arrangement: str) -> SplitArrays:
    order = ARRANGEMENTS[arrangement](data.train.x.shape[1])
    return data if order is None else SplitArrays(*(part._replace(x=part.x[:, list(order)]) for part in data))


def _search_results(protocol: Protocol, search: Search, seed: int) -> xr.Dataset:
    dims = {"adjacency": ("criterion", "sparsity", "run_length"), "mask": ("sparsity", "byte")}
    variables = {
        name: (("seed", *dims.get(name, ("criterion", "sparsity"))), values[None])
        for name, values in search.results.items()
    }
    sparsities = [100 * sparsity for sparsity in protocol.sparsities]
    coords = {"seed": [seed], "criterion": [*CRITERIA], "run_length": [*RUN_LENGTHS], "sparsity": sparsities}
    return xr.Dataset(variables, coords)


def _analysis_results(plan: Plan, analysed: list[tuple[str, str]], trained: list[Trained], seed: int) -> xr.Dataset:
    arrangements = list(dict.fromkeys(arrangement for _, arrangement in analysed))
    shape = 1, len(TREATMENTS), len(arrangements), len(plan.evaluated)
    variables = {name: np.full(shape, np.nan, np.float32) for name in ("test_loss", "test_accuracy", "train_accuracy")}
    for (treatment, arrangement), network in zip(analysed, trained, strict=True):
        for name, values in variables.items():
            values[0, TREATMENTS.index(treatment), arrangements.index(arrangement)] = network.history[name]
    dims = ("seed", "treatment", "arrangement", "step")
    coords = {"seed": [seed], "treatment": list(TREATMENTS), "arrangement": arrangements, "step": list(plan.evaluated)}
    return xr.Dataset({name: (dims, values) for name, values in variables.items()}, coords)


def protocol_in(results: xr.Dataset) -> Protocol:
    """Return the protocol of the results."""
    return from_json(Protocol, results.attrs["protocol"])


def mask(results: xr.Dataset, *, seed: int = 0, sparsity: float | None = None) -> Mask:
    """Return a ticket's mask: a tree of booleans like the model's parameters.

    Args:
        results: results of this study.
        seed: the seed.
        sparsity: sparsity in percent; the nearest is taken. By default, that of the analysed ticket.
    """
    sparsity = _analysed(results) if sparsity is None else sparsity
    bits = results["mask"].isel(model=0).sel(seed=seed).sel(sparsity=sparsity, method="nearest").values
    return unpack(bits, _shapes(protocol_in(results)))


def _shapes(protocol: Protocol):
    return jax.eval_shape(_model(protocol).init, jax.random.key(0))


def searched(results: xr.Dataset, variable: str, criterion: str, sparsity: float) -> xr.DataArray:
    """Return a metric of the search over `seed` at a sparsity in percent; NaN if no round is within 2 points of it."""
    values = results[f"search_{variable}"].isel(model=0).sel(criterion=criterion)
    nearest = values.sel(sparsity=sparsity, method="nearest")
    return nearest.where(abs(nearest.sparsity - sparsity) <= 2)


def gain_in_search(results: xr.Dataset, sparsity: float, variable: str = "accuracy") -> xr.DataArray:
    """Return the difference between ticket and dense network in the search, over `seed`."""
    return searched(results, variable, "ticket", sparsity) - searched(results, variable, "ticket", 0)


def last(results: xr.Dataset, treatment: str, arrangement: str = "plain") -> xr.DataArray:
    """Return the test accuracy on fresh data after the last step, over `seed`."""
    return results.test_accuracy.isel(model=0, step=-1).sel(treatment=treatment, arrangement=arrangement)


def advantage(results: xr.Dataset, arrangement: str = "plain", treatment: str = "ticket") -> xr.DataArray:
    """Return the advantage of a treatment over the dense network on fresh data, over `seed`."""
    return last(results, treatment, arrangement) - last(results, "dense", arrangement)


def locality(results: xr.Dataset, n: int, criterion: str = "ticket") -> xr.DataArray:
    """Return the runs of `n` adjacent survivors relative to chance, at the analysed sparsity, over `seed`."""
    ratio = results.adjacency.isel(model=0).sel(criterion=criterion, run_length=n)
    return ratio.sel(sparsity=_analysed(results), method="nearest")


def _analysed(results: xr.Dataset) -> float:
    """Return the analysed ticket's sparsity in percent."""
    protocol = protocol_in(results)
    return 100 * protocol.sparsities[protocol.analysed_round]


PAPER = "needs the preset paper"
CLAIMS = (
    Claim("beats-dense-search", "in the search, the ticket at 92 % beats the dense network by at least 3 points", "nb",
          "75.0 vs 61–66", "points", lambda r: gain_in_search(r, _analysed(r)), above=3),
    Claim("beats-dense-fresh", "on fresh data the ticket beats the dense network by at least 3 points", "blog, nb-old",
          "70.6 vs 63.6; 65.9 vs 64.2", "points", advantage, above=3),
    Claim("beats-random", "on fresh data the ticket beats a random mask by at least 5 points", "nb-old", "71 vs 58",
          "points", lambda r: last(r, "ticket") - last(r, "random"), above=5),
    Claim("very-sparse", "in the search, the ticket at 96 % still beats the dense network", "paper", "yes", "points",
          lambda r: gain_in_search(r, 96), above=0),
    Claim("loss-search", "in the search, the ticket's last test loss is below the dense network's", "nb", "yes", "nats",
          lambda r: gain_in_search(r, _analysed(r), "loss"), below=0),
    Claim("rewind-matters", "the ticket with its own initial weights beats the ticket with fresh ones", "here",
          "70.6 vs 67.3; 65.9 vs 65.5", "points", lambda r: last(r, "ticket") - last(r, "reinitialised"), above=0),
    Claim("reinit", "the ticket with fresh weights beats the dense network", "paper, nb", "67.3 vs 64.0; 65.5 vs 63.8",
          "points", lambda r: advantage(r, treatment="reinitialised"), above=0),
    Claim("shuffled", "on shuffled data the ticket is no better than the dense network (by 0.5 points at most)",
          "paper, nb", "62.8 vs 64.6; 62.8 vs 63.8", "points", lambda r: advantage(r, "shuffled"), below=0.5,
          requires={"arrangement": "shuffled"}),
    Claim("flipped", "on reversed signals the ticket keeps at least half of its advantage", "paper",
          "68.8 vs 64.6; 62.8 vs 63.1", "points", lambda r: advantage(r, "reversed") - 0.5 * advantage(r), above=0,
          requires={"arrangement": "reversed"}, needs=PAPER),
    Claim("chunks-above-shuffled", "with halves exchanged the ticket's advantage is greater than on shuffled data",
          "nb-old", "66.2 vs 64.5; 61.9 vs 64.1", "points",
          lambda r: advantage(r, "exchanged") - advantage(r, "shuffled"), above=0,
          requires={"arrangement": "exchanged"}, needs=PAPER),
    Claim("chunks-below-plain", "with halves exchanged the ticket's advantage is smaller than on plain data", "nb-old",
          "66.2 vs 64.5; 61.9 vs 64.1", "points", lambda r: advantage(r) - advantage(r, "exchanged"), above=0,
          requires={"arrangement": "exchanged"}, needs=PAPER),
    *(Claim(f"adjacency-{n}", f"runs of {n} adjacent survivors in the first layer are more frequent than by chance",
            "paper", "yes", "× chance", lambda r, n=n: locality(r, n), above=1) for n in RUN_LENGTHS),
)  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return the accuracy of every treatment in the search at the analysed sparsity, and on every arrangement."""
    arrangements = results.arrangement.values.tolist()
    at = _analysed(results)
    places = {"dense": ("ticket", 0), "ticket": ("ticket", at), "random": ("random", at)}
    rows = []
    for treatment in TREATMENTS:
        in_search = [searched(results, "accuracy", *places[treatment])] if treatment in places else [np.nan]
        on_fresh = (last(results, treatment, arrangement) for arrangement in arrangements)
        rows.append([treatment, *(plus_minus(values, skipna=False) for values in (*in_search, *on_fresh))])
    title = (
        f"Test accuracy (%) at {at:.1f} % sparsity: in the search, and on fresh data; mean ± half of the 95 % interval"
    )
    return Table(title, ["network", "search", *arrangements], rows)


def figure(results: xr.Dataset) -> Figure:
    """Plot the search over sparsity, the analysis of its ticket, and the ticket's first layer."""
    with style():
        drawn = Figure(figsize=(13, 11))
        rows: Any = drawn.subfigures(3, 1, height_ratios=(1, 1, 1.05))
        _draw_search(rows[0].subplots(1, 3), results)
        _draw_analysis(rows[1].subplots(1, 2, width_ratios=(1.2, 1)), results)
        _draw_masks(rows[2].subplots(1, 4, width_ratios=(1, 1, 0.8, 1.2)), results)
    return drawn


def _draw_search(axes, results: xr.Dataset) -> None:
    panels = (
        ("accuracy", "after the last step", "test accuracy (%)"),
        ("best_accuracy", "best evaluation of a round", "test accuracy (%)"),
        ("loss", "after the last step", "test loss (nats)"),
    )
    for ax, (name, title, label) in zip(axes, panels, strict=True):
        for criterion in CRITERIA:
            curve = results[f"search_{name}"].isel(model=0).sel(criterion=criterion).dropna("sparsity", how="all")
            band(ax, curve.sel(sparsity=curve.sparsity < 99.9), label=criterion, color=COLOUR[criterion], marker=".")
        dense = float(searched(results, name, "ticket", 0).mean())
        ax.axhline(dense, color=COLOUR["dense"], linestyle="--", linewidth=1, label="dense")
        ax.axvline(_analysed(results), color="0.7", linestyle=":", linewidth=1)
        ax.set(title=f"Search: {title}", ylabel=label)
    axes[0].legend(fontsize=8)


def _draw_analysis(axes, results: xr.Dataset) -> None:
    left, right = axes
    for treatment in TREATMENTS:
        curve = results.test_accuracy.isel(model=0).sel(treatment=treatment, arrangement="plain")
        band(left, curve, label=treatment, color=COLOUR[treatment])
    left.set(title="Fresh data: learning curves (mean and 95 % interval)")
    left.legend(fontsize=8, loc="lower right", ncols=2)
    arrangements = results.arrangement.values.tolist()
    for row, arrangement in enumerate(arrangements):
        for offset, treatment in zip((-0.15, 0.15), ("dense", "ticket"), strict=True):
            values, label = last(results, treatment, arrangement), "" if row else treatment
            dots(right, values, row + offset, horizontal=True, color=COLOUR[treatment], label=label)
    right.set(yticks=range(len(arrangements)), yticklabels=arrangements, ylim=(len(arrangements) - 0.4, -0.6),
              xlabel="test accuracy (%)", title="Fresh data: after the last step, by arrangement")  # fmt: skip
    right.legend(fontsize=8)


def _draw_masks(axes, results: xr.Dataset) -> None:
    protocol, seed = protocol_in(results), int(results.seed[0])
    control = _control_mask(protocol, _shapes(protocol), seed, protocol.analysed_round)
    for ax, name, shown in zip(axes, CRITERIA, (mask(results, seed=seed), control), strict=False):
        layer = first_layer(shown)
        order = np.argsort(-layer.sum(1), kind="stable")
        ax.imshow(layer[order], aspect="auto", cmap="gray_r", interpolation="nearest")
        ax.set(title=f"First layer: {name} mask (seed {seed})", xlabel="input position", ylabel="unit, by survivors")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.grid(False)
    bars, curves = axes[2:]
    for offset, criterion in zip((-0.12, 0.12), CRITERIA, strict=True):
        for i, n in enumerate(RUN_LENGTHS):
            values, label = locality(results, n, criterion), "" if i else criterion
            dots(bars, values, i + offset, color=COLOUR[criterion], label=label)
    for n, line in zip(RUN_LENGTHS, ("-", "--", ":"), strict=True):
        curve = results.adjacency.isel(model=0).sel(criterion="ticket", run_length=n).dropna("sparsity", how="any")
        band(curves, curve, label=f"{n} adjacent", color=COLOUR["ticket"], linestyle=line)
    for ax in (bars, curves):
        ax.axhline(1, color="0.5", linewidth=1)
        ax.set(ylabel="runs of adjacent survivors (× chance)")
        ax.legend(fontsize=8)
    bars.set(title="Locality", xticks=range(len(RUN_LENGTHS)), xticklabels=RUN_LENGTHS, xlabel="adjacent survivors",
             xlim=(-0.5, len(RUN_LENGTHS) - 0.5))  # fmt: skip
    curves.set(title="… over the search")


def save_ticket(results: xr.Dataset, provenance: Mapping[str, Any], path: Path, *, seed: int = 0) -> None:
    """Save the analysed ticket of one seed, for `flylab.models.tickets.load_ticket`.

    The ticket's initial weights are `model.init(stream(fold_in(key(0), seed), "init"))` under the mask.
    """
    origin = {"run": results.attrs["run"], "seed": seed, **provenance}
    tickets.save_ticket(mask(results, seed=seed), results.attrs["protocol"], origin, path)


def _n_steps(protocol: Protocol, condition: Condition) -> int:
    per_step = protocol.analysis_batch // protocol.batch_size
    return _search_steps(protocol, protocol.n_rounds) + len(analyses(protocol)) * protocol.analysis_steps * per_step


_TINY = MNIST1D(n_train=200, n_valid=100, n_test=100)
STUDY = Study(
    question="Are there sparse networks that learn better than the dense one they were found in, and why?",
    presets={
        "smoke": Protocol(n_seeds=2, n_rounds=3, schedule="geometric", prune_rate=0.6, n_steps=30, score_at=20,
                          width=20, analysis_steps=20, analysis_batch=200, analysis_every=10, data=_TINY),
        "quick": Protocol(n_seeds=6, n_rounds=14, schedule="geometric", prune_rate=0.2232, random_every=5,
                          analysis_steps=1000, analysis_every=100, arrangements=("plain", "shuffled")),
        "paper": Protocol(n_seeds=2),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    n_steps=_n_steps,
    minutes={"smoke": 0.6, "quick": 9.3, "paper": 33},
)  # fmt: skip
