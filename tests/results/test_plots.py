"""What the drawing helpers draw, and titles and pivots of tables."""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

from flylab.reporting import image
from flylab.results.plots import COLOURS, curves, forest, panels, points, style
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
