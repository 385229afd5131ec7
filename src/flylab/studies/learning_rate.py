"""Does gradient descent on the learning rate find the best one, wherever it starts?

The mean training loss of a whole run of 200 steps is differentiated with respect to its learning rate, and descended
(Greydanus & Kobak 2024, section 3.3; Maclaurin et al. 2015). A dense grid of rates shows where the best one is.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import optax
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from msgspec import Meta

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, fresh, shared
from flylab.models import Model, dense
from flylab.models.flops import METAGRADIENT
from flylab.results.claims import Claim, sharing
from flylab.results.effects import Effect, final
from flylab.results.places import lowest_place
from flylab.results.plots import COLOURS, band, panels, published_values, style
from flylab.results.statistics import interval, plus_minus
from flylab.results.tables import Table, over_seeds, pivot
from flylab.study import BaseProtocol, Condition, Context, Study
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import supervised
from flylab.training.step import Plan
from flylab.training.training import Training

PUBLISHED, PUBLISHED_STARTS = 0.62, (1.5, 0.15)
STARTS = (*PUBLISHED_STARTS, 0.05, 0.09, 0.25, 0.45, 0.75, 1.0, 2.0, 3.0)
RATES = tuple(round(float(rate), 4) for rate in np.geomspace(0.05, 3, 60))
RATE_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 3)


@dataclass(frozen=True)
class Protocol(BaseProtocol):
    """The published protocol: a tanh MLP 40-50-10, gradient descent without momentum, batches in fixed order."""

    starts: Annotated[tuple[PositiveFloat, ...], Meta(min_length=1)] = STARTS
    """Learning rates to start from; the published ones are 1.5 and 0.15."""
    n_outer_steps: PositiveInt = 50
    """Steps of gradient descent on the learning rate."""
    outer_rate: PositiveFloat = 0.3
    """Learning rate of the outer gradient descent."""
    n_steps: PositiveInt = 200
    """Inner steps: optimiser steps of each training run."""
    batch_size: PositiveInt = 50
    """Examples per inner step."""
    width: PositiveInt = 50
    """Hidden units."""
    rates: Annotated[tuple[PositiveFloat, ...], Meta(min_length=1)] = RATES
    """Learning rates of the grid, with which metalearning is compared."""
    fresh_start: bool = False
    """Draw new initial weights, and so a new landscape, in each outer step; by default each seed keeps its own."""
    fresh_data: bool = False
    """Use a new data set for each seed (generator seed 1000 + 2·seed) instead of the published one."""
    data: MNIST1D = field(default_factory=MNIST1D)
    """The data set."""

    def plan(self, record_loss: bool = False) -> Plan:
        """Return the plan of an inner run, evaluated at both ends only."""
        return Plan(self.n_steps, self.batch_size, self.n_steps, optimizer="sgd", record_loss=record_loss)


def conditions(protocol: Protocol) -> Sequence[Condition]:
    """Return two conditions: metalearning from all starts, and the grid."""
    return [{"treatment": "metalearned"}, {"treatment": "grid"}]


def n_steps(protocol: Protocol, treatment: str) -> int:
    """Return the inner steps of one seed."""
    n_descents = len(protocol.starts) * (protocol.n_outer_steps + 1)
    return protocol.n_steps * (len(protocol.rates) if treatment == "grid" else n_descents)


def resources(protocol: Protocol, treatment: str) -> tuple[int, int]:
    """Return the FLOPs of training one seed, and the bytes of its data and network."""
    n = round(n_steps(protocol, treatment) * (1 if treatment == "grid" else METAGRADIENT))
    return Training(_network(protocol), protocol.data, Plan(n, protocol.batch_size, n)).resources


def _network(protocol: Protocol) -> Model:
    return dense.shallow(protocol.data.final_seq_length, protocol.data.outputs, protocol.width)


def run(protocol: Protocol, condition: Condition, context: Context) -> xr.Dataset:
    """Return rate and losses along the outer descent from each start, or the losses at each rate of the grid."""
    data = fresh(protocol.data) if protocol.fresh_data else shared(protocol.data)
    network = _network(protocol)
    if condition["treatment"] == "grid":
        grid = Training(network, data, protocol.plan(record_loss=True), {"learning_rate": protocol.rates})
        losses = context.train(grid).results.loss
        return xr.Dataset({"grid_loss": losses.mean("update"), "grid_last_loss": losses.isel(update=-1)})
    starts = [{"learning_rate": start} for start in protocol.starts]
    learned = metalearn(supervised(network), data, _meta_plan(protocol), starts, context.seeds, key=context.key,
                        progress=context.progress)  # fmt: skip
    rates = learned.saved_hparams["learning_rate"]
    return learned.results.assign(rate=(("start", "seed", "outer_step"), rates)).assign_coords(start=[*protocol.starts])


@functools.cache
def _meta_plan(protocol: Protocol) -> MetaPlan:
    n = protocol.n_outer_steps + 1  # a step records rate and loss before its update; the last step records the end
    descent, saved_at = optax.sgd(protocol.outer_rate), tuple(range(n))
    return MetaPlan(protocol.plan(), n, descent, fresh_start=protocol.fresh_start, save_hparams_at=saved_at)


def ends(results: xr.Dataset) -> xr.DataArray:
    """Return the rates at which the descents end, over `seed` and `start`."""
    return final(results.rate.sel(treatment="metalearned"), "outer_step")


def diverged(results: xr.Dataset) -> xr.DataArray:
    """Return whether a descent ended at a greater loss than it began, over `seed` and `start`."""
    loss = results.outer_loss.sel(treatment="metalearned")
    return ~(loss.isel(outer_step=-1, drop=True) <= loss.isel(outer_step=0, drop=True))


def learned_rate(results: xr.Dataset) -> xr.DataArray:
    """Return the metalearned rate over `seed`: the median of the ends of the descents that do not diverge."""
    return ends(results).where(~diverged(results)).median("start")


def distance(results: xr.Dataset, starts: Sequence[float] | None = None) -> xr.DataArray:
    """Return how far from the grid's best rate the farthest descent ends, over `seed`; infinity if one diverges.

    Args:
        results: the study's results.
        starts: the starts of the descents; by default all.
    """
    distances = abs(ends(results) - best_rate(results)).where(~diverged(results), np.inf)
    return (distances if starts is None else distances.sel(start=[*starts])).max("start")


def best_rate(results: xr.Dataset) -> xr.DataArray:
    """Return the rate of least loss over `seed`: the vertex of a parabola through the lowest points in log rate."""
    losses = results.grid_loss.sel(treatment="grid").transpose("seed", "learning_rate").sortby("learning_rate")
    return losses.seed.copy(data=[lowest_place(losses.learning_rate, curve) for curve in losses.values])


def _from_published(results: xr.Dataset) -> xr.DataArray:
    return distance(results, PUBLISHED_STARTS)


def _from_best(results: xr.Dataset) -> xr.DataArray:
    """Return how far the metalearned rate is from the grid's best over `seed`; infinity if all descents diverge."""
    return abs(learned_rate(results) - best_rate(results)).fillna(np.inf)


CLAIMS = sharing("this data set", (
    Claim("converges", "in most seeds, the rate ends within 0.05 of the grid's best both from 1.5 and from 0.15",
          "paper, nb", "0.62 from both", "% of seeds",
          Effect(_from_published, {"start": PUBLISHED_STARTS}).holds(lambda far: far <= 0.05), above=50,
          independent_of=("starts",)),
    Claim("value", "the metalearned rate (the median of ten starts that do not diverge) is 0.62 ± 0.06", "paper, nb",
          "0.62", "", learned_rate, within=(0.56, 0.68), independent_of=("rates",)),
    Claim("is-optimal", "in most seeds, the metalearned rate (the median of ten starts) is within 0.1 of the best one "
          "of a dense grid", "here", "–", "% of seeds", Effect(_from_best).holds(lambda far: far <= 0.1), above=50),
    Claim("converges-everywhere", "in most seeds, from each of ten starts in 0.05 to 3 the rate ends within 0.1 of the "
          "grid's best", "here", "–", "% of seeds", Effect(distance).holds(lambda far: far <= 0.1), above=50),
))  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return rate and losses at the end of the descent from each start, and the grid's minimum."""
    lost = diverged(results).sortby("start")
    kept = results.sel(treatment="metalearned").sortby("start").where(~lost)
    before, after = (kept.outer_loss.isel(outer_step=i) for i in (0, -1))
    columns = {"rate": (final(kept.rate, "outer_step"), 3), "mean inner loss before": (before, 3), "after": (after, 3)}
    title, names, rows = pivot(over_seeds(results), columns, "start", name="start {:g}".format)
    counts = [f"{int(row.sum())}/{row.size}" for row in lost.transpose("start", "seed").values]
    least = plus_minus(results.grid_loss.sel(treatment="grid").min("learning_rate"), 3)
    rows = [(*row, count) for row, count in zip(rows, counts, strict=True)]
    rows += [("grid's minimum", plus_minus(best_rate(results), 3), "–", least, "–")]
    return Table(title, (*names, "diverged (left out)"), rows)


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot outer objective, last inner loss and rate along the outer descent, and the landscape with its minimum.

    A start is drawn if most of its runs do not diverge; only the published ones have bands, of those runs.
    """
    learned, lost = results.sel(treatment="metalearned"), diverged(results)
    drawn, axes = panels(
        "Outer objective: mean inner loss", "Loss of the last inner step", "Learning rate",
        "The landscape, and where descent ends", size=(10.4, 7.6), n_rows=2,
    )  # fmt: skip
    kept = learned.where(~lost).sel(start=lost.mean("seed") <= 0.5).sortby("start")
    others = [start for start in kept.start.values if start not in PUBLISHED_STARTS]
    for ax, name in zip(axes, ("outer_loss", "last_loss", "rate"), strict=False):
        for start in others:
            (line,) = ax.plot(kept.outer_step, kept[name].sel(start=start).mean("seed"), color="0.6", linewidth=0.9)
            line.set_label(f"from {others[0]:g} … {others[-1]:g}" if start == others[0] else "")
        for start, colour in zip(PUBLISHED_STARTS, COLOURS, strict=False):
            if start in kept.start:
                n_lost = int(lost.sel(start=start).sum())
                without = f", without {n_lost} that diverged" if n_lost else ""
                band(ax, kept[name].sel(start=start), label=f"from {start:g} (published{without})", color=colour,
                     linewidth=1.6)  # fmt: skip
        if gone := sorted(set(learned.start.values) - set(kept.start.values)):
            ax.plot([], [], " ", label=f"from {', '.join(f'{start:g}' for start in gone)} most diverge")
    axes[0].legend(fontsize=8)  # of the other two as well
    axes[2].set(yscale="log")
    axes[2].set_yticks(RATE_TICKS, map(str, RATE_TICKS))
    axes[2].minorticks_off()
    _landscape(axes[3], results)
    return drawn


def _landscape(ax: Axes, results: xr.Dataset) -> None:
    band(ax, results.grid_loss.sel(treatment="grid").sortby("learning_rate"), color=COLOURS[2], label="mean inner loss")
    learned, best = learned_rate(results), best_rate(results)
    mean, low, high, _ = interval(learned)
    ax.axvline(mean, color=COLOURS[0], linewidth=1.4, label=f"metalearned: {plus_minus(learned, 2)}")
    if not np.isnan(low):
        ax.axvspan(low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    ax.axvline(float(best.mean()), color="0.3", linestyle="--", linewidth=1.1, label=f"best: {plus_minus(best, 2)}")
    published_values(ax, PUBLISHED, horizontal=True, label=f"published: {PUBLISHED}")
    ax.set(xscale="log", ylabel="mean inner loss (nats)")
    ax.set_xticks(RATE_TICKS, map(str, RATE_TICKS))
    ax.minorticks_off()
    ax.legend(fontsize=8)


PRESETS = {
    "smoke": Protocol(n_seeds=2, starts=(1.5, 0.15, 0.5), n_outer_steps=3, n_steps=20, rates=(0.1, 0.3, 1.0, 2.0),
                      data=MNIST1D(n_train=500, n_valid=0, n_test=100)),
    "quick": Protocol(n_seeds=6),
    "paper": Protocol(n_seeds=30),
}  # fmt: skip
MINUTES = {"smoke": 0.2, "quick": 0.3, "paper": 2.4}
STUDY = Study.of_module(__name__)
