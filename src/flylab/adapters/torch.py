"""MNIST-1D as PyTorch data sets: `MNIST1D`, in torchvision's manner, and `Endless`, fresh examples without end."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from flylab.base.optional import need

need("torch", "torch", "flylab.adapters.torch")  # before it is imported: a clear error

import torch  # noqa: E402
from torch.utils.data import Dataset, IterableDataset, get_worker_info  # noqa: E402

from flylab.adapters.core import class_names, splits_of  # noqa: E402
from flylab.data import MNIST1D as Config  # noqa: E402, N811
from flylab.data import Splits  # noqa: E402

_HERE = os.getpid()  # where this was imported: a process that runs it without having imported it is a fork


class MNIST1D(Dataset):
    """MNIST-1D as a `torch.utils.data.Dataset`, by default the published 4000 training and 1000 test examples.

    Args:
        train: the training set, or the test set.
        config: parameters of the data; or splits, as from `flylab.data.load`.
        transform: applied to each signal.
        target_transform: applied to each label.
        channel_dim: signals of shape `(1, length)`, as `Conv1d` takes them, in place of `(length,)`.

    Attributes:
        data: all signals, float32 `(n, length)`, or `(n, 1, length)`.
        targets: all labels, int64 `(n,)`.
        classes: names of the labels.

    >>> signal, label = MNIST1D(train=False)[0]
    >>> signal.shape, signal.dtype, type(label)
    (torch.Size([40]), torch.float32, <class 'int'>)
    """

    def __init__(
        self,
        train: bool = True,
        config: Config | Splits | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        channel_dim: bool = False,
    ) -> None:
        self.train, self.transform, self.target_transform = train, transform, target_transform
        splits = splits_of(config)
        chosen = splits.train if train else splits.test
        data = torch.tensor(np.asarray(chosen.x), dtype=torch.float32)
        self.data = data[:, None] if channel_dim else data
        self.targets = torch.tensor(np.asarray(chosen.y), dtype=torch.int64)
        self.classes = class_names(splits)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The signal and the label of one example, each after its transform."""
        return _transformed(self, self.data[index], int(self.targets[index]))

    def __repr__(self) -> str:
        name = "train" if self.train else "test"
        return f"MNIST1D({name}: {len(self)} examples of shape {tuple(self.data.shape[1:])})"


class Endless(IterableDataset):
    """Fresh MNIST-1D examples without end, from the JAX generator, as a `torch.utils.data.IterableDataset`.

    Example *i* depends on `seed` and *i* only; iterating again goes on with the next block. Making examples
    costs less than sending them between processes, so `DataLoader(num_workers=0)` is fastest. With workers, each has
    its own examples, drawn from the loader's seed (`torch.manual_seed`); JAX does not survive a fork, so they have to
    be spawned: `multiprocessing_context="spawn"`.

    Args:
        config: parameters of the data.
        seed: of the examples.
        transform: applied to each signal.
        target_transform: applied to each label.
        channel_dim: signals of shape `(1, length)` in place of `(length,)`.
        block: examples made at once.

    Raises:
        TypeError, ValueError: for a config, seed or block that is not allowed.
        RuntimeError: when iterated in a forked process.

    >>> from torch.utils.data import DataLoader
    >>> signals, labels = next(iter(DataLoader(Endless(), batch_size=100)))
    >>> signals.shape, labels.dtype
    (torch.Size([100, 40]), torch.int64)
    """

    def __init__(
        self,
        config: Config | None = None,
        seed: int = 0,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        channel_dim: bool = False,
        block: int = 1000,
    ) -> None:
        if not isinstance(config, Config | None):
            raise TypeError(f"config={config!r} is not a config: give flylab.MNIST1D(…)")
        for name, value, least in (("seed", seed, 0), ("block", block, 1)):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r} is not allowed: give a whole number ≥ {least}")
        self.config, self.seed, self.block = Config() if config is None else config, seed, block
        self.transform, self.target_transform, self.channel_dim = transform, target_transform, channel_dim
        self.n_drawn = 0

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if os.getpid() != _HERE and "jax" in sys.modules:
            raise RuntimeError(
                "JAX, which makes the examples, does not survive a fork: give the DataLoader num_workers=0 (fastest), "
                'or multiprocessing_context="spawn"'
            )
        import jax  # only here: the other data set goes without

        from flylab.base import runtime
        from flylab.data.generator import sample

        runtime.initialise()  # before anything else starts JAX
        key = jax.random.key(self.seed)
        if (worker := get_worker_info()) is not None:
            key = jax.random.fold_in(key, worker.seed % 2**32)
        while True:
            first, self.n_drawn = self.n_drawn, self.n_drawn + self.block  # whoever iterates beside us gets others
            made = sample(self.config, key, self.block, first=first)
            signals, labels = torch.tensor(np.asarray(made.x)), np.asarray(made.y).tolist()
            signals = signals[:, None] if self.channel_dim else signals
            for signal, label in zip(signals, labels, strict=True):
                yield _transformed(self, signal, label)


def _transformed(own: MNIST1D | Endless, signal: torch.Tensor, label: int) -> tuple[Any, Any]:
    return (
        signal if own.transform is None else own.transform(signal),
        label if own.target_transform is None else own.target_transform(label),
    )
