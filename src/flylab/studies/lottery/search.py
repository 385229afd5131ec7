"""The search for tickets, round by round, with its controls."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from flylab.base.rng import stream
from flylab.data import shared
from flylab.models import Model
from flylab.models.locality import NULLS, RUN_LENGTHS, locality
from flylab.models.masks import Mask, applied, first_layer, full, keep_highest, pack, prune, random_mask, unpack
from flylab.studies.lottery.criterion import scored
from flylab.studies.lottery.protocol import (
    ARRANGEMENTS,
    CRITERIA,
    Protocol,
    search_steps,
    searched_in,
)
from flylab.study import Context
from flylab.training.dispatch import run_members
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.objectives import under_mask
from flylab.training.step import Member, Plan
from flylab.training.train import Trained, TrainingRun, training_run

METRICS = ("loss", "accuracy", "best_accuracy", "train_accuracy")


class Pruned(NamedTuple):
    """What a criterion prunes next."""

    mask: Mask  # whose survivors are pruned further; one-shot pruning begins with all
    rewound: Any  # the weights to which survivors are rewound
    scores: Any  # the trained weights to rank


class Search(NamedTuple):
    """The search of one seed, between two rounds."""

    round: int  # the next one
    pruned: dict[str, Pruned]  # by criterion; random masks depend on nothing
    results: dict[str, np.ndarray]  # metrics and locality (criterion, sparsity, …), the ticket's masks (sparsity, byte)


def searched(protocol: Protocol, model: Model, users: Any, context: Context) -> dict[int, Search]:
    """Search for tickets, for all seeds side by side, and return the finished search of each.

    Args:
        protocol: the protocol.
        model: the dense network.
        users: a user's criterion, which is searched by itself, or None.
        context: seeds and key, and where the search resumes.
    """
    searches = {seed: _begun(protocol, model, users, seed, context) for seed in context.seeds}
    for number in range(min(search.round for search in searches.values()), protocol.n_rounds):
        due = {seed: search for seed, search in searches.items() if search.round == number}
        for seed, search in _round(protocol, model, users, due, number, context):
            searches[seed] = search
            if context.resume is not None:
                context.resume.save(seed, _to_dataset(search))
    return searches


def key_of(context: Context, seed: int):
    """Return the key of a seed."""
    return jax.random.fold_in(context.key, seed)


def criteria(users: Any) -> tuple[str, ...]:
    """Return the names of the criteria of one search; the first chooses the tickets."""
    return CRITERIA if users is None else (users.name,)


def _begun(protocol: Protocol, model: Model, users: Any, seed: int, context: Context) -> Search:
    """Return the search of a seed at its start, or at the round from which it resumes."""
    initial = jax.device_get(model.init(stream(key_of(context, seed), "init")))
    shape, all_ = (len(criteria(users)), protocol.n_rounds), full(initial)
    sizes = {"adjacency": (len(NULLS), len(RUN_LENGTHS)), "co_survival": (first_layer(all_).shape[1] - 1,)}
    sizes |= {f"search_{name}": () for name in METRICS}
    results: dict[str, np.ndarray] = {
        name: np.full((*shape, *size), np.nan, np.float32) for name, size in sizes.items()
    }
    results["mask"] = np.zeros((protocol.n_rounds, len(pack(all_))), np.uint8)
    pruned = {name: Pruned(all_, initial, initial) for name in criteria(users) if name != "random"}
    search = Search(0, pruned, results)
    saved = context.resume.load(seed) if context.resume is not None else None
    if saved is None:
        return search
    search = _from_dataset(saved, search)
    if context.progress is not None:
        context.progress(search_steps(protocol, search.round, users))
    return search


def _round(
    protocol: Protocol, model: Model, users: Any, searches: Mapping[int, Search], number: int, context: Context
) -> Iterator[tuple[int, Search]]:
    """Prune, train and score every seed once."""
    rewinds = number == 0 and protocol.rewind_to > 0
    saved_at = tuple(sorted({protocol.score_at, protocol.rewind_to} if rewinds else {protocol.score_at}))
    plan = Plan(protocol.n_steps, protocol.batch_size, save_params_at=saved_at)
    names, ticket = searched_in(protocol, number, users), criteria(users)[0]
    places = [(seed, name) for seed in searches for name in names]
    masks = {(seed, name): _mask(protocol, searches[seed], name, seed, number, users) for seed, name in places}
    trained = _trained(protocol, training_run(under_mask(model), plan), searches, masks, context)
    for seed, search in searches.items():
        measured = {
            name: locality(first_layer(masks[seed, name]), np.random.default_rng([seed, number, 1])) for name in names
        }
        for i, name in enumerate(criteria(users)):
            same = ticket if number == 0 and name in ("random", "one-shot") else name  # nothing is pruned yet
            if same in names:
                _record(search.results, (i, number), trained[seed, same], *measured[same])
        search.results["mask"][number] = pack(masks[seed, ticket])
        ranked = {name: name for name in names if name not in ("random", "one-shot")}
        if number == 0 and users is None:
            ranked["one-shot"] = ticket  # the dense network's weights, once and for all
        pruned = dict(search.pruned)
        for name, source in ranked.items():
            saved = dict(zip(saved_at, trained[seed, source].saved_params, strict=True))
            rewound = saved[protocol.rewind_to] if rewinds else pruned[name].rewound
            pruned[name] = Pruned(masks[seed, source], rewound, saved[protocol.score_at])
        yield seed, Search(number + 1, pruned, search.results)


def _trained(
    protocol: Protocol,
    run: TrainingRun,
    searches: Mapping[int, Search],
    masks: Mapping[tuple[int, str], Mask],
    context: Context,
) -> dict[tuple[int, str], Trained]:
    """Train every seed under the mask of every criterion, "shuffled" on shuffled data."""
    trained = {}
    for arrangement in ("plain", "shuffled"):
        places = [place for place in masks if (place[1] == "shuffled") == (arrangement == "shuffled")]
        if places:
            data = arranged(as_arrays(shared(protocol.data)), arrangement)
            members = (
                (data, member(protocol, key_of(context, seed), _state(searches[seed], name).rewound, masks[seed, name]))
                for seed, name in places
            )
            networks = run_members(run, members, one_data_set=True, progress=context.progress)
            trained |= dict(zip(places, networks, strict=True))
    return trained


def _state(search: Search, name: str) -> Pruned:
    """Return what a criterion prunes; a random mask has the ticket's weights."""
    return search.pruned["ticket" if name == "random" else name]


def _mask(protocol: Protocol, search: Search, name: str, seed: int, number: int, users: Any) -> Mask:
    mask, rewound, scores = _state(search, name)
    if number == 0:
        return mask
    if name == "random":
        return control_mask(protocol, rewound, seed, number)
    sparsity, ranking = protocol.sparsities[number], _ranking(protocol)
    if users is not None:
        return keep_highest(scored(users, rewound, scores), mask, sparsity, **ranking)
    return prune(scores, mask, sparsity, **ranking)


def _ranking(protocol: Protocol) -> dict[str, Any]:
    return {"scope": protocol.scope, "prune_biases": protocol.prune_biases}


def control_mask(protocol: Protocol, like, seed: int, number: int) -> Mask:
    """Return the random mask of a seed and round, independent of all others."""
    rng = np.random.default_rng([seed, number])
    return random_mask(like, protocol.sparsities[number], rng, **_ranking(protocol))


def member(protocol: Protocol, key, params, mask: Mask, learning_rate: float | None = None) -> Member:
    """Return the member that trains the parameters under the mask."""
    hparams = {"learning_rate": np.float32(learning_rate or protocol.learning_rate), "mask": mask}
    return Member(key, hparams, jax.device_get(applied(mask, params)))


def arranged(data: SplitArrays, arrangement: str, seed: int = 0) -> SplitArrays:
    """Return data with their positions in another order."""
    if arrangement == "plain":
        return data
    order = ARRANGEMENTS[arrangement](data.train.x.shape[1], seed)
    return data._replace(**{
        name: part._replace(x=part.x[:, list(order)]) for name, part in data._asdict().items() if part is not None
    })  # fmt: skip


def _record(results: dict[str, np.ndarray], place: tuple[int, int], trained: Trained, runs, co_survival) -> None:
    history = trained.history
    metrics = (history["test_loss"][-1], history["test_accuracy"][-1], history["test_accuracy"].max(),
               history["train_accuracy"][-1])  # fmt: skip
    for name, value in zip(METRICS, metrics, strict=True):
        results[f"search_{name}"][place] = value
    results["adjacency"][place], results["co_survival"][place] = runs, co_survival


def _to_dataset(search: Search) -> xr.Dataset:
    """Return a search as `resume` saves it; the masks of past rounds are among its results."""
    arrays = dict(search.results)
    for criterion, (mask, rewound, scores) in search.pruned.items():
        arrays[f"{criterion} mask"] = pack(mask)
        for name, tree in (("rewound", rewound), ("scores", scores)):
            arrays |= {f"{criterion} {name} {i}": leaf for i, leaf in enumerate(jax.tree.leaves(tree))}
    variables = {name: ([f"{name}_{i}" for i in range(array.ndim)], array) for name, array in arrays.items()}
    return xr.Dataset(variables, attrs={"round": search.round})


def _from_dataset(data: xr.Dataset, like: Search) -> Search:
    """Return the search that `_to_dataset` saved; `like` has its trees."""

    def of(criterion: str, state: Pruned) -> Pruned:
        leaves, tree = jax.tree.flatten(state.rewound)
        rewound, scores = (
            tree.unflatten([data[f"{criterion} {name} {i}"].values for i in range(len(leaves))])
            for name in ("rewound", "scores")
        )
        return Pruned(unpack(data[f"{criterion} mask"].values, state.rewound), rewound, scores)

    pruned = {name: of(name, state) for name, state in like.pruned.items()}
    return Search(int(data.attrs["round"]), pruned, {name: data[name].values for name in like.results})
