"""Compare a dozen optimisers on three networks, tuned equally, by steps and by seconds: `python bench/optimizers.py`.

    python bench/optimizers.py RUN [--rounds 3] [--figure FILE.png] [--out FILE.md]

RUN is the folder of a run of `flylab run optimizers paper`, or `docs/results/optimizers/paper`. This script times a
training with each optimiser on this machine, all cores busy, evaluations included, and writes both as a table and as
curves over seconds. Times belong to this machine, so no result holds them.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import xarray as xr

import flylab
from flylab.base import runtime
from flylab.data import published
from flylab.models.registry import get_model, model_title
from flylab.reporting import repeat_command
from flylab.results.contests import at_place, looks_of, places, tuned_names
from flylab.results.effects import final
from flylab.results.plots import band, panels
from flylab.results.ranks import rank_intervals
from flylab.results.statistics import interval, interval_text
from flylab.results.styles import style
from flylab.runs.provenance import origin
from flylab.studies.optimizers import BASELINES
from flylab.study.contestants import by_name
from flylab.training.objectives import supervised
from flylab.training.population import train_members
from flylab.training.step import Plan

RATE = 1e-3


def seconds_of(network: str, optimizer: str, plan: Plan) -> float:
    """Return the wall time of a training, of two at once per core."""
    n = 2 * len(runtime.devices())
    objective, grid = supervised(get_model(network)), {"learning_rate": RATE, "seed": range(n)}
    start = time.perf_counter()
    train_members(objective, published(), plan, grid)
    return (time.perf_counter() - start) / n


def timed(results: xr.Dataset, n_rounds: int) -> dict[tuple[str, str], float]:
    """Return the median seconds of a training, by network and optimiser; optimisers take turns."""
    steps = results.step.values
    times: dict[tuple[str, str], list[float]] = {}
    for network, _ in places(results):
        plans = {name: Plan(int(steps[-1]), 100, int(steps[1]), True, by_name(baseline.make))
                 for name, baseline in BASELINES.items() if name in results.optimizer}  # fmt: skip
        for round_ in range(n_rounds + 1):
            for name, plan in plans.items():
                seconds = seconds_of(network, name, plan)
                if round_:  # the first one compiles
                    times.setdefault((network, name), []).append(seconds)
    return {what: statistics.median(values) for what, values in times.items()}


def markdown(results: xr.Dataset, seconds: dict[tuple[str, str], float]) -> str:
    """Return the table: accuracy and rank with intervals, the tuned rate, and the time of a training."""
    columns = ("network", "optimiser", "test accuracy (%)", "rank (95 % interval)", "tuned rate", "seconds")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for network, task in places(results):
        here = at_place(results, "optimizer", network, task)
        accuracy = final(here.test_accuracy).transpose("optimizer", "seed").values
        ranks = rank_intervals(accuracy)
        for i in np.argsort([rank.mean for rank in ranks], kind="stable"):
            name, rank = str(here.optimizer.values[i]), ranks[i]
            (rate,) = tuned_names(here)
            lines.append(
                f"| {model_title(network)} | {BASELINES[name].title} | {interval_text(interval(accuracy[i]))} "
                f"| {rank.mean:g} ({rank.low:g} to {rank.high:g}) | {float(here[f'tuned_{rate}'][i].median()):.2g} "
                f"| {seconds[network, name]:.2f} |"
            )
    machine = origin()
    return (
        f"{results.sizes['seed']} seeds, each tuned by {results.sizes['trial']} trials: "
        f"`{repeat_command(results.attrs)}`. Tuned rates are medians. "
        f"Seconds of a training: {machine['processor']}, {machine['cores']} cores, {machine['finished'][:10]}.\n\n"
        + "\n".join(lines) + "\n"
    )  # fmt: skip


@style()
def figure(results: xr.Dataset, seconds: dict[tuple[str, str], float]):
    """Draw test loss and accuracy against seconds, a row for each network."""
    there = places(results)
    titles = [f"{model_title(network)}: test {what}" for network, _ in there for what in ("loss", "accuracy")]
    drawn, axes = panels(*titles, size=(11, 3.6 * len(there)), n_rows=len(there))
    looks = looks_of(results.optimizer.values.tolist())
    for (network, task), row in zip(there, zip(axes[::2], axes[1::2], strict=True), strict=True):
        here = at_place(results, "optimizer", network, task)
        for ax, variable in zip(row, ("test_loss", "test_accuracy"), strict=True):
            for name in here.optimizer.values.tolist():
                curve = here[variable].sel(optimizer=name).isel(step=slice(1, None))
                at = curve.step / curve.step[-1] * seconds[network, name]
                curve = curve.assign_coords(step=at.assign_attrs(long_name="time of a training", units="s"))
                band(ax, curve, label=BASELINES[name].title, **looks[name])
    drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawn


def main() -> None:
    """Time, and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    runtime.initialise()
    results = flylab.load(options.run)
    seconds = timed(results, options.rounds)
    text = markdown(results, seconds)
    print(text)
    if options.out:
        options.out.write_text(text)
    if options.figure:
        figure(results, seconds).savefig(options.figure, dpi=110)


if __name__ == "__main__":
    main()
