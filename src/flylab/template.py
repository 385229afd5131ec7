"""Does a wider network learn more?"""

# A study of your own, which runs as it is. Change the question above, then go on from top to bottom.
from dataclasses import dataclass

import xarray as xr
from matplotlib.figure import Figure

from flylab import MNIST1D, Claim, Study, Training, get_model
from flylab.base.constraints import PositiveInt
from flylab.results.effects import contrast, final
from flylab.results.plots import curves, forest, panels, style
from flylab.results.tables import Table, over_seeds, pivot
from flylab.study import SupervisedProtocol


@dataclass(frozen=True)
class Protocol(SupervisedProtocol):  # fields are options, as in --widths 10 30; see SupervisedProtocol for more
    """MLPs of several widths on the published data."""

    widths: tuple[PositiveInt, ...] = (10, 30, 100, 300)
    """Hidden units of each layer."""
    n_steps: PositiveInt = 500
    """Optimiser steps."""
    eval_every: PositiveInt = 50
    """Steps between evaluations."""


def conditions(protocol: Protocol) -> list[dict]:
    """Return what is compared: each is trained for every seed, and its names are dimensions of the results."""
    return [{"width": width} for width in protocol.widths]


def training(protocol: Protocol, width: int) -> Training:
    """Describe the networks of one condition: model, data, plan and hyper-parameters."""
    return Training(get_model("mlp", width=width), MNIST1D(), protocol.plan, protocol.hparams)


# A claim: its name and statement, who published it, what they found, the unit, an effect for each seed, and the region
# in which the statement holds. contrast(…) is a difference, paired by seed; step=-1 is the last step.
CLAIMS = (
    Claim("wider-is-better", "300 hidden units are at least 5 points better than 10", "here", "–", "points",
          contrast("test_accuracy", width=(300, 10), step=-1), above=5),
)  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return the final test accuracy by width."""
    return pivot(over_seeds(results), {"test accuracy (%)": final(results.test_accuracy)}, "width", corner="width")


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot learning curves, and final accuracies: means over seeds with their 95 % intervals."""
    drawn, (learning, last) = panels("Learning curves", "After the last step", size=(10, 4))
    curves(learning, results.test_accuracy, "width", name="{} units".format)
    learning.legend()
    accuracy = final(results.test_accuracy)
    forest(last, {f"{width} units": accuracy.sel(width=width) for width in results.width.values})
    last.set_xlabel("test accuracy (%)")
    return drawn


PRESETS = {
    "smoke": Protocol(n_seeds=2, n_steps=10, eval_every=5, widths=(10, 300)),  # tries everything in seconds
    "quick": Protocol(n_seeds=5),
    "paper": Protocol(n_seeds=30),
}
STUDY = Study.of_module(__name__)
