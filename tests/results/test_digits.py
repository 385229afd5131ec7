"""Numbers on ticks: plain where short, else with exponents, and no mathematics."""

from flylab.results.digits import write_ticks
from flylab.results.plots import panels, style


def ticks(axis):
    axis.axes.figure.draw_without_rendering()
    return [text for label in axis.get_ticklabels(which="both") if (text := label.get_text())]


def test_logarithmic_ticks():
    with style():
        _, axes = panels("", "", "", size=(9, 3))
        for ax, (low, high) in zip(axes, ((1e-4, 1), (1, 1e6), (0.2, 0.7)), strict=True):
            ax.set(xscale="log", xlim=(low, high))
        write_ticks(axes)
        small, large, narrow = (ticks(ax.xaxis) for ax in axes)
    assert {"1e-4", "1e-2", "1"} <= set(small)
    assert {"1", "100", "10000", "1e6"} <= {*large}
    assert {"0.2", "0.4"} <= set(narrow)
    assert not any("$" in text for text in (*small, *large, *narrow))
