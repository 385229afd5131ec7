"""Iterative magnitude pruning with rewinding: train, prune the smallest weights, rewind the others, and so on."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax

from flylab.base.types import Params
from flylab.models.masks import Mask, applied, full, prune
from flylab.models.model import Model
from flylab.training.dispatch import Progress, run_members
from flylab.training.inputs import SplitArrays
from flylab.training.objectives import under_mask
from flylab.training.step import Member, Plan
from flylab.training.train import Trained, training_run


class Search(NamedTuple):
    """What a search found for one member.

    Attributes:
        masks: the mask of each round.
        rewound: the weights to which survivors are rewound.
        accuracy: the test accuracy after each round, in percent.
        trained: the weights after the last round.
    """

    masks: list[Mask]
    rewound: Params
    accuracy: list[float]
    trained: Params


def train_pruned(
    model: Model, plan: Plan, members: Iterable[tuple[SplitArrays, Member]], progress: Progress | None = None
) -> list[Trained]:
    """Train members, each with its data and initial parameters, under the hyper-parameter `mask`."""

    def held(member: Member) -> Member:
        return member._replace(params=jax.device_get(applied(member.hparams["mask"], member.params)))

    pruned = ((data, held(member)) for data, member in members)
    return list(run_members(training_run(under_mask(model), plan), pruned, progress=progress))


def search_tickets(
    model: Model, plan: Plan, members: Sequence[tuple[SplitArrays, Member]], sparsities: Sequence[float],
    progress: Progress | None = None,
) -> list[Search]:  # fmt: skip
    """Search for the tickets of members side by side (Frankle et al. 2020), pruning every layer alike.

    Args:
        model: the dense network.
        plan: of each round; survivors are rewound to the first step of `save_params_at` in the dense training.
        members: each with its data and initial parameters.
        sparsities: the share of pruned weights in each round, ascending from 0.
        progress: callback for optimiser steps.

    >>> from flylab.data import MNIST1D, published
    >>> from flylab.models import get_model
    >>> from flylab.training.inputs import as_arrays
    >>> model, key = get_model("mlp", width=20), jax.random.key(0)
    >>> data = as_arrays(published(MNIST1D(n_train=100, n_valid=100, n_test=100)))
    >>> member = Member(key, {"learning_rate": 1e-2}, jax.device_get(model.init(key)))
    >>> (found,) = search_tickets(model, Plan(20, save_params_at=(5,)), [(data, member)], [0, 0.5, 0.75])
    >>> [int(mask["hidden1"]["w"].sum() + mask["hidden1"]["b"].sum()) for mask in found.masks]
    [820, 410, 205]
    """
    searches = [Search([full(member.params)], member.params, [], member.params) for _, member in members]
    for number, sparsity in enumerate(sparsities):
        if number:
            for one in searches:
                one.masks.append(prune(one.trained, one.masks[-1], sparsity))
        pruned = ((data, with_mask(member, one.rewound, one.masks[-1]))
                  for (data, member), one in zip(members, searches, strict=True))  # fmt: skip
        networks = train_pruned(model, plan, pruned, progress)
        for i, (one, network) in enumerate(zip(searches, networks, strict=True)):
            one.accuracy.append(float(network.history["test_accuracy"][-1]))
            rewound = one.rewound if number else network.saved_params[0]
            searches[i] = one._replace(rewound=rewound, trained=network.params)
    return searches


def with_mask(member: Member, params: Params, mask: Mask) -> Member:
    """Return the member that trains other parameters under a mask."""
    return member._replace(params=params, hparams={**member.hparams, "mask": mask})
