"""Figures in every style: width, size of text, panel letters, the line below, files, and dark pages."""

import json
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

import flylab
from flylab.reporting import image
from flylab.reporting.dark import inverted
from flylab.reporting.figures import caption, draw
from flylab.reporting.layout import panels_of
from flylab.results.plots import COLOURS, band, panels, style
from flylab.results.styles import STYLES


def results(n_seeds=4, preset="quick"):
    values = np.arange(3.0 * n_seeds).reshape(n_seeds, 3)
    return xr.Dataset(
        {"loss": (("seed", "step"), values)},
        {"seed": range(n_seeds), "step": [1, 2, 3]},
        {"study": "learning_rate", "preset": preset},
    )


def study(n_panels=3, n_rows=1, **grid):
    """A study whose figure is a row of panels with titles that are too long for paper."""

    @style()
    def figure(results):
        titles = [f"Panel {i} of a figure that goes on and on, and says much" for i in range(n_panels)]
        drawn, axes = panels(*titles, size=(13, 4.2), n_rows=n_rows, **grid)
        for ax, colour in zip(axes, COLOURS, strict=False):
            band(ax, results.loss, color=colour, label="loss")
            ax.legend(fontsize=5)
        return drawn

    return SimpleNamespace(figure=figure)


def nested():
    """A study whose figure consists of parts."""

    @style()
    def figure(results):
        drawn = Figure(figsize=(13, 11))
        for part, n in zip(drawn.subfigures(2, 1), (3, 2), strict=True):
            for ax in part.subplots(1, n):
                band(ax, results.loss)
        return drawn

    return SimpleNamespace(figure=figure)


def letters(drawn):
    return [text.get_text() for ax in panels_of(drawn) for text in ax.texts]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width"), [("paper", "full"), ("paper", "column"), ("slide", "full")])
@pytest.mark.parametrize("made", [study(1), study(5), study(4, sharey="row"), nested()])
def test_a_figure_fits_its_width_and_can_be_read(name, width, made):
    chosen = STYLES[name]
    inches = chosen.widths[width]
    drawn = draw(made, results(), chosen, inches)
    drawn.draw_without_rendering()
    assert drawn.get_figwidth() == inches
    assert min(text.get_fontsize() for text in drawn.findobj(Text)) >= chosen.least
    dots = drawn.dpi
    for ax in panels_of(drawn):
        box = ax.get_window_extent()
        assert box.width / dots > 0.45 * min(chosen.panel, inches)
        assert box.height / dots > 0.7
        assert ax.title.get_window_extent().x1 <= inches * dots
        for text in (ax._left_title, ax.xaxis.label):
            assert text.get_window_extent().x1 <= inches * dots + 1


def legends(n_lines, is_filled):
    """A study with a legend over its lines, or with one where there is nothing."""

    @style()
    def figure(results):
        drawn, axes = panels("left", "right", size=(13, 4))
        for ax in axes:
            for i in range(n_lines):
                ax.plot([0, 1], [i, i if is_filled else i + 50], label=f"the line {i}")
            ax.set_ylim(-1, n_lines if is_filled else 60)
            ax.legend(loc="lower left", title="lines")
        return drawn

    return SimpleNamespace(figure=figure)


@pytest.mark.parametrize("width", [None, 6.75])
def test_a_legend_moves_to_where_there_is_room(width):
    drawn = draw(legends(3, is_filled=False), results(), STYLES["paper"], width)
    drawn.draw_without_rendering()
    for ax in panels_of(drawn):
        box, panel = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert panel.y0 <= box.y0 < box.y1 <= panel.y1
        paths = [line.get_path().transformed(line.get_transform()) for line in ax.get_lines()]
        assert not any(path.intersects_bbox(box, filled=False) for path in paths)


@pytest.mark.slow
@pytest.mark.parametrize("width", [3.25, 6.75])
@pytest.mark.parametrize("n_lines", [3, 24])
def test_a_legend_that_would_hide_lines_is_below_its_panel(n_lines, width):
    drawn = draw(legends(n_lines, is_filled=True), results(), STYLES["paper"], width)
    drawn.draw_without_rendering()
    line = drawn._supxlabel.get_window_extent()
    for ax in panels_of(drawn):
        box, panel = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert box.y1 <= panel.y0
        assert drawn.bbox.x0 <= box.x0 < box.x1 <= drawn.bbox.x1
        assert not box.overlaps(line)
        assert panel.height > 0.7 * drawn.dpi
        assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"the line {i}" for i in range(n_lines)]
        assert ax.get_legend().get_title().get_text() == "lines"


def test_the_web_leaves_a_figure_as_its_study_made_it():
    drawn = draw(study(), results())
    assert tuple(drawn.get_size_inches()) == (13, 4.2)
    assert len({ax.get_subplotspec().rowspan.start for ax in panels_of(drawn)}) == 1


@pytest.mark.parametrize(("n_panels", "expected"), [(1, []), (2, ["a", "b"]), (5, ["a", "b", "c", "d", "e"])])
@pytest.mark.parametrize("width", [None, 6.75])
def test_panels_have_letters(n_panels, expected, width):
    drawn = draw(study(n_panels, n_rows=2 if n_panels > 2 else 1), results(), STYLES["paper"], width)
    assert letters(drawn) == expected  # an empty place of the grid has none


def test_panels_of_parts_have_letters_in_order():
    assert letters(draw(nested(), results(), STYLES["paper"], 6.75)) == ["a", "b", "c", "d", "e"]


def test_panels_that_shared_labels_have_their_own_when_rows_are_broken():
    drawn = draw(study(4, sharey="row"), results(), STYLES["paper"], 6.75)
    drawn.draw_without_rendering()
    for ax in panels_of(drawn)[::2]:
        assert ax.get_ylabel() == "loss"
        assert any(label.get_visible() and label.get_text() for label in ax.get_yticklabels())


@pytest.mark.parametrize(
    ("n_seeds", "preset", "says"),
    [
        (1, "quick", "n = 1 seed, which has no interval"),
        (4, "quick", "learning rate, preset quick, n = 4 seeds; bands and bars: 95 % interval of the mean over"),
        (29, "paper", "(Student's t)"),
        (30, "paper", "(studentised bootstrap)"),
        (2, "smoke", "a smoke run decides nothing"),
    ],
)
def test_the_line_below(n_seeds, preset, says):
    made = results(n_seeds, preset)
    assert says in caption(made)
    assert draw(study(), made).get_supxlabel().replace("\n", " ") == caption(made)


@pytest.mark.slow
def test_files_have_real_fonts_and_do_not_depend_on_the_users_settings():
    def written():
        drawn = draw(study(), results(), STYLES["paper"], 6.75)
        return {kind: image(drawn, kind, "checksum") for kind in ("pdf", "svg", "png")}

    expected = written()
    with mpl.rc_context({"font.size": 20, "pdf.fonttype": 3, "svg.fonttype": "path", "savefig.bbox": "tight"}):
        assert written() == expected
    assert b"/FontFile2" in expected["pdf"]
    assert b"/Type3" not in expected["pdf"]
    assert b"<text" in expected["svg"]
    assert all(b"checksum" in content for content in expected.values())


def luminance(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_dark():
    drawn = draw(study(), results(), dark=True)
    page = drawn.get_facecolor()
    assert luminance(page) < 0.02
    shown = [text for text in drawn.findobj(Text) if text.get_text()]
    assert min(contrast(text.get_color(), page) for text in shown) > 4.5
    lines = [line.get_color() for ax in panels_of(drawn) for line in ax.get_lines()]
    np.testing.assert_allclose(lines, [inverted(colour) for colour in COLOURS[:3]])
    markers = [line.get_markerfacecolor() for ax in panels_of(drawn) for line in ax.get_lines()]
    np.testing.assert_allclose(markers, lines)


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_are_seen_on_a_dark_page(colour):
    assert contrast(inverted(colour), inverted("white")) >= 3


def test_dark_turns_images_of_grey_around():
    def figure(results):
        drawn, (ax,) = panels("", size=(3, 3))
        ax.imshow([[0, 1]], cmap="gray_r")
        return drawn

    (shown,) = draw(SimpleNamespace(figure=figure), results(), dark=True).axes[0].images
    assert shown.get_cmap().name == "gray"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"style": "poster"}, "style='poster' must be one of web, paper, slide"),
        ({"width": "wide"}, "width='wide' must be full, column, or 2 to 40 inches"),
        ({"width": 1}, "width=1 must be"),
        ({"width": "nan"}, "width='nan' must be"),
        ({}, "cannot make sense of"),
    ],
)
def test_what_cannot_be_drawn_is_said(options, says):
    made = results().assign_attrs(protocol=json.dumps({}))
    with pytest.raises(ValueError, match=says):
        flylab.figure(made, **options)
