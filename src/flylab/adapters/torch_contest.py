"""Contestants written in PyTorch: optimisers and losses, with the networks, initial weights and batches of the others.

A network of a seed starts with the weights that flylab's has, and sees the same examples in the same order, so that
contestants in PyTorch and in JAX are paired.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from flylab.base.optional import need
from flylab.base.rng import seeded_globals, stream
from flylab.base.types import Key
from flylab.base.usercode import RefusedError, user_code
from flylab.data.inputs import trainable
from flylab.data.mnist1d import MNIST1D
from flylab.data.splits import SETS, Splits
from flylab.models.registry import get_model
from flylab.training.dispatch import Progress
from flylab.training.step import Plan, epoch_order
from flylab.training.tuning import Fit, Ranges, Trials

need("torch", "torch", "a contestant in PyTorch")  # before the imports below, for its clear error

import torch  # noqa: E402
from torch import nn  # noqa: E402

from flylab.adapters.torch_models import MODULES  # noqa: E402
from flylab.adapters.weights import state_dict  # noqa: E402

PROGRESS_EVERY = 50  # steps between two calls of `progress`


def _adam(params: Any, learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, lr=learning_rate)


def fit_of(
    name: str, model: str, data: MNIST1D, ranges: Ranges, *, optimizer: Callable[..., Any] = _adam,
    loss: Callable[..., Any] = nn.functional.cross_entropy, of_loss: Sequence[str] = (),
) -> Fit:  # fmt: skip
    """Return how one of the published networks trains in PyTorch, one training after the other.

    Args:
        name: what the user's code is called in errors.
        model: logistic, mlp, cnn or gru.
        data: the data set, for the network's size.
        ranges: the hyper-parameters to tune.
        optimizer: (parameters, **hyper-parameters) → an optimiser, or a pair of it and a scheduler, which steps after
            each step. `step` is given a closure. Optimisers with methods `train` and `eval` are switched between them.
        loss: (outputs `(batch, n_outputs)`, labels, **hyper-parameters) → the loss of a batch.
        of_loss: names of the hyper-parameters that the loss is given; the optimiser is given the others.
    """
    size = data.final_seq_length, data.outputs
    network = get_model(model, *size)

    def train(
        data: Callable[[int], Splits], plan: Plan, tried: Trials, chosen: Sequence[int], seeds: Sequence[int],
        key: Key, progress: Progress | None,
    ) -> xr.Dataset:  # fmt: skip
        histories = []
        for trial, seed in itertools.product(chosen, seeds):
            member_key = jax.random.fold_in(key, seed)
            module = MODULES[model](*size)
            params = jax.device_get(network.init(stream(member_key, "init")))
            module.load_state_dict({name: torch.tensor(array) for name, array in state_dict(params).items()})
            values = {name: float(column[trial]) for name, column in tried.values.items()}
            given = [{n: v for n, v in values.items() if (n in of_loss) == wanted} for wanted in (False, True)]
            with seeded_globals(seed), user_code(name):
                made = optimizer(module.parameters(), **given[0])
                histories.append(_trained(module, made, lambda out, y: loss(out, y, **given[1]),  # noqa: B023
                                          data(seed), plan, member_key, progress))  # fmt: skip
        shape = len(chosen), len(seeds)
        variables = {
            name: (("trial", "seed", "step"), np.stack([h[name] for h in histories]).reshape(*shape, -1))
            for name in histories[0]
        }
        return xr.Dataset(variables, {"trial": list(chosen), "seed": list(seeds), "step": list(plan.evaluated)})

    return Fit(ranges, train)


def _trained(
    module: nn.Module, made: Any, loss: Callable, splits: Splits, plan: Plan, key: Key, progress: Progress | None
) -> dict[str, np.ndarray]:
    optimizer, scheduler = made if isinstance(made, tuple) else (made, None)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise RefusedError(f"an optimiser must be a torch.optim.Optimizer, not {type(optimizer).__name__}")
    sets = {
        name: (_tensor(part.x, torch.float32), _tensor(part.y, torch.int64))
        for name, part in zip(SETS, trainable(splits)[:3], strict=True)
    }
    x, y = sets["train"]
    history: dict[str, list[float]] = {f"{name}_{metric}": [] for name in sets for metric in ("loss", "accuracy")}
    for step, rows in enumerate(_batches(key, len(y), plan)):
        if step in plan.evaluated:
            _switch(module, optimizer, "eval")
            with torch.no_grad():
                for name, (inputs, labels) in sets.items():
                    out = module(inputs)
                    history[f"{name}_loss"].append(nn.functional.cross_entropy(out, labels).item())
                    history[f"{name}_accuracy"].append(100 * (out.argmax(1) == labels).float().mean().item())
        if step == plan.n_steps:
            break
        _step(module, optimizer, loss, x[rows], y[rows])
        if scheduler is not None:
            scheduler.step()
        if progress is not None and (step + 1) % PROGRESS_EVERY == 0:
            progress(PROGRESS_EVERY)
    if progress is not None:
        progress(plan.n_steps % PROGRESS_EVERY)
    return {name: np.array(values, np.float32) for name, values in history.items()}


def _step(
    module: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable, x: torch.Tensor, y: torch.Tensor
) -> None:
    """Take one step; the optimiser may compute the loss several times."""
    _switch(module, optimizer, "train")

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(module(x), y)
        value.backward()
        return value

    optimizer.step(closure)


def _tensor(values: Any, dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=dtype)


def _switch(module: nn.Module, optimizer: Any, mode: str) -> None:
    """Switch a module and, where it has such modes, as schedule-free ones have, its optimiser."""
    getattr(module, mode)()
    getattr(optimizer, mode, lambda: None)()


def _batches(key: Key, n: int, plan: Plan) -> Iterator[torch.Tensor]:
    """Yield the examples of each step, as a shuffled `Plan` has them in JAX, without end."""
    size = min(plan.batch_size, n)
    for epoch in itertools.count():
        order = _tensor(epoch_order(key, epoch, n), torch.int64)
        for begin in range(0, max(n // plan.batch_size, 1) * size, size):
            yield order[begin : begin + size]


def try_optimizer(name: str, make: Callable[..., Any], values: dict[str, float]) -> None:
    """Take a step with an optimiser on a small network.

    Raises:
        ValueError: if that does not work, or the step changes nothing.
    """
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    with seeded_globals(0), user_code(name):
        made = make(module.parameters(), **values)
        optimizer = made[0] if isinstance(made, tuple) else made
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise RefusedError(f"{name} makes {type(optimizer).__name__}, no torch.optim.Optimizer")
        _step(module, optimizer, nn.functional.cross_entropy, torch.ones(2, 3), torch.tensor([0, 1]))
    if torch.equal(before, module.weight):
        raise RefusedError(f"{name} changes no parameter in a step")


def try_loss(loss: Callable[..., Any], name: str) -> None:
    """Compute a loss of some outputs, and its gradient.

    Raises:
        ValueError: if that does not work, or the loss is no number.
    """
    out = torch.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
    with user_code(name):
        value = loss(out, torch.arange(3))
        if not isinstance(value, torch.Tensor) or value.ndim:
            raise RefusedError(f"{name} must return a tensor of one number, the loss of a batch")
        value.backward()
