import inspect
import pickle
import random
import warnings
from fractions import Fraction

import matplotlib as mpl
import matplotlib.pyplot as plt
import mnist1d
import numpy as np
import pytest

from flylab.compat import mnist1d as ours
from flylab.compat.mnist1d.utils import ObjectView, from_pickle, plot_signals, set_seed, to_pickle
from flylab.compat.pickles import UnsafePickleError


@pytest.mark.parametrize("seed", [0, 42, 2**32 - 1])
def test_set_seed(seed):
    drawn = []
    for function in (mnist1d.set_seed, set_seed):
        function(seed)
        drawn.append((random.random(), *np.random.randn(3)))
    assert drawn[0] == drawn[1]


def test_set_seed_none_draws_from_the_system():
    drawn = []
    for _ in range(2):
        set_seed(None)
        drawn.append((random.random(), np.random.rand()))
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


def test_object_view_is_the_dictionary():
    view = ObjectView(d := {"a": 1})
    view.b = 2
    d["c"] = 3
    assert view.__dict__ is d
    assert (view.a, view.c, d["b"]) == (1, 3, 2)
    assert not hasattr(view, "d")
    with pytest.raises(AttributeError, match=r"'d' is missing; there are a, b, c"):
        view.d  # noqa: B018
    assert vars(pickle.loads(pickle.dumps(view))) == d


def test_pickles_go_both_ways(tmp_path):
    """What either package writes, either reads."""
    data = {"x": np.random.rand(3, 4), "y": np.arange(3), "templates": {"t": [1.5, "a"]}}
    for write, read in ((to_pickle, mnist1d.from_pickle), (mnist1d.to_pickle, from_pickle), (to_pickle, from_pickle)):
        write(data, tmp_path / "x.pkl")
        back = read(str(tmp_path / "x.pkl"))
        np.testing.assert_array_equal(back["x"], data["x"])
        assert back["templates"] == data["templates"]


def test_what_cannot_be_read_back_is_written_with_a_warning(tmp_path):
    path = tmp_path / "x.pkl"
    with pytest.warns(UserWarning, match=r"will read .*x\.pkl back with trusted=True only: .*Fraction") as warned:
        to_pickle({"a": Fraction(1, 3)}, path)
    assert warned[0].filename == __file__
    with pytest.raises(UnsafePickleError, match=r"fractions\.Fraction, which was not run.*trusted=True"):
        from_pickle(path)
    assert from_pickle(path, trusted=True) == {"a": Fraction(1, 3)}
    with pytest.raises(ValueError, match="trusted='no' must be"):
        from_pickle(path, trusted="no")


def test_arguments_are_read_back(tmp_path):
    """Also as the reference package, whose class has been in several modules, wrote them."""
    view = mnist1d.ObjectView({"seed": 1, "padding": [36, 60], "x": np.arange(2)})
    for write in (to_pickle, mnist1d.to_pickle):
        write({"args": view, "again": view}, tmp_path / "x.pkl")
        back = from_pickle(tmp_path / "x.pkl")
        assert type(back["args"]) is ObjectView
        assert back["args"] is back["again"]
        assert (back["args"].seed, back["args"].padding, back["args"].x.tolist()) == (1, [36, 60], [0, 1])


def test_what_cannot_be_pickled_leaves_the_file(tmp_path):
    to_pickle(1, tmp_path / "x.pkl")
    with pytest.raises((AttributeError, pickle.PicklingError)):
        to_pickle(lambda: 1, tmp_path / "x.pkl")
    assert from_pickle(tmp_path / "x.pkl") == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def agg():
    backend = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).astype(int)


@pytest.mark.long
@pytest.mark.parametrize(
    "options", [{}, {"labels": np.arange(10)}, {"dark_mode": True, "zoom": 2, "ratio": 2}, {"do_transform": True}]
)
def test_plot_signals_draws_the_references_picture(agg, options):
    templates, args, pictures = ours.get_templates(), ours.get_dataset_args(), []
    for function in (mnist1d.plot_signals, plot_signals):
        set_seed(0)
        with warnings.catch_warnings():
            if function is not plot_signals:
                warnings.simplefilter("ignore")
            figure = function(templates["x"], templates["t"], args=args, **options)
        pictures.append(pixels(figure))
        after = np.random.rand()
        assert len(pictures) == 1 or after == before
        before = after  # noqa: F841
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).mean() < (1 if "do_transform" in options else 0.01)


def test_plot_signals_shows_and_returns(agg, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    figure = plot_signals(np.zeros((3, 4)), np.arange(4), labels=["a", "b", "c"])
    assert shown == [figure]
    assert [ax.get_title() for ax in figure.axes[:4]] == ["label=a", "label=b", "label=c", ""]
    with pytest.raises(AssertionError, match="needs args"):
        plot_signals(np.zeros((10, 4)), np.arange(4), do_transform=True)


@pytest.mark.parametrize("name", ["set_seed", "to_pickle", "from_pickle", "plot_signals", "get_dataset_args"])
def test_signatures(name):
    """Calls by position and by keyword go through."""
    one, other = (inspect.signature(getattr(package, name)).parameters for package in (ours, mnist1d))
    shared = [p for p in one.values() if p.kind is not p.KEYWORD_ONLY]
    assert [(p.name, p.default, p.kind) for p in shared] == [(p.name, p.default, p.kind) for p in other.values()]
