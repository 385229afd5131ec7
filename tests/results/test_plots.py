"""What the drawing helpers draw, and titles and pivots of tables."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from flylab.reporting import image
from flylab.results.plots import (
    COLOURS,
    MARKERS,
    SOURCES,
    band,
    curves,
    dots,
    forest,
    panels,
    points,
    published_values,
    style,
)
from flylab.results.tables import over_seeds, pivot


@pytest.fixture
def values():
    data = np.arange(12.0).reshape(2, 3, 2)
    return xr.DataArray(data, {"model": ["mlp", "cnn"], "n_train": [10, 100, 1000], "seed": [0, 1]}, name="accuracy")


def test_panels():
    figure, axes = panels("a", "b", "c", size=(6, 4), n_rows=2)
    assert [ax.get_title() for ax in axes] == ["a", "b", "c"]
    assert len(figure.axes) == 4
    assert not figure.axes[3].axison


def test_curves_and_points_show_every_label(values):
    with style():
        _, (left, right) = panels("", "", size=(6, 4))
        curves(left, values, "model", name=str.upper)
        points(right, values, "n_train", "model", {"mlp": "black", "cnn": "red"})
    assert [line.get_label() for line in left.get_lines()] == ["MLP", "CNN"]
    assert [line.get_color() for line in left.get_lines()] == list(COLOURS[:2])
    np.testing.assert_allclose(left.get_lines()[0].get_ydata(), [0.5, 2.5, 4.5])
    assert [container.get_label() for container in right.containers] == ["mlp", "cnn"]
    first, second = (container.lines[0] for container in right.containers)
    np.testing.assert_allclose(second.get_ydata().astype(float), [6.5, 8.5, 10.5])
    assert (first.get_xdata() < second.get_xdata()).all()


def test_a_colour_has_its_marker_in_every_kind_of_plot(values):
    with style():
        _, axes = panels("", "", "", "", size=(6, 4))
        curves(axes[0], values, "model")
        points(axes[1], values, "n_train", "model")
        dots(axes[2], values.sel(model="mlp"), [1, 2, 3], color=COLOURS[4])
        band(axes[3], values.sel(model="mlp"), color=COLOURS[4], marker=".")
    assert [line.get_marker() for line in axes[0].get_lines()] == [MARKERS[colour] for colour in COLOURS[:2]]
    drawn = [container.lines[0].get_marker() for container in axes[1].containers]
    assert drawn == [MARKERS[colour] for colour in COLOURS[:2]]
    assert axes[2].containers[0].lines[0].get_marker() == MARKERS[COLOURS[4]]
    assert axes[3].get_lines()[0].get_marker() == "."


@pytest.mark.parametrize("n", [1, 5, 40, 500])
def test_long_curves_have_about_six_markers(n):
    curve = xr.DataArray(np.zeros((2, n)), {"seed": [0, 1], "step": range(n)})
    for colour in COLOURS:
        with style():
            _, (ax,) = panels("", size=(6, 4))
            band(ax, curve, color=colour)
        start, every = ax.get_lines()[0].get_markevery()
        assert 1 <= len(range(n)[start::every]) <= max(7, min(n, 11))


def test_what_has_no_values_leaves_its_panel_empty(values):
    with style():
        _, (left, right) = panels("", "", size=(6, 4))
        band(left, (np.nan * values).sel(model="mlp"), label="none")
        forest(right, {})  # warnings are errors
    assert np.isnan(left.get_lines()[0].get_ydata()).all()
    assert left.get_legend_handles_labels()[1] == ["none"]


@pytest.mark.parametrize("horizontal", [False, True])
def test_published_values_look_alike(horizontal):
    with style():
        _, (ax, lines) = panels("", "", size=(6, 4))
        for _ in range(2):
            published_values(ax, [94, 68], [0, 1], spread=[2, 3], horizontal=horizontal)
            published_values(lines, [0.62], spread=0.06, horizontal=horizontal)
    assert ax.get_legend_handles_labels()[1] == lines.get_legend_handles_labels()[1] == ["published (paper)"]
    marks, _, (bars,) = ax.containers[0].lines
    at = marks.get_xydata()
    np.testing.assert_allclose(at[:, ::-1] if horizontal else at, [[0, 94], [1, 68]])
    reach = [np.ptp(segment, axis=0).max() for segment in bars.get_segments()]
    np.testing.assert_allclose(reach, [4, 6])
    across = lines.get_lines()[0].get_xydata()
    assert set(across[:, 0 if horizontal else 1]) == {0.62}
    assert lines.patches


def test_sources_of_published_values_have_marks_of_their_own():
    with style():
        _, (ax,) = panels("", size=(6, 4))
        for i, source in enumerate(SOURCES):
            published_values(ax, i, 0, source=source)
    assert len({container.lines[0].get_marker() for container in ax.containers}) == len(SOURCES) == 4
    assert ax.get_legend_handles_labels()[1] == [f"published ({source})" for source in SOURCES]


def test_the_users_settings_of_matplotlib_change_nothing(values):
    def drawn():
        with style():
            _, (ax,) = panels("accuracy ≥ 25", size=(6, 4))
            curves(ax, values.isel(n_train=slice(2)), "model")
        return image(ax.figure, "svg")

    hostile = {"text.usetex": True, "axes.facecolor": "red", "font.family": "No Such Font", "lines.linewidth": 9,
               "figure.max_open_warning": 0, "axes.unicode_minus": False, "savefig.bbox": "tight"}  # fmt: skip
    expected = drawn()
    with mpl.rc_context(hostile):
        assert drawn() == expected
        assert mpl.rcParams["text.usetex"]  # they are the user's again


def test_points_leave_out_places_without_values(values):
    with style():
        _, (ax,) = panels("", size=(6, 4))
        points(ax, values.where(values.n_train > 10), "n_train", "model")
    assert len(ax.containers[0].lines[0].get_xdata()) == 2


def test_forest():
    with style():
        _, (ax,) = panels("", size=(6, 4))
        forest(ax, {"a": [1.0, 2.0], "b": [3.0, 5.0]}, colours=["red", "blue"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    np.testing.assert_allclose([float(container.lines[0].get_xdata()[0]) for container in ax.containers], [1.5, 4])


def test_pivot(values):
    columns = {str(n): values.sel(n_train=n) for n in (10, 100)} | {"last": (values.isel(n_train=-1), 2), "none": None}
    table = pivot(over_seeds(values.to_dataset(), "Accuracy"), columns, "model", corner="network", name=str.upper)
    assert table.title == "Accuracy, mean over 2 seeds ± half of the 95 % interval"
    assert table.columns == ["network", "10", "100", "last", "none"]
    assert table.rows[0] == ["MLP", "0.5 ± 6.4", "2.5 ± 6.4", "4.50 ± 6.35", "–"]
    one_missing = {"a": values.sel(n_train=10).where(values.seed > 0)}
    assert pivot("", one_missing, "model").rows[0][1] == "1.0"
    assert pivot("", one_missing, "model", skipna=False).rows[0][1] == "–"
