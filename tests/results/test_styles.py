"""The colours of figures are told apart in print and by the colour-blind; styles hold within their block only."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from flylab.reporting.dark import inverted
from flylab.results.styles import COLOURS, MARKERS, STYLES, readable_on, shades, style

# Machado, Oliveira & Fernandes (2009), table 1, severity 1.0
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colour, sight="normal"):
    """A colour of sRGB in CIELAB, as an eye sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(XYZ @ np.clip(SIGHT[sight] @ linear, 0, 1) / (0.95047, 1, 1.08883))
    return np.array([116 * y - 16 if y > 0.2 else 0, 500 * (x - y), 200 * (y - z)])


def test_the_scale():
    np.testing.assert_allclose(lab("white"), [100, 0, 0], atol=0.01)
    np.testing.assert_allclose(lab("red"), [53.24, 80.09, 67.20], atol=0.01)


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_differ_by_20_for_every_eye(sight):
    distances = [np.linalg.norm(lab(a, sight) - lab(b, sight)) for a, b in itertools.combinations(COLOURS, 2)]
    assert min(distances) >= 20


def test_colours_differ_by_6_in_a_grey_print_and_show_on_white():
    lightness = np.sort([lab(colour)[0] for colour in COLOURS])
    assert np.diff(lightness).min() >= 6
    assert lightness.max() < 78


def test_each_colour_has_a_marker_of_its_own():
    assert len(set(MARKERS.values())) == len(MARKERS) == len(COLOURS)


def contrast(a, b):
    low, high = sorted(((lab(colour)[0] + 16) / 116) ** 3 for colour in (a, b))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_shades_are_in_order_and_seen_on_white_and_on_dark_pages(n):
    dark = [tuple(inverted(colour))[:3] for colour in ("white", *shades(n))]
    for page, *colours in (["white", *shades(n)], dark):
        against = [contrast(colour, page) for colour in colours]
        assert min(against) >= 2.9
        assert (np.diff(against) > -0.3).all()  # turned around, two hues are about alike


def test_text_can_be_read_on_every_colour_of_a_heat_map():
    for colour in mpl.colormaps["viridis"](np.linspace(0, 1, 50))[:, :3]:
        assert contrast(colour, readable_on(colour)) >= 4.5


def test_a_style_holds_within_its_block_and_passes_on_to_blocks_inside():
    before = dict(mpl.rcParams)
    with style(STYLES["paper"]):
        with style():  # a study's own
            assert mpl.rcParams["font.size"] == STYLES["paper"].font
        assert mpl.rcParams["pdf.fonttype"] == 42
    with style():
        assert mpl.rcParams["font.size"] == STYLES["web"].font
    assert dict(mpl.rcParams) == before
