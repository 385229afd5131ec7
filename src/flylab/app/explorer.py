"""The page of studies: finished runs, their figures, and an interactive chart."""

import base64
import contextlib
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from flylab import reporting
from flylab.app import look, svg
from flylab.base.files import read_json
from flylab.base.optional import need
from flylab.base.units import axis
from flylab.reporting.figures import draw
from flylab.results.statistics import interval

MOST_VALUES = 12  # lines or panels of a chart
NUMBERS = "fiu"


def runs(out: Path) -> dict[str, Path]:
    """Return the folders of finished runs, newest first, by names such as "architectures · quick, 10 seeds"."""
    folders = {}
    for path in sorted(out.glob("*/*/results.nc"), key=lambda path: -path.stat().st_mtime):
        with contextlib.suppress(ValueError, LookupError, OSError, TypeError, AttributeError):  # damaged, or foreign
            results = reporting.load(path.parent)
            reporting.repeat_command(results.attrs)
            name = f"{results.attrs['study']} · {results.attrs['preset']}, {results.sizes['seed']} seeds"
            folders.setdefault(name if name not in folders else f"{name} ({path.parent.name})", path.parent)
    return folders


def figure(folder: Path, results: xr.Dataset | None) -> str:
    """Return a run's figure as HTML, light or dark as the page is; nothing if the run has none.

    The light one is the run's own file. The dark one is drawn from the results; without them, or if that fails, it is
    the light one with its lightness turned over.
    """
    try:
        light = (folder / "figure.png").read_bytes()
    except OSError:
        return ""
    about = 'alt="figure of the study" style="width: 100%; max-width: 1100px"'
    inverted = f'<div class="flylab-scroll"><img src="{_data(light)}" class="flylab-light-only" {about}></div>'
    if results is None:
        return inverted
    with contextlib.suppress(Exception):  # matplotlib's, and those of users' studies, may be any
        drawn = draw(reporting.study_of(results), results, dark=True)
        dark = _data(reporting.image(drawn, "png", results.attrs.get("checksum", "")))
        source = f'<source srcset="{dark}" media="(prefers-color-scheme: dark)">'
        return f'<div class="flylab-scroll"><picture>{source}<img src="{_data(light)}" {about}></picture></div>'
    return inverted


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def provenance(folder: Path) -> dict[str, Any]:
    """Return what a run recorded about its making, without its members; nothing if that cannot be read."""
    try:
        recorded = dict(read_json(folder / "provenance.json"))
    except (OSError, ValueError, TypeError):
        return {}
    return {name: value for name, value in recorded.items() if name != "members"}


class Axes(NamedTuple):
    """The variables and dimensions that a chart of some results may show."""

    values: list[str]  # variables with numbers over seeds
    dims: list[str]  # the chosen variable's dimensions, without the seed

    @classmethod
    def of(cls, results: xr.Dataset, value: str | None = None) -> "Axes":
        """Return the axes of results and one of their variables."""
        names = [str(name) for name, array in results.data_vars.items()
                 if array.dtype.kind == "f" and "seed" in array.dims and array.ndim > 1]  # fmt: skip
        chosen = value or names[0]
        return cls(names, [str(dim) for dim in results[chosen].dims if dim != "seed"])


def cut(array: xr.DataArray, used: list[str], at: dict[str, Any]) -> xr.DataArray:
    """Select one place of every unused dimension: the one that `at` gives, else the last step, else the first."""
    for dim in [str(dim) for dim in array.dims if dim != "seed" and dim not in used]:
        values = array[dim].values.tolist() if dim in array.coords else list(range(array.sizes[dim]))
        place = values.index(at[dim]) if at.get(dim) in values else (len(values) - 1 if dim == "step" else 0)
        array = array.isel({dim: place}, drop=True)
    return array


def rows(array: xr.DataArray, x: str, lines: str | None) -> list[dict[str, Any]]:
    """Return mean and interval over seeds at each place, as records."""
    records = []
    values = array[lines].values.tolist()[:MOST_VALUES] if lines else [None]
    for value in values:
        curve = array if value is None else array.sel({lines: value})
        for place in curve[x].values.tolist():
            mean, low, high, _ = interval(curve.sel({x: place}).values.ravel())
            if not math.isnan(mean):
                low, high = (mean if math.isnan(bound) else bound for bound in (low, high))
                records.append({"x": place, "mean": mean, "low": low, "high": high, "line": str(value)})
    return records


def chart(results: xr.Dataset, value: str, x: str, lines: str | None, at: dict[str, Any]) -> Any:
    """Plot lines with bands, or points with bars if `x` has no numbers; values appear in tooltips.

    Raises:
        MissingExtraError: without altair.
    """
    alt = need("altair", "app", "interactive charts")
    array = results[value]
    records = rows(cut(array, [name for name in (x, lines) if name], at), x, lines)
    is_number = np.asarray(array[x].values).dtype.kind in NUMBERS if x in array.coords else True
    title = axis(array)
    kind = "Q" if is_number else "N"
    across = alt.X(f"x:{kind}", title=axis(array[x]) if x in array.coords else x)
    if is_number and array[x].min() > 0 and array[x].max() > 20 * array[x].min():
        across = across.scale(type="log")
    ink = alt.Color("line:N", title=axis(array[lines]) if lines else "", scale=alt.Scale(range=list(svg.CLASSES)),
                    legend=alt.Legend(orient="bottom") if lines else None)  # fmt: skip
    hover = [alt.Tooltip("line:N", title=lines or " "), alt.Tooltip(f"x:{kind}", title=x),
             *(alt.Tooltip(f"{name}:Q", format=".2f") for name in ("mean", "low", "high"))]  # fmt: skip
    base = alt.Chart(alt.Data(values=records)).encode(across, color=ink)
    y = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False))
    if is_number:
        band = base.mark_area(opacity=0.2).encode(alt.Y("low:Q", title=title), alt.Y2("high:Q"))
        drawn = band + base.mark_line().encode(y) + base.mark_circle(size=40).encode(y, tooltip=hover)
    else:
        bars = base.mark_rule().encode(alt.Y("low:Q", title=title), alt.Y2("high:Q"))
        drawn = bars + base.mark_circle(size=70).encode(y, tooltip=hover)
    return drawn.properties(width="container", height=320, usermeta=look.CHART)
