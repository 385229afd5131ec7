"""Accuracies and gaps against each data parameter."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flylab.base.units import axis
from flylab.models import model_title
from flylab.results.plots import COLOURS, MARKERS, band, panels, plain_ticks, style
from flylab.studies.data_params.measures import curve, gap, gap_in_log_odds, has_gap
from flylab.studies.data_params.method import DATA_PARAMS, NETWORKS


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot accuracy and gap against each data parameter, of networks trained there and (dashed) only tested there."""
    data_params = results.data_param.values.tolist()
    measures = {"CNN − MLP (points)": gap, "CNN − MLP (log-odds)": gap_in_log_odds} if has_gap(results) else {}
    n, names = len(data_params), (axis(results.test_accuracy), *measures)
    drawn, axes = panels(*[""] * n * len(names), size=(3.2 * len(names) + 1.5, 0.4 + 2.3 * n), n_rows=n, sharey="col")
    rows = [axes[start : start + len(names)] for start in range(0, len(axes), len(names))]
    for data_param, row in zip(data_params, rows, strict=True):
        for variable, line in (("test_accuracy", "-"), ("robust_accuracy", "--")):
            if variable not in results or results[variable].sel(data_param=data_param).isnull().all():
                continue
            for model, colour in _colours(results).items():
                band(row[0], curve(results, data_param, model, variable), color=colour, linestyle=line)
            for ax, measure in zip(row[1:], measures.values(), strict=True):
                band(ax, measure(results, data_param, variable), color="0.25", linestyle=line)
        for ax, name in zip(row, names, strict=True):
            _data_param_axis(ax, results, data_param)
            ax.set_ylabel(name)
        for ax in row[1:]:
            ax.axhline(0, color="0.6", linewidth=0.8)
    keys = [Line2D([], [], color=colour, marker=MARKERS[colour], markersize=4, label=model_title(model))
            for model, colour in _colours(results).items()]  # fmt: skip
    if "robust_accuracy" in results:
        keys.append(Line2D([], [], color="0.25", linestyle="-", label="trained there"))
        keys.append(Line2D([], [], color="0.25", linestyle="--", label="trained at the\nusual value"))
    rows[0][-1].legend(handles=keys, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    return drawn


def _colours(results: xr.Dataset) -> dict[str, str]:
    """Return the colour of each network in the results."""
    return {model: colour for model, colour in zip(NETWORKS, COLOURS, strict=False) if model in results.model}


def _data_param_axis(ax: Axes, results: xr.Dataset, data_param: str) -> None:
    ax.axvline(float(results.usual.sel(data_param=data_param).max()), color="0.6", linestyle=":", linewidth=1)
    ax.set_xlabel(DATA_PARAMS[data_param].title)
    if DATA_PARAMS[data_param].logarithmic:
        settings = results.test_accuracy.sel(data_param=data_param).dropna("setting", how="all").setting.values
        ax.set_xscale("log")
        plain_ticks(ax, settings.tolist())
        ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
