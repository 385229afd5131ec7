"""How well does one network learn one data set?

Plain training, without claims: for `flylab run train` and for sweeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import xarray as xr
from matplotlib.figure import Figure

from flylab.base.constraints import PositiveInt
from flylab.data import MNIST1D
from flylab.models import get_model, list_models, model_sizes, model_title
from flylab.results.effects import final
from flylab.results.plots import COLOURS, band, panels, style
from flylab.results.tables import Table, pivot
from flylab.study import Condition, Study, SupervisedProtocol
from flylab.training.step import Plan
from flylab.training.training import Training


@dataclass(frozen=True)
class Protocol(SupervisedProtocol):
    """One network on one data set; by default the published MLP, as `architectures` trains it."""

    model: str = "mlp"
    """The network: logistic, mlp, cnn, gru, or another registered one."""
    width: PositiveInt | None = None
    """Hidden units, or channels; by default the published number. Logistic regression has none."""
    batch_size: PositiveInt = 100
    """Examples per step."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The optimiser: Adam, or gradient descent."""
    shuffle: bool = False
    """Draw a new order of the examples in each epoch."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """The data set, shared by all seeds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.model in list_models(), "model", f"one of {', '.join(list_models())}")

    @property
    def plan(self) -> Plan:
        """The plan of training."""
        return replace(super().plan, shuffle=self.shuffle, optimizer=self.optimizer)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return the only condition."""
    return [{"model": protocol.model}]


def training(protocol: Protocol, model: str) -> Training:
    """Train the network for all seeds."""
    size = {} if protocol.width is None or "width" not in model_sizes(model) else {"width": protocol.width}
    network = get_model(model, protocol.data.final_seq_length, protocol.data.outputs, **size)
    return Training(network, protocol.data, protocol.plan, protocol.hparams)


def table(results: xr.Dataset) -> Table:
    """Return the accuracies after the last step."""
    sets = {"train": "training", "valid": "validation", "test": "test"}
    accuracies = {title: results.get(f"{name}_accuracy") for name, title in sets.items()}
    columns = {title: None if values is None else final(values) for title, values in accuracies.items()}
    return pivot("Accuracy after the last step (%)", columns, along="model", corner="network")


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot training and test accuracy against steps."""
    drawn, (ax,) = panels(model_title(str(results.model.values[0])), size=(6, 4))
    for name, label, colour in (("train", "training", COLOURS[1]), ("test", "test", COLOURS[0])):
        band(ax, results[f"{name}_accuracy"].isel(model=0), label=label, color=colour)
    ax.set(ylabel="accuracy (%)")
    ax.legend(loc="lower right")
    return drawn


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=100, eval_every=50),
    "quick": Protocol(),
    "paper": Protocol(n_seeds=30),
}
MINUTES = {"smoke": 0.1, "quick": 0.1, "paper": 0.8}
STUDY = Study.of_module(__name__)
