"""The search for tickets, round by round, and their analysis on fresh data."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from flylab.base.rng import stream
from flylab.data import fresh, shared
from flylab.models import Model
from flylab.models.masks import (
    Mask,
    adjacency,
    applied,
    first_layer,
    full,
    keep_highest,
    pack,
    prune,
    random_mask,
    unpack,
)
from flylab.studies.lottery.protocol import (
    ARRANGEMENTS,
    CRITERIA,
    METRICS,
    RUN_LENGTHS,
    TREATMENTS,
    Protocol,
    analyses,
    network_of,
    objective_of,
    scored,
    search_steps,
)
from flylab.study import Condition, Context
from flylab.training.dispatch import run_members
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.step import Member, Plan
from flylab.training.train import Trained, training_run


class Search(NamedTuple):
    """The search of one seed, between two rounds."""

    round: int  # the next one
    mask: Mask  # of the ticket that the next round prunes further
    rewound: Any  # the weights to which survivors are rewound
    scores: Any  # the weights to rank: the last round's, or the dense network's if one-shot
    results: dict[str, np.ndarray]  # metrics and adjacency (criterion, sparsity, …), masks (sparsity, byte)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Search for tickets, round by round for all seeds side by side, then analyse them."""
    model = network_of(protocol)
    users = condition.get("criterion")  # a user's criterion, searched by itself, or None
    searches = {seed: _begin(protocol, model, users, seed, context) for seed in context.seeds}
    for number in range(min(search.round for search in searches.values()), protocol.n_rounds):
        due = {seed: search for seed, search in searches.items() if search.round == number}
        for seed, search in _round(protocol, model, users, due, number, context):
            searches[seed] = search
            if context.resume is not None:
                context.resume.save(seed, _to_dataset(search))
    parts = [
        xr.merge([_search_results(protocol, users, searches[seed], seed), analysis], join="outer")
        for seed, analysis in _analysis(protocol, model, users, searches, context)
    ]
    return xr.concat(parts, "seed")


def _key(context: Context, seed: int):
    return jax.random.fold_in(context.key, seed)


def _criteria(users: Any) -> tuple[str, ...]:
    """Return the names of the criteria of one search; the first chooses the tickets."""
    return CRITERIA if users is None else (users.name,)


def _begin(protocol: Protocol, model: Model, users: Any, seed: int, context: Context) -> Search:
    """Return the search of a seed at its start, or at the round from which it resumes."""
    initial = jax.device_get(model.init(stream(_key(context, seed), "init")))
    shape = len(_criteria(users)), protocol.n_rounds
    results: dict[str, np.ndarray] = {f"search_{name}": np.full(shape, np.nan, np.float32) for name in METRICS}
    results["adjacency"] = np.full((*shape, len(RUN_LENGTHS)), np.nan, np.float32)
    results["mask"] = np.zeros((protocol.n_rounds, len(pack(full(initial)))), np.uint8)
    search = Search(0, full(initial), initial, initial, results)
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
    ticket = _criteria(users)[0]
    sparsity, ranking = protocol.sparsities[number], _ranking(protocol)
    masks: dict[tuple[int, str], Mask] = {}
    for seed, search in searches.items():
        if number == 0:
            masks[seed, ticket] = search.mask
        elif users is None:
            masks[seed, ticket] = prune(search.scores, search.mask, sparsity, **ranking)
        else:
            scores = scored(users, search.rewound, search.scores)
            masks[seed, ticket] = keep_highest(scores, search.mask, sparsity, **ranking)
        if users is None and number % protocol.random_every == 0:
            masks[seed, "random"] = control_mask(protocol, search.rewound, seed, number)
    rewinds = number == 0 and protocol.rewind_to > 0
    saved_at = tuple(sorted({protocol.score_at, protocol.rewind_to} if rewinds else {protocol.score_at}))
    plan = Plan(protocol.n_steps, protocol.batch_size, save_params_at=saved_at)
    data = as_arrays(shared(protocol.data))
    members = (
        (data, _member(protocol, _key(context, seed), searches[seed].rewound, mask))
        for (seed, _), mask in masks.items()
    )
    run = training_run(objective_of(model), plan)
    trained_members = run_members(run, members, one_data_set=True, progress=context.progress)
    trained = dict(zip(masks, trained_members, strict=True))
    for seed, search in searches.items():
        for i, criterion in enumerate(_criteria(users)):
            if (seed, criterion) in trained:
                _record(search.results, (i, number), masks[seed, criterion], trained[seed, criterion])
        mask = masks[seed, ticket]
        search.results["mask"][number] = pack(mask)
        saved = dict(zip(saved_at, trained[seed, ticket].saved_params, strict=True))
        rewound = saved[protocol.rewind_to] if rewinds else search.rewound
        scores = search.scores if protocol.one_shot and number else saved[protocol.score_at]
        yield seed, Search(number + 1, search.mask if protocol.one_shot else mask, rewound, scores, search.results)


def _ranking(protocol: Protocol) -> dict[str, Any]:
    return {"scope": protocol.scope, "prune_biases": protocol.prune_biases}


def control_mask(protocol: Protocol, like, seed: int, number: int) -> Mask:
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


def _analysis(
    protocol: Protocol, model: Model, users: Any, searches: Mapping[int, Search], context: Context
) -> Iterator[tuple[int, xr.Dataset]]:
    """Train every treatment of every seed on fresh data."""
    analysed, number = analyses(protocol, users), protocol.analysed_round
    plan = Plan(protocol.analysis_steps, protocol.analysis_batch, protocol.analysis_every)

    def members() -> Iterator[tuple[SplitArrays, Member]]:
        for seed, search in searches.items():
            data = as_arrays(fresh(protocol.data)(seed))
            ticket = unpack(search.results["mask"][number], search.rewound)
            other = jax.device_get(model.init(stream(_key(context, seed), "reinitialised")))
            treatments = {
                "dense": (search.rewound, full(search.rewound)),
                "random": (search.rewound, control_mask(protocol, search.rewound, seed, number)),
                _criteria(users)[0]: (search.rewound, ticket), "reinitialised": (other, ticket),
            }  # fmt: skip
            for treatment, arrangement in analysed:
                yield _arranged(data, arrangement), _member(protocol, _key(context, seed), *treatments[treatment])

    def report(n: int) -> None:
        if context.progress is not None:
            context.progress(n * protocol.analysis_batch // protocol.batch_size)

    trained = run_members(training_run(objective_of(model), plan), members(), progress=report)
    for seed in searches:
        yield seed, _analysis_results(plan, analysed, [next(trained) for _ in analysed], seed)


def _arranged(data: SplitArrays, arrangement: str) -> SplitArrays:
    order = ARRANGEMENTS[arrangement](data.train.x.shape[1])
    if order is None:
        return data
    return data._replace(**{
        name: part._replace(x=part.x[:, list(order)]) for name, part in data._asdict().items() if part is not None
    })  # fmt: skip


def _search_results(protocol: Protocol, users: Any, search: Search, seed: int) -> xr.Dataset:
    dims = {"adjacency": ("criterion", "sparsity", "run_length"), "mask": ("sparsity", "byte")}
    variables = {
        name: (("seed", *dims.get(name, ("criterion", "sparsity"))), values[None])
        for name, values in search.results.items()
        if users is None or name != "mask"  # which is that of "ticket"
    }
    sparsities = [100 * sparsity for sparsity in protocol.sparsities]
    coords = {"seed": [seed], "criterion": [*_criteria(users)], "run_length": [*RUN_LENGTHS], "sparsity": sparsities}
    return xr.Dataset(variables, coords)


def _analysis_results(plan: Plan, analysed: list[tuple[str, str]], trained: list[Trained], seed: int) -> xr.Dataset:
    arrangements = list(dict.fromkeys(arrangement for _, arrangement in analysed))
    treatments = TREATMENTS if analysed[0][0] in TREATMENTS else (analysed[0][0],)
    shape = 1, len(treatments), len(arrangements), len(plan.evaluated)
    variables = {name: np.full(shape, np.nan, np.float32) for name in ("test_loss", "test_accuracy", "train_accuracy")}
    for (treatment, arrangement), network in zip(analysed, trained, strict=True):
        for name, values in variables.items():
            values[0, treatments.index(treatment), arrangements.index(arrangement)] = network.history[name]
    dims = ("seed", "treatment", "arrangement", "step")
    coords = {"seed": [seed], "treatment": list(treatments), "arrangement": arrangements, "step": list(plan.evaluated)}
    return xr.Dataset({name: (dims, values) for name, values in variables.items()}, coords)
