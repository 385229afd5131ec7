"""Seeds, pickles and plots, with the names of the reference package's module."""

import os
import random
import warnings
from typing import Any

import numpy as np

from flylab.base.constraints import check
from flylab.compat import pickles
from flylab.compat.mnist1d.transform import transform
from flylab.compat.view import ObjectView

__all__ = ["ObjectView", "from_pickle", "plot_signals", "set_seed", "to_pickle", "transform"]
N_PANELS = 10


def set_seed(seed: int | None) -> None:
    """Seed the global random generators of Python and NumPy; None takes the seed from the system."""
    random.seed(seed)
    np.random.seed(seed)


def to_pickle(thing: Any, path: str | os.PathLike[str]) -> None:
    """Pickle an object into a file, atomically; any version of NumPy reads its arrays.

    Warns:
        UserWarning: if `from_pickle` would refuse the file.

    Raises:
        OSError: if the file cannot be written, naming the path.
    """
    content = pickles.dumps(thing)
    try:
        pickles.loads(content)
    except ValueError as error:
        warnings.warn(f"from_pickle will read {path} back with trusted=True only: {error}", stacklevel=2)
    pickles.write(path, content)


def from_pickle(path: str | os.PathLike[str], *, trusted: bool = False) -> Any:
    """Load NumPy arrays and Python's own containers and scalars from a pickle file; run nothing.

    Args:
        path: the file.
        trusted: read any pickle, as the reference package does: **it runs whatever code the file asks for**.

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafePickleError: if the file asks for any other object, see `flylab.compat.pickles.loads`; a ValueError.
        UnreadablePickleError: if it is truncated, damaged or no pickle; a ValueError.
    """
    return pickles.load_trusted(path) if check("trusted", trusted, bool) else pickles.load(path)


def plot_signals(xs, t, labels=None, args=None, ratio=2.6, do_transform=False, dark_mode=False, zoom=1):
    """Plot the first ten signals side by side, with time downwards, and show the figure.

    Args:
        xs: signals `(n, length)`.
        t: their time axis `(length,)`.
        labels: titles of the signals; by default none.
        args: arguments of `transform`, for `do_transform`.
        ratio: a panel's height divided by its width.
        do_transform: apply `transform` to each signal first.
        dark_mode: plot white dots on black instead of a black line.
        zoom: the axes' limits are −zoom and zoom.

    Returns:
        The matplotlib figure.

    Raises:
        AssertionError: if `do_transform` is given without `args`.
    """
    import matplotlib.pyplot as plt

    if do_transform and args is None:
        raise AssertionError("do_transform=True needs args; give get_dataset_args()")
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
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")  # where there is no screen
        plt.show()
    return fig
