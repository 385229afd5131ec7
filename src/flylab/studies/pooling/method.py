"""Networks with and without pooling, on training sets of growing size."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import jax.numpy as jnp
import xarray as xr

from flylab.base.constraints import PositiveInt
from flylab.data import MNIST1D, fresh
from flylab.data.generator import endless
from flylab.models import convolutional
from flylab.study import Condition, Context, Slot, SupervisedProtocol
from flylab.study.slots import checked
from flylab.training.training import Training

Pooling = Literal["none", "stride", "max", "average", "l2"]  # `convolutional.POOLINGS`
LOW, HIGH = 1000, 50_000


@dataclass(frozen=True)
class Protocol(SupervisedProtocol):
    """The notebook's protocol: Adam, batches in fixed order; new data for each seed (generator seed 1000 + 2·seed)."""

    poolings: tuple[Pooling, ...] = get_args(Pooling)
    """Variants of pooling to compare."""
    train_sizes: tuple[PositiveInt, ...] = (LOW, 2000, 5000, 10_000, 20_000, HIGH)
    """Training-set sizes."""
    endless: bool = True
    """Also train on endless data, of which each batch is generated for its step."""
    endless_n_test: PositiveInt = 10_000
    """Test examples for endless data; all seeds share them."""
    channels: PositiveInt = 20
    """Channels of both convolutions."""
    eval_every: PositiveInt = 500
    """Steps between evaluations."""
    data: MNIST1D = field(default_factory=lambda: MNIST1D(n_valid=0, n_test=1000))
    """The data set; `train_sizes` replaces its `n_train`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(bool(self.train_sizes) or self.endless, "train_sizes", "a non-empty list if endless=False")


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return training sets × poolings; the size of endless data is the number of examples seen."""
    sizes = [("published", n) for n in protocol.train_sizes]
    sizes += [("endless", protocol.n_steps * protocol.batch_size)] if protocol.endless else []
    return [
        {"source": source, "n_train": n, "pooling": pooling} for source, n in sizes for pooling in protocol.poolings
    ]


def try_pooling(pooling: Any) -> None:
    """Pool some pairs, and raise ValueError if that does not work."""
    left, right = jnp.arange(6.0).reshape(2, 3), jnp.ones((2, 3))
    checked(pooling.name, pooling(left, right), left.shape)


_GIVEN = "given the left and the right activations of all pairs of neighbours, it returns an array of their shape"
SLOTS = {"pooling": Slot(_GIVEN, try_pooling, taken=get_args(Pooling))}


def training(protocol: Protocol, source: str, n_train: int, pooling: Any) -> Training:
    """Train one network per seed; all poolings of a seed share a key."""
    config = protocol.data
    network = convolutional.pooling_cnn(
        length=config.final_seq_length, n_outputs=config.outputs, width=protocol.channels, pooling=pooling
    )
    if source == "endless":
        data: Any = endless(replace(config, n_test=protocol.endless_n_test))
    else:
        data = fresh(replace(config, n_train=n_train))
    return Training(network, data, protocol.plan, protocol.hparams)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Return losses and accuracies over steps; endless data have no training set to evaluate."""
    results = context.train(training(protocol, **condition)).results
    return results[[f"{on}_{what}" for on in ("train", "test") for what in ("loss", "accuracy")
                    if f"{on}_{what}" in results]]  # fmt: skip
