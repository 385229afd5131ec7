"""Charts of a sweep for paper: colours, numbers, width, fonts."""

import itertools

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from flylab.reporting import chart, image
from flylab.results.styles import COLOURS, shades

RATES = [1e-4, 3.2e-4, 1e-3, 3.2e-3, 1e-2, 3.2e-2, 1e-1, 0.5]


@pytest.fixture(scope="module")
def sweep():
    values = np.arange(8.0 * 2 * 2 * 3).reshape(8, 2, 2, 3)
    values[0, 0, 0] = np.nan  # left out by a filter
    coords = {"learning_rate": RATES, "width": [10, 100], "model": ["mlp", "cnn"], "seed": range(3)}
    return xr.Dataset({"test_accuracy": ([*coords], values)}, coords)


def written(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.slow
@pytest.mark.parametrize(("lines", "at", "colours"), [
    ("learning_rate", {"model": "cnn"}, shades(8)), ("model", {"learning_rate": "3.2e-4"}, [*COLOURS[:2]]),
])  # fmt: skip
def test_lines_of_numbers_are_a_sequence_and_those_of_names_are_not(sweep, lines, at, colours):
    figure = chart(sweep, "test_accuracy", "width", lines=lines, at=at)
    assert [line.get_color() for line in figure.axes[0].get_lines()] == colours
    if lines == "learning_rate":
        assert {"1e-4", "3.2e-4", "5e-1"} <= set(written(figure))


def test_a_heat_map_for_paper(sweep):
    figure = chart(sweep, "test_accuracy", "learning_rate", y="width", at={"model": "cnn"}, width="column")
    figure.draw_without_rendering()
    assert figure.get_figwidth() == 3.25
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 7
    cells = figure.axes[0].texts
    assert len(cells) == 16
    assert {text.get_color() for text in cells} == {"white", "black"}
    for some in (cells, figure.axes[0].xaxis.get_ticklabels()):
        boxes = sorted((text.get_window_extent() for text in some), key=lambda box: (box.y0, box.x0))
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))
    pdf = image(figure, "pdf")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def test_cells_that_were_not_trained_are_empty_and_numbers_that_do_not_fit_are_left_out(sweep):
    figure = chart(sweep, "test_accuracy", "learning_rate", y="width", at={"model": "mlp"})
    assert len(figure.axes[0].texts) == 15
    narrow = chart(sweep, "test_accuracy", "learning_rate", y="width", panels="model", width=2)
    assert [text.get_text() for text in narrow.axes[0].texts] == ["a"]  # the panel's letter
