"""Metalearning a learning rate: does gradient descent on the rate itself find the best one, wherever it starts?

The mean training loss of a whole run of 200 steps is differentiated with respect to its learning rate, and descended
(Greydanus & Kobak 2024, section 3.3; Maclaurin et al. 2015). A dense grid of rates shows where the best one is.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure
from msgspec import Meta

from flylab.base.constraints import PositiveFloat, PositiveInt
from flylab.data import MNIST1D, Splits, published
from flylab.models import dense
from flylab.results.claims import Claim
from flylab.results.plots import COLOURS, band, style
from flylab.results.statistics import interval, plus_minus
from flylab.study.protocol import BaseProtocol
from flylab.study.study import Condition, Study, Table
from flylab.training.metalearning import MetaPlan, metalearn
from flylab.training.objectives import Objective, supervised
from flylab.training.population import Progress, train_members
from flylab.training.step import Plan

PUBLISHED_STARTS = (1.5, 0.15)
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


def run(
    protocol: Protocol,
    condition: Condition,
    seeds: Sequence[int],
    *,
    key,
    artifacts=None,
    progress: Progress | None = None,
    resume=None,
) -> xr.Dataset:
    """Return rate and losses along the outer descent from each start, or the losses at each rate of the grid."""

    def fresh(seed: int) -> Splits:
        return _splits(replace(protocol.data, seed=1000 + 2 * seed))

    data = fresh if protocol.fresh_data else _splits(protocol.data)
    return RUNS[condition["treatment"]](protocol, data, seeds, key, progress)


def _metalearned(protocol: Protocol, data: Splits | Callable, seeds: Sequence[int], key, progress) -> xr.Dataset:
    starts = [{"learning_rate": start} for start in protocol.starts]
    learned = metalearn(_objective(protocol), data, _meta_plan(protocol), starts, seeds, key=key, progress=progress)
    rates = learned.saved_hparams["learning_rate"]
    return learned.results.assign(rate=(("start", "seed", "outer_step"), rates)).assign_coords(start=[*protocol.starts])


def _grid(protocol: Protocol, data: Splits | Callable, seeds: Sequence[int], key, progress) -> xr.Dataset:
    grid, plan = {"learning_rate": protocol.rates, "seed": seeds}, protocol.plan(record_loss=True)
    losses = train_members(_objective(protocol), data, plan, grid, key=key, progress=progress).results.loss
    return xr.Dataset({"grid_loss": losses.mean("update"), "grid_last_loss": losses.isel(update=-1)})


RUNS = {"metalearned": _metalearned, "grid": _grid}


def _objective(protocol: Protocol) -> Objective:
    return supervised(dense.shallow(protocol.data.final_seq_length, protocol.data.outputs, protocol.width))


@functools.cache
def _meta_plan(protocol: Protocol) -> MetaPlan:
    n = protocol.n_outer_steps + 1  # a step records rate and loss before its update; the last step records the end
    descent, saved_at = optax.sgd(protocol.outer_rate), tuple(range(n))
    return MetaPlan(protocol.plan(), n, descent, fresh_start=protocol.fresh_start, save_hparams_at=saved_at)


_splits = functools.lru_cache(maxsize=4)(published)


def final(results: xr.Dataset, start: float | None = None) -> xr.DataArray:
    """Return the metalearned rate over `seed` from one start; by default, the mean of both published starts."""
    rates = results.rate.sel(treatment="metalearned").isel(outer_step=-1)
    if start is not None:
        return rates.sel(start=start)
    return rates.sel(start=[start for start in PUBLISHED_STARTS if start in rates.start.values]).mean("start")


def diverged(results: xr.Dataset) -> xr.DataArray:
    """Return whether a descent ended at a greater loss than it began, over `seed` and `start`."""
    loss = results.outer_loss.sel(treatment="metalearned")
    return ~(loss.isel(outer_step=-1, drop=True) <= loss.isel(outer_step=0, drop=True))


def best_rate(results: xr.Dataset) -> xr.DataArray:
    """Return the rate of least loss over `seed`: the vertex of a parabola through the lowest points in log rate."""
    losses = results.grid_loss.sel(treatment="grid").transpose("seed", "learning_rate").sortby("learning_rate")
    logs, best = np.log(losses.learning_rate.values), []
    for curve in losses.values:
        lowest = int(np.nanargmin(curve))
        around = slice(max(lowest - 1, 0), lowest + 2)
        vertex = logs[lowest]
        if len(curve[around]) == 3:
            curvature, slope, _ = np.polyfit(logs[around] - vertex, curve[around], 2)
            vertex += -slope / (2 * curvature) if curvature > 0 else 0.0
        best.append(float(np.exp(vertex)))
    return losses.seed.copy(data=best)


def _share_near(results: xr.Dataset) -> xr.DataArray:
    """Return the percentage of starts that end within 0.1 of the published starts' mean, over `seed`."""
    distance = np.abs(results.rate.sel(treatment="metalearned").isel(outer_step=-1) - final(results))
    return 100 * (distance < 0.1).mean("start")


CLAIMS = (
    Claim("converges", "started from 1.5 and from 0.15, the rate ends within 0.05 of the same value", "paper, nb",
          "0.62", "", lambda r: final(r, 1.5) - final(r, 0.15), within=(-0.05, 0.05)),
    Claim("value", "the metalearned rate is 0.62 ± 0.06", "paper, nb", "0.62", "", final, within=(0.56, 0.68)),
    Claim("is-optimal", "a dense grid of rates has its minimum within ± 0.1 of the metalearned rate", "here", "–", "",
          lambda r: final(r) - best_rate(r), within=(-0.1, 0.1)),
    Claim("converges-everywhere", "from each of ten starts between 0.05 and 3 it ends within 0.1 of there", "here",
          "–", "% of starts", _share_near, within=(100, 100)),
)  # fmt: skip


def table(results: xr.Dataset) -> Table:
    """Return rate and losses at the end of the descent from each start, and the grid's minimum."""
    learned, rows = results.sel(treatment="metalearned"), []
    for start in sorted(learned.start.values):
        is_lost = diverged(results).sel(start=start)
        descent = learned.sel(start=start).where(~is_lost)
        first, last = (plus_minus(descent.outer_loss.isel(outer_step=i), 3) for i in (0, -1))
        rate = plus_minus(descent.rate.isel(outer_step=-1), 3)
        rows.append((f"start {start:g}", rate, first, last, f"{int(is_lost.sum())}/{is_lost.size}"))
    least = results.grid_loss.sel(treatment="grid").min("learning_rate")
    rows.append(("grid's minimum", plus_minus(best_rate(results), 3), "–", plus_minus(least, 3), "–"))
    columns = ("", "rate", "mean inner loss before", "after", "diverged (left out)")
    return Table(f"Mean over {results.sizes['seed']} seeds ± half of the 95 % interval", columns, rows)


def figure(results: xr.Dataset) -> Figure:
    """Plot outer objective, last inner loss and rate along the outer descent, and the landscape with its minimum."""
    learned, lost = results.sel(treatment="metalearned"), diverged(results)
    titles = {"outer_loss": "Outer objective: mean inner loss", "last_loss": "Loss of the last inner step",
              "rate": "Learning rate"}  # fmt: skip
    with style():
        drawn = Figure(figsize=(10.4, 7.6))
        axes: Any = drawn.subplots(2, 2)
        for ax, (name, title) in zip(axes.flat, titles.items(), strict=False):
            for start in sorted(learned.start.values):
                is_published = start in PUBLISHED_STARTS
                colour = COLOURS[PUBLISHED_STARTS.index(start)] if is_published else "0.6"
                label = f"from {start:g} (published)" if is_published else ""
                curve = learned[name].sel(start=start).where(~lost.sel(start=start))
                if curve.notnull().any():
                    band(ax, curve, label=label, color=colour, linewidth=1.6 if is_published else 0.9)
            without = f" (without {int(lost.sum())} runs that diverged)" if lost.any() else ""
            ax.plot([], [], color="0.6", linewidth=0.9, label=f"from other starts{without}")
            ax.set(title=title)
            ax.legend(fontsize=8)
        axes[1, 0].set(yscale="log")
        axes[1, 0].set_yticks(RATE_TICKS, map(str, RATE_TICKS))
        axes[1, 0].minorticks_off()
        _landscape(axes[1, 1], results)
    return drawn


def _landscape(ax, results: xr.Dataset) -> None:
    band(ax, results.grid_loss.sel(treatment="grid").sortby("learning_rate"), color=COLOURS[2], label="mean inner loss")
    mean, low, high, _ = interval(final(results))
    ax.axvline(mean, color=COLOURS[0], linewidth=1.4, label=f"metalearned: {plus_minus(final(results), 2)}")
    if not np.isnan(low):
        ax.axvspan(low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    best = best_rate(results)
    ax.axvline(float(best.mean()), color="0.3", linestyle="--", linewidth=1.1, label=f"best: {plus_minus(best, 2)}")
    ax.set(xscale="log", title="The landscape, and where descent ends", ylabel="mean inner loss (nats)")
    ax.set_xticks(RATE_TICKS, map(str, RATE_TICKS))
    ax.minorticks_off()
    ax.legend(fontsize=8)


STUDY = Study(
    question="Does gradient descent on the learning rate find the best one, wherever it starts?",
    presets={
        "smoke": Protocol(n_seeds=2, starts=(1.5, 0.15, 0.5), n_outer_steps=3, n_steps=20, rates=(0.1, 0.3, 1.0, 2.0),
                          data=MNIST1D(n_train=500, n_valid=0, n_test=100)),
        "quick": Protocol(n_seeds=10),
        "paper": Protocol(n_seeds=30),
    },
    conditions=conditions,
    run=run,
    claims=CLAIMS,
    figure=figure,
    table=table,
    n_steps=lambda protocol, condition: protocol.n_steps * (
        len(protocol.rates) if condition["treatment"] == "grid" else len(protocol.starts) * (protocol.n_outer_steps + 1)
    ),
    minutes={"smoke": 0.2, "quick": 0.9, "paper": 2.4},
)  # fmt: skip
