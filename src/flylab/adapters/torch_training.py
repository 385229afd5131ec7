"""PyTorch modules as learners: a plain training loop with the protocol of flylab's populations."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from flylab.base.optional import need
from flylab.base.rng import seeded_globals
from flylab.data.inputs import class_dtype, trainable
from flylab.data.splits import SETS, Splits
from flylab.training.dispatch import Progress
from flylab.training.inputs import as_seeds
from flylab.training.learners import Data, Fitted, Learner
from flylab.training.step import Plan

need("torch", "torch", "a PyTorch module")  # before the import below, for its clear error

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

CHUNK = 1000  # examples evaluated at once
PROGRESS_EVERY = 50  # steps between two calls of `progress`


def from_torch(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> Learner:
    """Turn a PyTorch module into a learner that trains by Adam on cross-entropy, one seed after the other.

    Batches come in fixed order.

    Args:
        make: a module class, or a function that returns a module, without arguments. It is called after
            `torch.manual_seed(seed)`; Python's and NumPy's global generators are seeded, too.
        shape: shape of an example as the module takes it, e.g. `(40,)`, or `(1, 40)` for `Conv1d`.

    Raises:
        ValueError: if the module's outputs for one example are not of shape `(1, n_outputs)`.

    >>> learner = from_torch(lambda: nn.Linear(40, 10), (40,))
    >>> learner.n_params, learner.flops
    (410, 800)
    """
    with seeded_globals(0):
        n_params = sum(p.numel() for p in make().parameters() if p.requires_grad)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            first = make().eval()(torch.zeros(1, *shape))
    if first.ndim != 2 or len(first) != 1:
        raise ValueError(f"the module must give outputs (1, n_outputs) for one example, not {tuple(first.shape)}")

    def fit(
        data: Data,
        plan: Plan,
        learning_rate: float,
        seeds: Sequence[int],
        *,
        key: Any = 0,
        progress: Progress | None = None,
    ) -> Fitted:
        modules, histories, seeds = [], [], as_seeds(seeds)
        for seed in seeds:
            splits = trainable(data(seed) if callable(data) else data)
            module, history = _trained(make, shape, splits, plan, learning_rate, seed, progress)
            modules.append(module)
            history["prediction"] = _classes(module, _tensor(splits.test.x, shape), seed)
            histories.append(history)
        variables = {
            name: (
                ("seed", "example" if name == "prediction" else "step"),
                np.stack([history[name] for history in histories]),
            )
            for name in histories[0]
        }
        results = xr.Dataset(variables, {"seed": seeds, "step": list(plan.evaluated)})
        pairs = list(zip(modules, seeds, strict=True))
        return Fitted(
            results, lambda x: np.stack([_classes(module, _tensor(x, shape), seed) for module, seed in pairs])
        )

    return Learner(fit, n_params, counter.get_total_flops())


def _tensor(x: Any, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor(np.asarray(x), dtype=torch.float32).reshape(-1, *shape)


def _trained(
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    splits: Splits,
    plan: Plan,
    learning_rate: float,
    seed: int,
    progress: Progress | None,
) -> tuple[nn.Module, dict[str, Any]]:
    sets = {
        name: (_tensor(part.x, shape), torch.tensor(np.asarray(part.y), dtype=torch.int64))
        for name, part in zip(SETS, splits[:3], strict=True) if len(part.y)
    }  # fmt: skip
    x, y = sets["train"]
    history: dict[str, list[float]] = {f"{name}_{metric}": [] for name in sets for metric in ("loss", "accuracy")}
    with seeded_globals(seed):
        module = make()
        optimizer = torch.optim.Adam(module.parameters(), lr=learning_rate)
        for step in range(plan.n_steps + 1):
            if step in plan.evaluated:
                for name, (inputs, labels) in sets.items():
                    logits = _logits(module, inputs)
                    history[f"{name}_loss"].append(nn.functional.cross_entropy(logits, labels).item())
                    history[f"{name}_accuracy"].append(100 * (logits.argmax(1) == labels).float().mean().item())
            if step == plan.n_steps:
                break
            rows = (step * plan.batch_size + torch.arange(plan.batch_size)) % len(y)
            module.train()
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
            optimizer.step()
            if progress is not None and (step + 1) % PROGRESS_EVERY == 0:
                progress(PROGRESS_EVERY)
        if progress is not None:
            progress(plan.n_steps % PROGRESS_EVERY)
    return module, {name: np.array(values, np.float32) for name, values in history.items()}


@torch.no_grad()
def _logits(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    module.eval()
    return torch.cat([module(part) for part in x.split(CHUNK)])


def _classes(module: nn.Module, x: torch.Tensor, seed: int) -> np.ndarray:
    with seeded_globals(seed):
        logits = _logits(module, x)
    return logits.argmax(1).numpy().astype(class_dtype(logits.shape[1]))
