"""MNIST-1D as PyTorch data sets: `MNIST1D`, in the manner of torchvision, and `Endless`, a stream of fresh examples."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from flylab.base.optional import need

need("torch", "torch", "flylab.adapters.torch")  # before the import below, for its clear error

import torch  # noqa: E402
from torch.utils.data import Dataset, IterableDataset, get_worker_info  # noqa: E402

from flylab.adapters.core import class_names, splits_of  # noqa: E402
from flylab.base.constraints import NonNegativeInt, PositiveInt, check  # noqa: E402
from flylab.data import MNIST1D as Config  # noqa: E402, N811
from flylab.data import Splits  # noqa: E402

_IMPORTING_PROCESS = os.getpid()  # another process that runs this code is a fork


class MNIST1D(Dataset):
    """MNIST-1D as a `torch.utils.data.Dataset`, by default the published 4000 training and 1000 test examples.

    Args:
        train: whether this is the training set; otherwise it is the test set.
        config: the data parameters, or splits, as from `flylab.data.load`.
        transform: a function applied to each signal.
        target_transform: a function applied to each label.
        channel_dim: whether signals have the shape `(1, length)`, as `Conv1d` takes them, instead of `(length,)`.

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
        """Return the signal and the label of an example, each after its transform."""
        return _transformed(self, self.data[index], int(self.targets[index]))

    def __repr__(self) -> str:
        name = "train" if self.train else "test"
        return f"MNIST1D({name}: {len(self)} examples of shape {tuple(self.data.shape[1:])})"


class Endless(IterableDataset):
    """An endless stream of fresh MNIST-1D examples from the JAX generator, as a `torch.utils.data.IterableDataset`.

    Example *i* depends on `seed` and *i* only; a second iteration continues with the next block. Generating examples
    takes less time than sending them between processes, so `DataLoader(num_workers=0)` is fastest. Workers have
    examples of their own, drawn from the loader's seed (`torch.manual_seed`). JAX does not survive a fork, so workers
    must be spawned: `multiprocessing_context="spawn"`.

    Args:
        config: the data parameters.
        seed: the seed of the examples.
        transform: a function applied to each signal.
        target_transform: a function applied to each label.
        channel_dim: whether signals have the shape `(1, length)` instead of `(length,)`.
        block: number of examples generated at once.

    Raises:
        TypeError: if `config` is not a config.
        ValueError: if `seed` or `block` is not an integer in its range.
        RuntimeError: if the data set is iterated in a forked process.

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
            raise TypeError(f"config must be a config, flylab.MNIST1D(…), not {type(config).__name__}")
        seed, block = check("seed", seed, NonNegativeInt), check("block", block, PositiveInt)
        self.config, self.seed, self.block = Config() if config is None else config, seed, block
        self.transform, self.target_transform, self.channel_dim = transform, target_transform, channel_dim
        self.n_drawn = 0

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        if os.getpid() != _IMPORTING_PROCESS and "jax" in sys.modules:
            raise RuntimeError(
                "JAX, which makes the examples, does not survive a fork: give the DataLoader num_workers=0 (fastest), "
                'or multiprocessing_context="spawn"'
            )
        import jax  # not on top, as MNIST1D does without JAX

        from flylab.base import runtime
        from flylab.data.generator import sample

        runtime.initialise()  # before anything else starts JAX
        key = jax.random.key(self.seed)
        if (worker := get_worker_info()) is not None:
            key = jax.random.fold_in(key, worker.seed % 2**32)
        while True:
            first, self.n_drawn = self.n_drawn, self.n_drawn + self.block  # at once, for iterators side by side
            block = sample(self.config, key, self.block, first=first)
            signals, labels = torch.tensor(np.asarray(block.x)), np.asarray(block.y).tolist()
            signals = signals[:, None] if self.channel_dim else signals
            for signal, label in zip(signals, labels, strict=True):
                yield _transformed(self, signal, label)


def _transformed(dataset: MNIST1D | Endless, signal: torch.Tensor, label: int) -> tuple[Any, Any]:
    return (
        signal if dataset.transform is None else dataset.transform(signal),
        label if dataset.target_transform is None else dataset.target_transform(label),
    )
