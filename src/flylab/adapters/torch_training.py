"""PyTorch modules as learners: a plain training loop with the protocol of flylab's populations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from flylab.base.optional import need
from flylab.base.rng import seeded_globals
from flylab.base.usercode import RefusedError
from flylab.data.inputs import class_dtype, trainable
from flylab.data.splits import SETS, Splits
from flylab.training.dispatch import Progress
from flylab.training.inputs import as_seeds
from flylab.training.learners import Data, Fitted, Learner
from flylab.training.step import Plan

need("torch", "torch", "a PyTorch module")  # before the import below, for its clear error

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.parameter import is_lazy  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

CHUNK = 1000  # examples evaluated at once
PROGRESS_EVERY = 50  # steps between two calls of `progress`


def from_torch(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> Learner:
    """Turn a PyTorch module into a learner that trains by Adam on cross-entropy, one seed after the other.

    Batches come in fixed order. The module is in the mode `train` in steps and in `eval` otherwise; it is given inputs
    in the precision of its parameters. Lazy layers take their shape from one example, in `eval`, before training.

    Args:
        make: a module class, or a function that returns a module, without arguments. It is called after
            `torch.manual_seed(seed)`; Python's and NumPy's global generators are seeded, too. The module returns its
            outputs (logits), or what `logits_of` finds them in.
        shape: shape of an example as the module takes it: `(40,)`, or `(1, 40)` for `Conv1d`, or `(40, 1)` for `GRU`.

    Raises:
        ValueError: if the module's outputs for one example are not of shape `(1, n_outputs)`.

    >>> learner = from_torch(lambda: nn.Linear(40, 10), (40,))
    >>> learner.n_params, learner.flops
    (410, 800)
    """
    with seeded_globals(0):
        module = _made(make, shape)
        n_params = sum(p.numel() for p in module.parameters() if p.requires_grad)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            first = logits_of(module.eval()(torch.zeros(1, *shape, dtype=dtype_of(module))))
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
            history["prediction"] = _classes(module, splits.test.x, shape, seed)
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

        def predict(x: Any) -> np.ndarray:
            return np.stack([_classes(module, x, shape, seed) for module, seed in pairs])

        return Fitted(results, predict, modules)

    return Learner(fit, n_params, counter.get_total_flops())


def logits_of(returned: Any) -> torch.Tensor:
    """Return the outputs among what a module returns: itself, `logits`, or else the first tensor of a tuple or mapping.

    Raises:
        ValueError: if there is none, naming what it returns.

    >>> logits_of({"features": torch.zeros(1, 3), "logits": torch.ones(1, 2)}).tolist()
    [[1.0, 1.0]]
    """
    if isinstance(returned, torch.Tensor):
        return returned
    named = returned.get("logits") if isinstance(returned, Mapping) else getattr(returned, "logits", None)
    parts = returned.values() if isinstance(returned, Mapping) else returned if isinstance(returned, Sequence) else ()
    found = [part for part in (named, *parts) if isinstance(part, torch.Tensor)]
    if not found:
        raise RefusedError(f"the module must return a tensor of outputs, a tuple that begins with one, or a dictionary "
                           f"with 'logits'; it returns {described(returned)}")  # fmt: skip
    return found[0]


def described(returned: Any) -> str:
    """Return what a module returns, as errors name it.

    >>> described((torch.zeros(1, 2), {"h": None}))
    'tuple(Tensor (1, 2), dict(h: NoneType))'
    """
    kind = type(returned).__name__
    if isinstance(returned, torch.Tensor):
        return f"{kind} {tuple(returned.shape)}"
    if isinstance(returned, Mapping):
        return f"{kind}({', '.join(f'{name}: {described(part)}' for name, part in returned.items())})"
    is_list = isinstance(returned, Sequence) and not isinstance(returned, str)
    return f"{kind}({', '.join(map(described, returned))})" if is_list else kind


def dtype_of(module: nn.Module) -> torch.dtype:
    """Return the precision of a module's first parameter, in which it is given inputs."""
    return next((p.dtype for p in module.parameters() if p.dtype.is_floating_point), torch.float32)


def _made(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> nn.Module:
    """Make a module; the shapes of lazy layers are found with an example of zeros."""
    module = make()
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        with torch.no_grad():
            module.eval()(torch.zeros(1, *shape, dtype=dtype_of(module)))
        module.train()
    return module


def _tensor(x: Any, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(np.asarray(x), dtype=dtype).reshape(-1, *shape)


def _trained(
    make: Callable[[], nn.Module],
    shape: tuple[int, ...],
    splits: Splits,
    plan: Plan,
    learning_rate: float,
    seed: int,
    progress: Progress | None,
) -> tuple[nn.Module, dict[str, Any]]:
    with seeded_globals(seed):
        module = _made(make, shape)
        dtype = dtype_of(module)
        sets = {
            name: (_tensor(part.x, shape, dtype), torch.tensor(np.asarray(part.y), dtype=torch.int64))
            for name, part in zip(SETS, splits[:3], strict=True) if len(part.y)
        }  # fmt: skip
        x, y = sets["train"]
        history: dict[str, list[float]] = {f"{name}_{metric}": [] for name in sets for metric in ("loss", "accuracy")}
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
            nn.functional.cross_entropy(logits_of(module(x[rows])), y[rows]).backward()
            optimizer.step()
            if progress is not None and (step + 1) % PROGRESS_EVERY == 0:
                progress(PROGRESS_EVERY)
        if progress is not None:
            progress(plan.n_steps % PROGRESS_EVERY)
    return module, {name: np.array(values, np.float32) for name, values in history.items()}


@torch.no_grad()
def _logits(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    module.eval()
    return torch.cat([logits_of(module(part)) for part in x.split(CHUNK)])


def _classes(module: nn.Module, x: Any, shape: tuple[int, ...], seed: int) -> np.ndarray:
    with seeded_globals(seed):
        logits = _logits(module, _tensor(x, shape, dtype_of(module)))
    return logits.argmax(1).numpy().astype(class_dtype(logits.shape[1]))
