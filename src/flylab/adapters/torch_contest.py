"""Contestants written in PyTorch: optimisers and losses, with the networks, initial weights and batches of the others.

A network of a seed starts with the weights that flylab's has, and sees the same examples in the same order, so that
contestants in PyTorch and in JAX are paired.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

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
from flylab.training.tuning import Fit, Ranges, before_and_after, fit_of_single

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

    def train_one(
        module: nn.Module, splits: Splits, plan: Plan, values: dict[str, float], seed: int, key: Key,
        progress: Progress | None,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        of_optimizer, its_own = ({n: v for n, v in values.items() if (n in of_loss) == mine} for mine in (False, True))
        made = optimizer(module.parameters(), **of_optimizer)
        return _trained(module, made, lambda out, y: loss(out, y, **its_own), splits, plan, key, progress)

    return _fit(name, model, data, ranges, train_one)


def fit_of_loop(loop: Any, model: str, data: MNIST1D, ranges: Ranges) -> Fit:
    """Return how a user's training loop trains one of the published networks; see `flylab.study.loops`."""

    def train_one(
        module: nn.Module, splits: Splits, plan: Plan, values: dict[str, float], seed: int, key: Key,
        progress: Progress | None,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        sets, given = _sets(splits), _sets(splits)  # a loop may write into its own
        before = _scores(module, sets)
        module.train()
        _require_in_place(
            loop.name, module, loop(module, given["train"], given["valid"], plan=plan, seed=seed, **values)
        )
        if progress is not None:
            progress(plan.n_steps)
        module.eval()
        return before_and_after(before, _scores(module, sets), plan)

    return _fit(loop.name, model, data, ranges, train_one)


def _fit(name: str, model: str, data: MNIST1D, ranges: Ranges, train_one: Callable[..., dict[str, np.ndarray]]) -> Fit:
    """Return a fit of single trainings; PyTorch's random numbers are seeded by the member's seed."""
    size = data.final_seq_length, data.outputs
    network = get_model(model, *size)

    def train(
        splits: Splits, plan: Plan, values: dict[str, float], seed: int, key: Key, progress: Progress | None
    ) -> dict[str, np.ndarray]:
        module = MODULES[model](*size)
        params = jax.device_get(network.init(stream(key, "init")))
        module.load_state_dict({name: torch.tensor(array) for name, array in state_dict(params).items()})
        with seeded_globals(seed), user_code(name):
            return train_one(module, splits, plan, values, seed, key, progress)

    return fit_of_single(ranges, train)


def _trained(
    module: nn.Module, made: Any, loss: Callable, splits: Splits, plan: Plan, key: Key, progress: Progress | None
) -> dict[str, np.ndarray]:
    optimizer, scheduler = made if isinstance(made, tuple) else (made, None)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise RefusedError(f"an optimiser must be a torch.optim.Optimizer, not {type(optimizer).__name__}")
    sets = _sets(splits)
    x, y = sets["train"]
    history: dict[str, list[float]] = {f"{name}_{metric}": [] for name in sets for metric in ("loss", "accuracy")}
    for step, rows in enumerate(_batches(key, len(y), plan)):
        if step in plan.evaluated:
            _switch(module, optimizer, "eval")
            for name, value in _scores(module, sets).items():
                history[name].append(value)
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


def _sets(splits: Splits) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {
        name: (_tensor(part.x, torch.float32), _tensor(part.y, torch.int64))
        for name, part in zip(SETS, trainable(splits)[:3], strict=True)
    }


@torch.no_grad()
def _scores(module: nn.Module, sets: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    scores = {}
    for name, (x, y) in sets.items():
        out = module(x)
        scores[f"{name}_loss"] = nn.functional.cross_entropy(out, y).item()
        scores[f"{name}_accuracy"] = 100 * (out.argmax(1) == y).float().mean().item()
    return scores


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


def _require_in_place(name: str, module: nn.Module, returned: Any) -> None:
    if returned is not None and returned is not module:
        raise RefusedError(f"{name} must train the module that it is given, and return nothing, not "
                           f"{type(returned).__name__}: copy the weights back by module.load_state_dict")  # fmt: skip


def try_loop(loop: Any, values: dict[str, float]) -> None:
    """Train a small network for two steps with a loop.

    Raises:
        ValueError: if that does not work, or changes nothing.
    """
    module, (x, y) = nn.Linear(4, 2), (torch.ones(4, 4), torch.arange(4) % 2)
    before = module.weight.detach().clone()
    with seeded_globals(0), user_code(loop.name):
        _require_in_place(loop.name, module, loop(module, (x, y), (x, y), plan=Plan(2, 2), seed=0, **values))
    if torch.equal(before, module.weight):
        raise RefusedError(f"{loop.name} changes no parameter in two steps")
