"""Seeds, pickles and pictures, under the names of the reference package's module."""

import os
import random
import warnings
from typing import Any

import numpy as np

from flylab.compat import pickles
from flylab.compat.mnist1d.transform import transform

__all__ = ["ObjectView", "from_pickle", "plot_signals", "set_seed", "to_pickle", "transform"]
N_PANELS = 10


class ObjectView:
    """A dictionary by attribute: what is set on the view is set in the dictionary.

    >>> view = ObjectView({"seed": 42})
    >>> view.seed = 43
    >>> vars(view)
    {'seed': 43}
    """

    def __init__(self, d: dict[str, Any]) -> None:
        self.__dict__ = d

    def __getattr__(self, name: str) -> Any:  # only for what is missing; type checkers learn that anything may be there
        raise AttributeError(f"{name!r} is missing; there are {', '.join(map(str, vars(self))) or 'no attributes'}")


def set_seed(seed: int | None) -> None:
    """Seed the global generators of Python and NumPy; None seeds them from the system."""
    random.seed(seed)
    np.random.seed(seed)


def to_pickle(thing: Any, path: str | os.PathLike[str]) -> None:
    """Save anything that pickles, atomically. Its NumPy arrays can be read under every NumPy.

    Warns:
        UserWarning: if it holds what `from_pickle` refuses.

    Raises:
        OSError: naming the path, if it cannot be written.
    """
    content = pickles.dumps(thing)
    try:
        pickles.loads(content)
    except ValueError as error:
        warnings.warn(f"from_pickle will not read {path} back, pickle.load will: {error}", stacklevel=2)
    pickles.write(path, content)


def from_pickle(path: str | os.PathLike[str]) -> Any:
    """Load NumPy arrays and Python's own containers and scalars from a pickle file; nothing in it is run.

    Raises:
        FileNotFoundError: if there is none.
        UnsafePickleError: (a ValueError) if it asks for anything else; see `flylab.compat.pickles.loads`.
        UnreadablePickleError: (a ValueError) if it is truncated, damaged or no pickle.
    """
    return pickles.load(path)


def plot_signals(xs, t, labels=None, args=None, ratio=2.6, do_transform=False, dark_mode=False, zoom=1):
    """Draw the first ten signals side by side, time downwards, and show them.

    Args:
        xs: signals `(n, length)`.
        t: their time axis `(length,)`.
        labels: one for each signal, as its title; by default none.
        args: for `do_transform`, as `transform` takes them.
        ratio: height of a panel, in widths.
        do_transform: make an example from each signal first.
        dark_mode: white dots on black in place of a black line.
        zoom: the axes run from −zoom to zoom.

    Returns:
        The matplotlib figure.

    Raises:
        AssertionError: if `do_transform` has no `args`.
    """
    import matplotlib.pyplot as plt

    if do_transform and args is None:
        raise AssertionError("do_transform=True needs args, as get_dataset_args() gives them")
    fig, axes = plt.subplots(1, N_PANELS, figsize=(1.5 * N_PANELS, 1.5 * ratio), dpi=60)
    for i, (ax, x) in enumerate(zip(axes, xs, strict=False)):
        x, time = transform(x, t, args) if do_transform else (x, t)
        ax.plot(x, time, **({"color": "w", "marker": "o", "ls": "", "lw": 6} if dark_mode else {"color": "k", "lw": 2}))
        if dark_mode:
            ax.set_facecolor("k")
        if labels is not None:
            ax.set_title(f"label={labels[i]}", fontsize=22)
    for ax in axes:
        ax.set(xlim=(-zoom, zoom), ylim=(zoom, -zoom), xticks=[], yticks=[])
    fig.subplots_adjust(wspace=0, hspace=0)
    fig.tight_layout()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")  # also where there is no screen
        plt.show()
    return fig
