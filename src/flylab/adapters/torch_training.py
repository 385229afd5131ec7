"""PyTorch modules as learners: a plain training loop under the same protocol as our populations."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from flylab.base.optional import need
from flylab.data.splits import SETS, Splits
from flylab.training.learners import Data, Fitted, Learner
from flylab.training.population import Progress
from flylab.training.step import Plan

need("torch", "torch", "a PyTorch module")  # before it is imported: a clear error

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

CHUNK = 1000  # examples evaluated at once
TOLD = 50  # steps between two words to the progress bar


def is_module(thing: Any) -> bool:
    """Whether it is a PyTorch module, or a class of such."""
    return issubclass(thing, nn.Module) if isinstance(thing, type) else isinstance(thing, nn.Module)


def from_torch(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> Learner:
    """A PyTorch module as a learner: Adam, cross-entropy, batches in fixed order; one seed after the other.

    Args:
        make: the module's class, or a function, without arguments; called after `torch.manual_seed(seed)`.
        shape: of an example as the module takes it, e.g. `(40,)`, or `(1, 40)` for `Conv1d`.

    >>> learner = from_torch(lambda: nn.Linear(40, 10), (40,))
    >>> learner.n_params, learner.flops
    (410, 800)
    """
    n_params = sum(p.numel() for p in make().parameters() if p.requires_grad)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        make().eval()(torch.zeros(1, *shape))

    def fit(
        data: Data,
        plan: Plan,
        learning_rate: float,
        seeds: Sequence[int],
        *,
        key: Any = 0,
        progress: Progress | None = None,
    ) -> Fitted:
        modules, found = [], []
        for seed in seeds:
            splits = data(seed) if callable(data) else data
            module, history = _trained(make, shape, splits, plan, learning_rate, seed, progress)
            modules.append(module)
            history["prediction"] = _classes(module, _tensor(splits.test.x, shape))
            found.append(history)
        variables = {
            name: (("seed", "example" if name == "prediction" else "step"), np.stack([one[name] for one in found]))
            for name in found[0]
        }
        results = xr.Dataset(variables, {"seed": list(seeds), "step": list(plan.evaluated)})
        return Fitted(results, lambda x: np.stack([_classes(module, _tensor(x, shape)) for module in modules]))

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
        name: (_tensor(one.x, shape), torch.tensor(np.asarray(one.y), dtype=torch.int64))
        for name, one in zip(SETS, splits[:3], strict=True) if len(one.y)
    }  # fmt: skip
    x, y = sets["train"]
    history: dict[str, list[float]] = {f"{name}_{what}": [] for name in sets for what in ("loss", "accuracy")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
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
            if progress is not None and (step + 1) % TOLD == 0:
                progress(TOLD)
        if progress is not None:
            progress(plan.n_steps % TOLD)
    return module, {name: np.array(values, np.float32) for name, values in history.items()}


@torch.no_grad()
def _logits(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    module.eval()
    return torch.cat([module(part) for part in x.split(CHUNK)])


def _classes(module: nn.Module, x: torch.Tensor) -> np.ndarray:
    return _logits(module, x).argmax(1).numpy().astype(np.uint8)
