"""Learning curves, and accuracies against the number of training examples beside those of the notebook."""

import itertools

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base.units import axis
from flylab.results.effects import final
from flylab.results.plots import COLOURS, curves, panels, points, published_values, style

TITLES = {"none": "no pooling", "stride": "stride 2", "max": "max", "average": "average", "l2": "L2"}
COLOUR = {"none": "0.25", "stride": COLOURS[0], "max": COLOURS[1], "average": COLOURS[2], "l2": COLOURS[3]}
# test and training accuracy of one network each after 6000 steps, in the order of TITLES, by number of examples
# (the authors' notebook)
NOTEBOOK = {
    "test_accuracy": {
        1000: (59.2, 57.4, 78.2, 78.0, 77.2), 2000: (82.0, 81.7, 89.2, 90.0, 89.9),
        5000: (91.9, 89.9, 94.5, 94.0, 95.3), 10_000: (94.3, 91.3, 97.0, 96.0, 96.6),
        20_000: (94.4, 92.2, 96.8, 96.2, 97.8), 50_000: (96.3, 95.4, 98.1, 97.3, 97.1),
    },
    "train_accuracy": {
        1000: (100.0, 100.0, 100.0, 100.0, 100.0), 2000: (100.0, 100.0, 100.0, 100.0, 100.0),
        5000: (100.0, 99.6, 100.0, 99.2, 100.0), 10_000: (98.3, 96.4, 98.9, 97.7, 98.0),
        20_000: (96.3, 94.7, 98.2, 97.7, 98.6), 50_000: (96.9, 95.9, 98.5, 98.3, 97.7),
    },
}  # fmt: skip


def notebook(variable: str, pooling: str, n_train: int) -> float:
    """Return the notebook's accuracy.

    >>> notebook("test_accuracy", "max", 50_000)
    98.1
    """
    return NOTEBOOK[variable][n_train][list(TITLES).index(pooling)]


def sizes(results: xr.Dataset) -> dict[tuple[str, int], str]:
    """Return the pairs of source and size in the results, in ascending order, and their names."""
    is_present = results.test_accuracy.notnull().any(("pooling", "seed", "step"))
    return {
        (source, n): "endless" if source == "endless" else f"{n:,}".replace(",", " ")
        for source in ("published", "endless")
        for n in np.sort(results.n_train.values).tolist()
        if source in results.source and is_present.sel(source=source, n_train=n)
    }


def title(pooling: str) -> str:
    """Return the name of a pooling in tables and figures."""
    return TITLES.get(pooling, pooling)


def colours_of(results: xr.Dataset) -> dict[str, str]:
    """Return a colour for each pooling, users' own ones after the study's."""
    own = [name for name in results.pooling.values.tolist() if name not in TITLES]
    return COLOUR | dict(zip(own, itertools.cycle(COLOURS[len(TITLES) - 1 :]), strict=False))


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot learning curves with the fewest examples; accuracies and gain over no pooling against their number."""
    ((source, n), fewest), *_ = sizes(results).items()
    drawn, (learning, last, gains, fit) = panels(
        f"Learning curves, {fewest} training examples", "Test accuracy after the last step",
        "Gain over no pooling, paired by seed", "Training accuracy after the last step", size=(11, 8), n_rows=2,
    )  # fmt: skip
    curves(learning, results.test_accuracy.sel(source=source, n_train=n), "pooling", colours_of(results), title)
    learning.legend(title="pooling", loc="lower right", fontsize=8, title_fontsize=8)
    accuracy = final(results.test_accuracy)
    _against_size(last, results, accuracy, axis(results.test_accuracy))
    _published(last, results, "test_accuracy")
    if "none" in results.pooling:
        gains.axhline(0, color=COLOUR["none"], linewidth=1.5)
        difference = accuracy.drop_sel(pooling="none") - accuracy.sel(pooling="none", drop=True)
        _against_size(gains, results, difference, "points of test accuracy")
        _published(gains, results, "test_accuracy", but="none")
    else:
        gains.set_axis_off()
    if "train_accuracy" in results and results.train_accuracy.notnull().any():
        _against_size(fit, results, final(results.train_accuracy), axis(results.train_accuracy))
        _published(fit, results, "train_accuracy")
        fit.set_ylim(top=101)
    else:
        fit.set_axis_off()
    return drawn


def _against_size(ax: Axes, results: xr.Dataset, values: xr.DataArray, label: str) -> None:
    """Plot values against the logarithm of the size; endless data stand apart at the right and are joined to none."""
    places = {
        source: values.sel(source=source).dropna("n_train", how="all").n_train.values for source in values.source.values
    }
    ticks = {n: f"{n / 1000:g}k" if n >= 1000 else str(n) for n in places.get("published", ())}
    look = {"colours": colours_of(results), "name": title}
    if ticks:
        points(ax, values.sel(source="published", n_train=list(ticks)), "n_train", "pooling", **look)
    if len(places.get("endless", ())):
        apart = 3.0 * max(ticks, default=1000)
        ends = values.sel(source="endless", n_train=places["endless"]).assign_coords(n_train=[apart])
        points(ax, ends.assign_attrs(values.attrs), "n_train", "pooling", **look, label="_")
        if ticks:
            ax.axvline(apart / np.sqrt(3), color="0.6", linestyle=":", linewidth=1)
        ticks[apart] = "∞"
    ax.set(xlabel=axis(results.n_train), ylabel=label)
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.set_xlim(min(ticks) / 1.7, max(ticks) * 1.7)
    ax.minorticks_off()


def _published(ax: Axes, results: xr.Dataset, variable: str, but: str | None = None) -> None:
    """Mark the notebook's values, less those of the pooling `but`, as crosses beside ours."""
    shown = [n for source, n in sizes(results) if source == "published" and n in NOTEBOOK[variable]]
    for name in TITLES:
        if name in results.pooling and name != but:
            base = [notebook(variable, but, n) if but else 0 for n in shown]
            values = [notebook(variable, name, n) - less for n, less in zip(shown, base, strict=True)]
            published_values(ax, values, np.array(shown) * 1.2, source="nb", color=COLOUR[name], label="")
    if shown:
        published_values(ax, [], [], source="nb", label="notebook, one network each")
        if variable == "test_accuracy" and but is None:  # one legend for all panels
            ax.legend(handles=ax.containers[-1:], fontsize=8)
