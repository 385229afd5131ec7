"""Lottery tickets: are there sparse networks, found by pruning, that learn better than the dense one, and why?

An MLP is trained, its smallest weights are pruned, the survivors are set back to their initial values, and so on
(Frankle & Carbin 2019); beside it, random masks of the same sparsity. Then the ticket at one sparsity is trained on
fresh data, plain and rearranged, and its first layer is searched for locality (Greydanus & Kobak 2024, section 4.1).
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
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import interval, plus_minus
from flylab.runs.runner import Resume
from flylab.study.protocol import BaseProtocol, Published
from flylab.study.study import Condition, Study, Table
from flylab.training.objectives import Objective, supervised
from flylab.training.population import Progress, run_members
from flylab.training.step import Member, Plan, SplitArrays, as_arrays
from flylab.training.train import Trained, training_run

TREATMENTS = ("dense", "random", "ticket", "reinitialised")
CRITERIA = ("ticket", "random")
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
    """Iterative magnitude pruning with rewinding, and the analysis of its tickets (Greydanus & Kobak 2024)."""

    n_rounds: Annotated[int, Meta(ge=2, le=MOST)] = 100
    """Rounds of pruning, the first of them dense."""
    schedule: Literal["linear", "geometric"] = "linear"
    """Sparsity over rounds: linear from 0 to 1, as published, or geometric: each round prunes the same share."""
    prune_rate: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    """Share of the surviving weights that a round of the geometric schedule prunes."""
    one_shot: bool = False
    """Prune each sparsity from the dense network at once, in place of round by round."""
    scope: Literal["layer", "global"] = "layer"
    """Rank the weights within each layer (its biases among them), or over the whole network."""
    prune_biases: bool = True
    """Prune biases like weights; otherwise all stay."""
    rewind_to: NonNegativeInt = 0
    """Step of the dense training to whose weights the survivors are rewound; 0 is the initialisation."""
    n_steps: PositiveInt = 1500
    """Optimiser steps of a round."""
    score_at: NonNegativeInt = 1000
    """Step whose weights are ranked."""
    random_every: PositiveInt = 1
    """Rounds between random controls."""
    batch_size: PositiveInt = 100
    """Examples per step of the search, in fixed order."""
    learning_rate: PositiveFloat = 2e-2
    """Adam's learning rate."""
    model: Published = "mlp"
    """The network."""
    width: PositiveInt = 500
    """Hidden units, or channels, of a network that has a choice of them."""
    analysed: Annotated[float, Meta(gt=0, lt=1)] = 0.92
    """Sparsity of the ticket to analyse; the nearest one is taken."""
    analysis_steps: PositiveInt = 6000
    """Optimiser steps of the analysis."""
    analysis_batch: PositiveInt = 500
    """Examples per step of the analysis."""
    analysis_every: PositiveInt = 250
    """Steps between evaluations in the analysis."""
    arrangements: tuple[Arrangement, ...] = get_args(Arrangement)
    """Arrangements of the fresh data. All treatments train on the plain one, dense network and ticket on the others."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """The data of the search. The analysis has fresh data, of generator seed 1000 + 2·seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("score_at", "rewind_to"):
            self._require(getattr(self, name) <= self.n_steps, name, f"at most n_steps={self.n_steps}")
        self._require("plain" in self.arrangements, "arrangements", "a list with plain in it")

    @property
    def sparsities(self) -> tuple[float, ...]:
        """The share that is pruned in each round."""
        if self.schedule == "linear":
            return tuple(np.linspace(0, 1, self.n_rounds).tolist())
        return tuple(1 - (1 - self.prune_rate) ** i for i in range(self.n_rounds))

    @property
    def analysed_round(self) -> int:
        """The round whose ticket is analysed."""
        return int(np.argmin(np.abs(np.array(self.sparsities) - self.analysed)))


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """One: a seed is a search with both criteria, and the analysis of what it finds."""
    return [{"model": protocol.model}]


# ── the search ───────────────────────────────────────────────────────────────────────────────────────────────────────


@functools.cache
def objective_of(model: Model) -> Objective:
    """Classification by the network under the mask that stands among the hparams."""
    return supervised(lambda hparams: masked(model, hparams["mask"]))


def _model(protocol: Protocol) -> Model:
    return tickets.model_of(protocol.model, protocol.width, protocol.data.final_seq_length, protocol.data.outputs)


class Search(NamedTuple):
    """The search of one seed, between two rounds."""

    round: int  # next
    mask: Mask  # of the next round's ticket
    rewound: Any  # the weights that survivors are set back to
    scores: Any  # the weights that are ranked: of the last round, or of the dense network if one-shot
    found: dict[str, np.ndarray]  # metrics (criterion, sparsity), masks (sparsity, byte), adjacency


def run(
    protocol: Protocol, condition: Condition, seeds: Sequence[int], *, key, artifacts=None, progress: Progress | None = None,
    resume: Resume | None = None,
) -> xr.Dataset:  # fmt: skip
    """The search, round by round for all seeds side by side, then the analysis."""
    model, keys = _model(protocol), {seed: jax.random.fold_in(key, seed) for seed in seeds}
    searches = {seed: _begun(protocol, model, keys[seed], seed, resume, progress) for seed in seeds}
    for number in range(min(one.round for one in searches.values()), protocol.n_rounds):
        due = [seed for seed in seeds if searches[seed].round == number]
        for seed, search in _round(protocol, model, keys, {seed: searches[seed] for seed in due}, number, progress):
            searches[seed] = search
            if resume is not None:
                resume.save(seed, _packed(search))
    parts: list[xr.Dataset] = []
    for seed, analysis in _analysis(protocol, model, keys, searches, progress):
        parts.append(xr.merge([_search_results(protocol, searches[seed], seed), analysis], join="outer"))
    return xr.concat(parts, "seed")


def _begun(protocol: Protocol, model: Model, key, seed: int, resume, progress: Progress | None) -> Search:
    """The search at its start, or where the resume has it."""
    initial = jax.device_get(model.init(stream(key, "init")))
    shape = len(CRITERIA), protocol.n_rounds
    found: dict[str, np.ndarray] = {
        name: np.full(shape, np.nan, np.float32) for name in ("loss", "accuracy", "best", "train_accuracy")
    }
    found["adjacency"] = np.full((*shape, len(RUN_LENGTHS)), np.nan, np.float32)
    found["mask"] = np.zeros((protocol.n_rounds, len(pack(full(initial)))), np.uint8)
    fresh = Search(0, full(initial), initial, initial, found)
    saved = resume.load(seed) if resume is not None else None
    if saved is None:
        return fresh
    search = _unpacked(saved, fresh)
    if progress is not None:
        progress(_search_steps(protocol, search.round))
    return search


def _search_steps(protocol: Protocol, n_rounds: int) -> int:
    """Optimiser steps of the first rounds of one seed."""
    return protocol.n_steps * (n_rounds + len(range(0, n_rounds, protocol.random_every)))


def _round(
    protocol: Protocol, model: Model, keys: Mapping[int, Any], searches: Mapping[int, Search], number: int,
    progress: Progress | None,
) -> Iterator[tuple[int, Search]]:  # fmt: skip
    """One round of pruning, training and scoring for every seed."""
    sparsity = protocol.sparsities[number]
    ranking: dict[str, Any] = {"scope": protocol.scope, "prune_biases": protocol.prune_biases}
    masks: dict[tuple[int, str], Mask] = {}
    for seed, search in searches.items():
        masks[seed, "ticket"] = prune(search.scores, search.mask, sparsity, **ranking) if number else search.mask
        if number % protocol.random_every == 0:
            masks[seed, "random"] = _by_chance(protocol, search.rewound, seed, number)
    rewinds = number == 0 and protocol.rewind_to > 0
    saved_at = tuple(sorted({protocol.score_at, protocol.rewind_to} if rewinds else {protocol.score_at}))
    plan = Plan(protocol.n_steps, protocol.batch_size, save_params_at=saved_at)
    data = as_arrays(_made(protocol.data))
    rate = np.float32(protocol.learning_rate)
    members: Iterator[tuple[SplitArrays, Member]] = (
        (data, Member(keys[seed], {"learning_rate": rate, "mask": mask}, applied_to(searches[seed].rewound, mask)))
        for (seed, _), mask in masks.items()
    )
    results = run_members(training_run(objective_of(model), plan), members, progress=progress)
    trained = dict(zip(masks, results, strict=True))
    for seed, search in searches.items():
        for i, criterion in enumerate(CRITERIA):
            if (seed, criterion) in trained:
                _note(search.found, i, number, masks[seed, criterion], trained[seed, criterion])
        search.found["mask"][number] = pack(masks[seed, "ticket"])
        saved = dict(zip(saved_at, trained[seed, "ticket"].saved_params, strict=True))
        yield (
            seed,
            Search(
                number + 1,
                search.mask if protocol.one_shot else masks[seed, "ticket"],
                saved[protocol.rewind_to] if rewinds else search.rewound,
                search.scores if protocol.one_shot and number else saved[protocol.score_at],
                search.found,
            ),
        )


def _by_chance(protocol: Protocol, like, seed: int, number: int) -> Mask:
    """The random control of a seed and round: independent of all others."""
    rng = np.random.default_rng([seed, number])
    ranking: dict[str, Any] = {"scope": protocol.scope, "prune_biases": protocol.prune_biases}
    return random_mask(like, protocol.sparsities[number], rng, **ranking)


def applied_to(params, mask: Mask):
    """The parameters under the mask, as NumPy arrays."""
    return jax.device_get(applied(mask, params))


def _note(found: dict[str, np.ndarray], i: int, number: int, mask: Mask, trained: Trained) -> None:
    history = trained.history
    found["loss"][i, number] = history["test_loss"][-1]
    found["accuracy"][i, number] = history["test_accuracy"][-1]
    found["best"][i, number] = history["test_accuracy"].max()
    found["train_accuracy"][i, number] = history["train_accuracy"][-1]
    found["adjacency"][i, number] = [adjacency(first_layer(mask), n) for n in RUN_LENGTHS]


@functools.lru_cache(maxsize=4)
def _made(config: MNIST1D):
    return published(config)


def _packed(search: Search) -> xr.Dataset:
    """A search as a file holds it; its masks are among what it has found."""
    arrays_ = {name: (tuple(f"{name}_{i}" for i in range(v.ndim)), v) for name, v in search.found.items()}
    for name in ("rewound", "scores"):
        leaves = jax.tree.leaves(getattr(search, name))
        arrays_ |= {f"{name}{i}": (tuple(f"{name}{i}_{j}" for j in range(v.ndim)), v) for i, v in enumerate(leaves)}
    arrays_["next_mask"] = (("byte",), pack(search.mask))
    return xr.Dataset(arrays_, attrs={"round": search.round})


def _unpacked(data: xr.Dataset, like: Search) -> Search:
    tree = jax.tree.structure(like.rewound)

    def leaves(name: str):
        return tree.unflatten([data[f"{name}{i}"].values for i in range(tree.num_leaves)])

    found = {name: data[name].values for name in like.found}
    mask = unpack(data["next_mask"].values, like.rewound)
    return Search(int(data.attrs["round"]), mask, leaves("rewound"), leaves("scores"), found)


# ── the analysis ─────────────────────────────────────────────────────────────────────────────────────────────────────


def analyses(protocol: Protocol) -> list[tuple[str, str]]:
    """Treatments × arrangements of the analysis: all treatments on plain data, dense network and ticket on rearranged ones."""
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
    analysed = analyses(protocol)
    plan = Plan(protocol.analysis_steps, protocol.analysis_batch, protocol.analysis_every)
    number = protocol.analysed_round

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for seed, search in searches.items():
            made = as_arrays(_made(replace(protocol.data, seed=1000 + 2 * seed)))
            ticket = unpack(search.found["mask"][number], search.rewound)
            other = jax.device_get(model.init(stream(keys[seed], "reinitialised")))
            treatments = {
                "dense": (search.rewound, full(search.rewound)),
                "random": (search.rewound, _by_chance(protocol, search.rewound, seed, number)),
                "ticket": (search.rewound, ticket), "reinitialised": (other, ticket),
            }  # fmt: skip
            rate = np.float32(protocol.learning_rate)
            for treatment, arrangement in analysed:
                params, mask = treatments[treatment]
                hparams = {"learning_rate": rate, "mask": mask}
                yield _arranged(made, arrangement), Member(keys[seed], hparams, applied_to(params, mask))

    def told(n: int) -> None:
        if progress is not None:
            progress(n * protocol.analysis_batch // protocol.batch_size)

    done = run_members(training_run(objective_of(model), plan), members(), progress=told)
    for seed in searches:
        yield seed, _analysis_results(plan, analysed, [next(done) for _ in analysed], seed)


def _arranged(data: SplitArrays, arrangement: str) -> SplitArrays:
    order = ARRANGEMENTS[arrangement](data.train.x.shape[1])
    return data if order is None else SplitArrays(*(one._replace(x=one.x[:, list(order)]) for one in data))


def _search_results(protocol: Protocol, search: Search, seed: int) -> xr.Dataset:
    found, dims = search.found, ("seed", "criterion", "sparsity")
    return xr.Dataset(
        {
            "search_loss": (dims, found["loss"][None]),
            "search_accuracy": (dims, found["accuracy"][None]),
            "search_best_accuracy": (dims, found["best"][None]),
            "search_train_accuracy": (dims, found["train_accuracy"][None]),
            "adjacency": ((*dims, "run_length"), found["adjacency"][None]),
            "mask": (("seed", "sparsity", "byte"), found["mask"][None]),
        },
        {
            "seed": [seed], "criterion": list(CRITERIA), "run_length": list(RUN_LENGTHS),
            "sparsity": [100 * value for value in protocol.sparsities],
        },
    )  # fmt: skip


def _analysis_results(plan: Plan, analysed: list[tuple[str, str]], trained: list[Trained], seed: int) -> xr.Dataset:
    arrangements = list(dict.fromkeys(arrangement for _, arrangement in analysed))
    shape = 1, len(TREATMENTS), len(arrangements), len(plan.evaluated)
    variables = {name: np.full(shape, np.nan, np.float32) for name in ("test_loss", "test_accuracy", "train_accuracy")}
    for (treatment, arrangement), one in zip(analysed, trained, strict=True):
        for name, values in variables.items():
            values[0, TREATMENTS.index(treatment), arrangements.index(arrangement)] = one.history[name]
    dims = ("seed", "treatment", "arrangement", "step")
    coords = {"seed": [seed], "treatment": list(TREATMENTS), "arrangement": arrangements, "step": list(plan.evaluated)}
    return xr.Dataset({name: (dims, values) for name, values in variables.items()}, coords)


# ── reading the results ──────────────────────────────────────────────────────────────────────────────────────────────


def protocol_in(results: xr.Dataset) -> Protocol:
    """The protocol that made the results."""
    return from_json(Protocol, results.attrs["protocol"])


def mask(results: xr.Dataset, *, seed: int = 0, sparsity: float | None = None) -> Mask:
    """A ticket: a tree of booleans like the model's parameters, to go on with.

    Args:
        results: of this study.
        seed: whose.
        sparsity: in percent, the nearest there is; by default the analysed one.
    """
    protocol = protocol_in(results)
    wanted = _analysed(results) if sparsity is None else sparsity
    bits = results["mask"].isel(model=0).sel(seed=seed).sel(sparsity=wanted, method="nearest").values
    return unpack(bits, _shapes(protocol))


def _shapes(protocol: Protocol):
    return jax.eval_shape(_model(protocol).init, jax.random.key(0))


def searched(results: xr.Dataset, variable: str, criterion: str, sparsity: float) -> xr.DataArray:
    """A metric of the search at the round nearest to a sparsity in percent, over `seed`; NaN if none is within 2."""
    chosen = (
        results[f"search_{variable}"].isel(model=0).sel(criterion=criterion).sel(sparsity=sparsity, method="nearest")
    )
    return chosen.where(abs(chosen.sparsity - sparsity) <= 2)


def gain_in_search(results: xr.Dataset, sparsity: float, variable: str = "accuracy") -> xr.DataArray:
    """Ticket − dense network in the search, over `seed`."""
    return searched(results, variable, "ticket", sparsity) - searched(results, variable, "ticket", 0)


def last(results: xr.Dataset, treatment: str, arrangement: str = "plain") -> xr.DataArray:
    """Test accuracy on fresh data after the last step, over `seed`."""
    return results.test_accuracy.isel(model=0, step=-1).sel(treatment=treatment, arrangement=arrangement)


def advantage(results: xr.Dataset, arrangement: str = "plain", treatment: str = "ticket") -> xr.DataArray:
    """Of an treatment over the dense network on fresh data, over `seed`."""
    return last(results, treatment, arrangement) - last(results, "dense", arrangement)


def locality(results: xr.Dataset, n: int, criterion: str = "ticket") -> xr.DataArray:
    """Runs of n adjacent survivors relative to chance, at the analysed sparsity, over `seed`."""
    chosen = results.adjacency.isel(model=0).sel(criterion=criterion, run_length=n)
    return chosen.sel(sparsity=_analysed(results), method="nearest")


def _analysed(results: xr.Dataset) -> float:
    """The analysed ticket's sparsity in percent."""
    protocol = protocol_in(results)
    return 100 * protocol.sparsities[protocol.analysed_round]


# ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _on(arrangement: str) -> dict[str, str]:
    return {"arrangement": arrangement}


def _adjacent(n: int) -> Claim:
    says = f"runs of {n} adjacent survivors in the first layer are more frequent than by chance"
    return Claim(f"adjacency-{n}", says,
                 "paper", "yes", "× chance", lambda r: locality(r, n), above=1)  # fmt: skip


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
          requires=_on("shuffled")),
    Claim("flipped", "on reversed signals the ticket keeps at least half of its advantage", "paper",
          "68.8 vs 64.6; 62.8 vs 63.1", "points", lambda r: advantage(r, "reversed") - 0.5 * advantage(r), above=0,
          requires=_on("reversed"), needs=PAPER),
    Claim("chunks-above-shuffled", "with halves exchanged the ticket's advantage is greater than on shuffled data",
          "nb-old", "66.2 vs 64.5; 61.9 vs 64.1", "points",
          lambda r: advantage(r, "exchanged") - advantage(r, "shuffled"), above=0,
          requires=_on("exchanged"), needs=PAPER),
    Claim("chunks-below-plain", "with halves exchanged the ticket's advantage is smaller than on plain data", "nb-old",
          "66.2 vs 64.5; 61.9 vs 64.1", "points", lambda r: advantage(r) - advantage(r, "exchanged"), above=0,
          requires=_on("exchanged"), needs=PAPER),
    *(_adjacent(n) for n in RUN_LENGTHS),
)  # fmt: skip


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────


def table(results: xr.Dataset) -> Table:
    """The treatments of the analysis on every arrangement, and the search at the same sparsity."""
    arrangements = results.arrangement.values.tolist()
    at = _analysed(results)
    in_search = {
        "dense": searched(results, "accuracy", "ticket", 0), "ticket": searched(results, "accuracy", "ticket", at),
        "random": searched(results, "accuracy", "random", at),
    }  # fmt: skip
    rows = [
        [
            treatment,
            plus_minus(in_search[treatment], skipna=False) if treatment in in_search else "–",
            *(plus_minus(last(results, treatment, one), skipna=False) for one in arrangements),
        ]
        for treatment in TREATMENTS
    ]
    title = (
        f"Test accuracy (%) at {at:.1f} % sparsity: in the search, and on fresh data; mean ± half of the 95 % interval"
    )
    return Table(title, ["network", "search", *arrangements], rows)


def figure(results: xr.Dataset) -> Figure:
    """The search over sparsity, the analysis of its ticket, and the ticket's first layer."""
    with style():
        drawn = Figure(figsize=(13, 11))
        rows: Any = drawn.subfigures(3, 1, height_ratios=(1, 1, 1.05))
        _draw_search(rows[0].subplots(1, 3), results)
        _draw_analysis(rows[1].subplots(1, 2, width_ratios=(1.2, 1)), results)
        _draw_masks(rows[2].subplots(1, 4, width_ratios=(1, 1, 0.8, 1.2)), results)
    return drawn


def _draw_search(axes, results: xr.Dataset) -> None:
    shown = {
        "search_accuracy": ("After the last step", "test accuracy (%)"),
        "search_best_accuracy": ("Best evaluation of a round", "test accuracy (%)"),
        "search_loss": ("After the last step", "test loss (nats)"),
    }
    at = _analysed(results)
    for ax, (name, (title, label)) in zip(axes, shown.items(), strict=True):
        for criterion in CRITERIA:
            curve = results[name].isel(model=0).sel(criterion=criterion).dropna("sparsity", how="all")
            band(ax, curve.sel(sparsity=curve.sparsity < 99.9), label=criterion, color=COLOUR[criterion], marker=".")
        dense = float(results[name].isel(model=0).sel(criterion="ticket").sel(sparsity=0, method="nearest").mean())
        ax.axhline(dense, color=COLOUR["dense"], linestyle="--", linewidth=1, label="dense")
        ax.axvline(at, color="0.7", linestyle=":", linewidth=1)
        ax.set(title=f"Search: {title[0].lower()}{title[1:]}", ylabel=label)
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
            _dot(
                right,
                last(results, treatment, arrangement),
                row + offset,
                COLOUR[treatment],
                treatment if row == 0 else "",
            )
    right.set(yticks=range(len(arrangements)), yticklabels=arrangements, ylim=(len(arrangements) - 0.4, -0.6),
              xlabel="test accuracy (%)", title="Fresh data: after the last step, by arrangement")  # fmt: skip
    right.legend(fontsize=8)


def _dot(ax, values: xr.DataArray, row: float, colour: str, label: str = "", vertical: bool = False) -> None:
    mean, low, high, _ = interval(values)
    reach = None if np.isnan(low) else [[mean - low], [high - mean]]
    if vertical:
        ax.errorbar(row, mean, yerr=reach, fmt="o", color=colour, capsize=3, label=label)
    else:
        ax.errorbar(mean, row, xerr=reach, fmt="o", color=colour, capsize=3, label=label)


def _draw_masks(axes, results: xr.Dataset) -> None:
    protocol, seed = protocol_in(results), int(results.seed[0])
    at = protocol.analysed_round
    pictures = {"ticket": mask(results, seed=seed), "random": _by_chance(protocol, _shapes(protocol), seed, at)}
    for ax, (name, one) in zip(axes, pictures.items(), strict=False):
        layer = first_layer(one)
        order = np.argsort(-layer.sum(1), kind="stable")
        ax.imshow(layer[order], aspect="auto", cmap="gray_r", interpolation="nearest")
        ax.set(title=f"First layer: {name} mask (seed {seed})", xlabel="input position", ylabel="unit, by survivors")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.grid(False)
    bars, curves = axes[2:]
    for offset, criterion in zip((-0.12, 0.12), CRITERIA, strict=True):
        for i, n in enumerate(RUN_LENGTHS):
            label = criterion if i == 0 else ""
            _dot(bars, locality(results, n, criterion), i + offset, COLOUR[criterion], label, vertical=True)
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


# ── the ticket as an artifact ────────────────────────────────────────────────────────────────────────────────────────


def save_ticket(results: xr.Dataset, provenance: Mapping[str, Any], path: Path, *, seed: int = 0) -> None:
    """Write the analysed ticket of one seed, for `flylab.models.tickets.load_ticket`.

    Its own initial weights are `model.init(stream(fold_in(key(0), seed), "init"))` under the mask.
    """
    origin = {"run": results.attrs["run"], "seed": seed, **provenance}
    tickets.save_ticket(mask(results, seed=seed), results.attrs["protocol"], origin, path)


def _work(protocol: Protocol, condition: Condition) -> int:
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
    n_steps=_work,
    minutes={"smoke": 0.6, "quick": 9.3, "paper": 33},
)  # fmt: skip
