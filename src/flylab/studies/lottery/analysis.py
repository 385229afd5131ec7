"""The analysis of a ticket on fresh data, beside the networks and controls that it is compared with."""

import bisect
import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from flylab.base.rng import stream
from flylab.data import fresh
from flylab.models import Model
from flylab.models.masks import Mask, full, rewired_mask, unpack
from flylab.studies.lottery.protocol import (
    TREATMENTS,
    TUNED,
    Protocol,
    analysed_steps,
    analyses,
    network_of,
)
from flylab.studies.lottery.search import Search, arranged, control_mask, key_of, member
from flylab.study import Context
from flylab.training.dispatch import run_members
from flylab.training.inputs import SplitArrays, as_arrays
from flylab.training.objectives import under_mask
from flylab.training.step import Member
from flylab.training.train import training_run

VARIABLES = ("test_loss", "test_accuracy", "train_accuracy")
History = Mapping[str, Any]


class Arm(NamedTuple):
    """One training of the analysis."""

    seed: int
    arrangement: str
    treatment: str
    learning_rate: float


def analysis(
    protocol: Protocol, model: Model, users: Any, searches: Mapping[int, Search], context: Context
) -> Iterator[xr.Dataset]:
    """Train every treatment of every seed on fresh data, and yield the results of each seed."""
    groups: dict[tuple, list[Arm]] = {}  # of one program
    for seed in searches:
        for treatment, arrangement in analyses(protocol, users):
            network = small_network(protocol) if treatment == "small" else model
            run = training_run(under_mask(network), protocol.plan(treatment, arrangement))
            rates = protocol.tuned_rates if treatment in TUNED else (protocol.learning_rate,)
            groups.setdefault((run, network), []).extend(Arm(seed, arrangement, treatment, rate) for rate in rates)

    @functools.lru_cache(maxsize=2)
    def data_of(seed: int, arrangement: str) -> SplitArrays:
        return arranged(as_arrays(fresh(protocol.data)(seed)), arrangement, seed)

    def members(network: Model, arms: list[Arm]) -> Iterator[tuple[SplitArrays, Member]]:
        for seed, arrangement, treatment, rate in arms:
            key = key_of(context, seed)
            params, mask = _network(protocol, network, searches[seed], seed, key, treatment)
            yield data_of(seed, arrangement), member(protocol, key, params, mask, rate)

    def report(n: int) -> None:
        if context.progress is not None:
            context.progress(analysed_steps(protocol, n))

    histories = {
        arm: trained.history
        for (run, network), arms in groups.items()
        for arm, trained in zip(arms, run_members(run, members(network, arms), progress=report), strict=True)
    }
    for seed in searches:
        yield _to_dataset(protocol, users, seed, {arm: one for arm, one in histories.items() if arm.seed == seed})


def _network(protocol: Protocol, network: Model, search: Search, seed: int, key, treatment: str) -> tuple[Any, Mask]:
    """Return the initial parameters and the mask of a treatment."""
    number, (own, (_, initial, _)) = protocol.analysed_round, next(iter(search.pruned.items()))
    ticket = unpack(search.results["mask"][number], initial)
    fresh_weights = treatment.endswith("reinitialised")
    params = jax.device_get(network.init(stream(key, "reinitialised"))) if fresh_weights else initial
    rng = np.random.default_rng([seed, number, 2])
    match treatment:
        case "dense" | "tuned-dense" | "dense-reinitialised":
            return params, full(params)
        case "random":
            return params, control_mask(protocol, params, seed, number)
        case "random-unit":
            return params, rewired_mask(ticket, rng, "unit")
        case "random-unit-input":
            return params, rewired_mask(ticket, rng, "unit-input")
        case "moved":
            return _moved(params, ticket, rng)
        case "small":
            params = jax.device_get(network.init(stream(key, "init")))
            return params, full(params)
        case "shuffled-ticket":
            return search.pruned["shuffled"].rewound, search.pruned["shuffled"].mask
    assert treatment in ("ticket", "tuned-ticket", "reinitialised", own)
    return params, ticket


def _moved(params: Any, mask: Mask, rng: np.random.Generator) -> tuple[Any, Mask]:
    """Return parameters and mask in which the inputs of each first-layer unit are in an order of their own."""
    leaves, tree = jax.tree.flatten(params)
    masks = jax.tree.leaves(mask)
    first = next(i for i, leaf in enumerate(leaves) if leaf.ndim > 1)
    shape = leaves[first].shape
    flat = leaves[first].reshape(len(leaves[first]), -1)
    order = rng.permuted(np.broadcast_to(np.arange(flat.shape[1]), flat.shape), axis=1)
    for part in (leaves, masks):
        part[first] = np.take_along_axis(np.asarray(part[first]).reshape(flat.shape), order, 1).reshape(shape)
    return tree.unflatten(leaves), tree.unflatten(masks)


@functools.cache
def small_network(protocol: Protocol) -> Model:
    """Return the widest dense network that has no more parameters than survive in the analysed ticket.

    >>> from flylab.studies.lottery import Protocol
    >>> params = jax.eval_shape(small_network(Protocol()).init, jax.random.key(0))
    >>> params["hidden1"]["w"].shape
    (125, 40)
    """

    def n_params(width: int) -> int:
        shapes = jax.eval_shape(network_of(protocol, width).init, jax.random.key(0))
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    n_survivors = (1 - protocol.sparsities[protocol.analysed_round]) * n_params(protocol.width)
    return network_of(protocol, max(bisect.bisect_right(range(1, protocol.width), n_survivors, key=n_params), 1))


def _to_dataset(protocol: Protocol, users: Any, seed: int, histories: Mapping[Arm, History]) -> xr.Dataset:
    arrangements: list[str] = list(protocol.arrangements)
    treatments: list[str] = [*TREATMENTS, *protocol.controls] if users is None else [users.name]
    steps = protocol.plan(treatments[0], "plain").evaluated
    rates = sorted({*protocol.tuned_rates, protocol.learning_rate})
    sizes = {"treatment": len(treatments), "arrangement": len(arrangements), "step": len(steps)}
    values = {name: np.full((1, *sizes.values()), np.nan, np.float32) for name in VARIABLES}
    valid = np.full((1, len(treatments), len(rates)), np.nan, np.float32)
    chosen = {(arm.treatment, arm.arrangement): one for arm, one in histories.items() if arm.treatment not in TUNED}
    for treatment in TUNED.keys() & {*treatments}:
        by_rate = _by_rate(protocol, histories, treatment)
        accuracies = valid[0, treatments.index(treatment)]
        accuracies[:] = [by_rate[rate]["valid_accuracy"][-1] for rate in rates]
        chosen[treatment, "plain"] = by_rate[rates[int(np.argmax(accuracies))]]
    for (treatment, arrangement), history in chosen.items():
        at = [steps.index(step) for step in protocol.plan(treatment, arrangement).evaluated]
        for name, array in values.items():
            array[0, treatments.index(treatment), arrangements.index(arrangement), at] = history[name]
    variables = {name: (("seed", *sizes), array) for name, array in values.items()}
    coords = {"seed": [seed], "treatment": treatments, "arrangement": arrangements, "step": list(steps)}
    if TUNED.keys() & {*treatments}:
        variables["tuned_valid_accuracy"] = ("seed", "treatment", "tuned_rate"), valid
        coords["tuned_rate"] = rates
    return xr.Dataset(variables, coords)


def _by_rate(protocol: Protocol, histories: Mapping[Arm, History], treatment: str) -> dict[float, History]:
    """Return the histories of a tuned network at each learning rate, among them the one that all have."""
    evaluated = protocol.plan(treatment, "plain").evaluated
    by_rate = {}
    for (_, arrangement, name, rate), history in histories.items():
        if name in (treatment, TUNED[treatment]) and arrangement == "plain":
            steps = protocol.plan(name, "plain").evaluated
            at = [steps.index(step) for step in evaluated]
            by_rate[rate] = {key: history[key][at] for key in (*VARIABLES, "valid_accuracy")}
    return by_rate
