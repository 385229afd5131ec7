"""Training loops that users bring: the same networks, initial weights, data and budget as those of an optimiser."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flylab.base.rng import stream
from flylab.base.types import Key, Params
from flylab.base.usercode import RefusedError
from flylab.data.inputs import trainable
from flylab.data.mnist1d import MNIST1D
from flylab.data.splits import SETS, Splits
from flylab.models import Model, outputs
from flylab.models.registry import get_model
from flylab.training.dispatch import Progress
from flylab.training.objectives import cross_entropy
from flylab.training.step import Plan
from flylab.training.tuning import Fit, Ranges, before_and_after, fit_of_single


def is_loop(function: Any) -> bool:
    """Return whether a function is a training loop, which takes a `plan`, and makes no optimiser."""
    return not inspect.isclass(function) and "plan" in inspect.signature(function).parameters


def _is_of_torch(function: Any) -> bool:
    """Return whether a loop trains a module in place; one in JAX takes `params` behind the model."""
    return list(inspect.signature(function).parameters)[1:2] != ["params"]


def fit_of_loop(loop: Any, model: str, data: MNIST1D, ranges: Ranges) -> Fit:
    """Return how a user's training loop trains a network, one training after the other.

    A loop sees the training and the validation set, never the test set. The network is evaluated before and after it,
    and not in between.

    Args:
        loop: the function in the slot. In PyTorch: `(module, train, valid, *, plan, seed, **hyper-parameters)`, which
            trains the module. In JAX: `(model, params, train, valid, *, plan, key, **hyper-parameters)`, which returns
            the trained parameters. `train` and `valid` are pairs of inputs `(n, length)` and labels; `plan.n_steps` and
            `plan.batch_size` are the budget of the other contestants.
        model: the network's name.
        data: the data set, for the network's size.
        ranges: the hyper-parameters to tune.
    """
    if _is_of_torch(loop.function):
        from flylab.adapters import torch_contest

        return torch_contest.fit_of_loop(loop, model, data, ranges)
    network = get_model(model, data.final_seq_length, data.outputs)

    def train_one(
        splits: Splits, plan: Plan, values: dict[str, float], _: int, key: Key, progress: Progress | None
    ) -> dict[str, np.ndarray]:
        sets = {name: (jnp.asarray(part.x, jnp.float32), jnp.asarray(part.y))
                for name, part in zip(SETS, trainable(splits)[:3], strict=True)}  # fmt: skip
        params = network.init(stream(key, "init"))
        trained = loop(network, params, sets["train"], sets["valid"], plan=plan, key=stream(key, "loop"), **values)
        _require_alike(loop.name, params, trained)
        if progress is not None:
            progress(plan.n_steps)
        return before_and_after(_scores(network, params, sets), _scores(network, trained, sets), plan)

    return fit_of_single(ranges, train_one)


def _scores(network: Model, params: Params, sets: dict[str, tuple[jax.Array, jax.Array]]) -> dict[str, float]:
    scores = {}
    for name, (x, y) in sets.items():
        loss, accuracy = _evaluated(network)(params, x, y)
        scores |= {f"{name}_loss": float(loss), f"{name}_accuracy": float(accuracy)}
    return scores


@functools.cache
def _evaluated(network: Model) -> Callable[..., tuple[jax.Array, jax.Array]]:
    @jax.jit
    def evaluated(params, x, y):
        logits = outputs(network, params, x.T)
        return cross_entropy(logits, y).mean(), 100 * (logits.argmax(0) == y).mean()

    return evaluated


def _require_alike(name: str, params: Params, trained: Any) -> None:
    def shapes(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: (np.shape(leaf), jnp.result_type(leaf)), tree)

    if jax.tree.structure(trained) != jax.tree.structure(params) or shapes(trained) != shapes(params):
        raise RefusedError(f"{name} must return parameters like those that it was given, not {type(trained).__name__}")


def try_loop(loop: Any, values: dict[str, float]) -> None:
    """Train a small network for two steps with a loop, and raise ValueError if that does not work."""
    if _is_of_torch(loop.function):
        from flylab.adapters import torch_contest

        torch_contest.try_loop(loop, values)
        return
    network, (x, y) = get_model("logistic", 4, 2), (jnp.ones((4, 4)), jnp.arange(4) % 2)
    params, plan = network.init(jax.random.key(0)), Plan(2, 2)
    trained = loop(network, params, (x, y), (x, y), plan=plan, key=jax.random.key(1), **values)
    _require_alike(loop.name, params, trained)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(trained)]
    if not all(np.isfinite(leaf).all() for leaf in leaves):
        raise RefusedError(f"{loop.name} returns parameters that are not finite after two steps")
    if all(np.array_equal(a, b) for a, b in zip(leaves, jax.tree.leaves(params), strict=True)):
        raise RefusedError(f"{loop.name} changes no parameter in two steps")
