"""Accuracies and gaps against each data parameter."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flylab.base.units import axis
from flylab.models import model_title
from flylab.results.plots import COLOURS, band, panels, plain_ticks, style
from flylab.studies.data_params.measures import curve, gap, gap_in_log_odds, has_gap
from flylab.studies.data_params.method import DATA_PARAMS, NETWORKS


@style()
def figure(results: xr.Dataset) -> Figure:
    """Plot accuracy and gap against each data parameter, of networks trained there and (dashed) only tested there."""
    data_params = results.data_param.values.tolist()
    n, measures = len(data_params), {"CNN − MLP (points)": gap, "CNN − MLP (log-odds)": gap_in_log_odds}
    n_rows = 1 + len(measures) * has_gap(results)
    drawn, axes = panels(*[""] * n_rows * n, size=(3.1 * n + 1, 0.4 + 2.9 * n_rows), n_rows=n_rows, sharey="row")
    rows = [axes[start : start + n] for start in range(0, n_rows * n, n)]
    for i, data_param in enumerate(data_params):
        for variable, line in (("test_accuracy", "-"), ("robust_accuracy", "--")):
            if variable not in results or results[variable].sel(data_param=data_param).isnull().all():
                continue
            for model, colour in zip(NETWORKS, COLOURS, strict=False):
                if model in results.model:
                    label = model_title(model) + (", trained at the usual value" if line == "--" else "")
                    values = curve(results, data_param, model, variable)
                    band(rows[0][i], values, label=label, color=colour, linestyle=line)
            label = "tested there" if line == "--" else "trained there"
            for row, measure in zip(rows[1:], measures.values(), strict=False):
                band(row[i], measure(results, data_param, variable), label=label, color="0.25", linestyle=line)
        for row in rows:
            _data_param_axis(row[i], results, data_param)
            row[i].set_ylabel("")
            if row is not rows[0]:
                row[i].axhline(0, color="0.6", linewidth=0.8)
    for row, name in zip(rows, (axis(results.test_accuracy), *measures), strict=False):
        row[0].set_ylabel(name)
    for row in rows[:2]:
        ax = max(row, key=lambda ax: len(ax.get_legend_handles_labels()[0]))  # the first that has all lines
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=7)
    return drawn


def _data_param_axis(ax: Axes, results: xr.Dataset, data_param: str) -> None:
    ax.axvline(float(results.usual.sel(data_param=data_param).max()), color="0.6", linestyle=":", linewidth=1)
    ax.set_xlabel(DATA_PARAMS[data_param].title)
    if DATA_PARAMS[data_param].logarithmic:
        settings = results.test_accuracy.sel(data_param=data_param).dropna("setting", how="all").setting.values
        ax.set_xscale("log")
        plain_ticks(ax, settings.tolist())
        ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
