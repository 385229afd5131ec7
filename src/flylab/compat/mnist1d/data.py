"""Make, save and load the data set, with the names of the reference package's module."""

import operator
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from flylab.base.constraints import shown
from flylab.base.files import user_path
from flylab.compat.mnist1d import cache
from flylab.compat.mnist1d.transform import transform
from flylab.compat.mnist1d.utils import ObjectView, from_pickle, set_seed, to_pickle
from flylab.data.mnist1d import MNIST1D
from flylab.data.published import make_raw, standardised, time_axis
from flylab.data.templates import Templates, digits

__all__ = [
    "ObjectView", "from_pickle", "get_dataset", "get_dataset_args", "get_templates", "make_dataset", "set_seed",
    "to_pickle", "transform",
]  # fmt: skip
SAME_NAMED = (
    "template_len", "padding", "scale_coeff", "max_translation", "corr_noise_scale", "iid_noise_scale", "shear_scale",
    "final_seq_length",
)  # fmt: skip


def get_dataset_args(as_dict: bool = False) -> Any:
    """Return the arguments of the published data set, as attributes to change; as a dictionary if `as_dict`.

    `url` is where the reference package downloads from; it has no effect here.

    >>> args = get_dataset_args()
    >>> args.num_samples = 8000
    >>> args.seed
    42
    """
    default = MNIST1D()
    args = {"num_samples": default.n_train + default.n_test, "train_split": 0.8}
    args |= {name: getattr(default, name) for name in SAME_NAMED[:-1]} | {"padding": list(default.padding)}
    args |= {"shuffle_seq": False, "final_seq_length": default.final_seq_length, "seed": default.seed}
    args |= {"url": "https://github.com/greydanus/mnist1d/raw/master/mnist1d_data.pkl"}
    return args if as_dict else ObjectView(args)


def get_templates() -> dict[str, np.ndarray]:
    """Return the ten digits: patterns `x (10, 12)`, their time axis `t (12,)` and labels `y (10,)`.

    >>> {name: array.shape for name, array in get_templates().items()}
    {'x': (10, 12), 't': (12,), 'y': (10,)}
    """
    x, t, y = digits().arrays()
    return {"x": x, "t": t, "y": y}


def make_dataset(args: Any = None, template: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make a data set: the reference package's numbers; the global random generators end in the same state as there.

    Args:
        args: by default `get_dataset_args()`; further attributes are ignored. With `seed` None, each call makes another
            data set.
        template: by default `get_templates()`; any patterns `x (n_classes, length)` with labels `y`.

    Returns:
        A dictionary of `x (n_train, final_seq_length)`, `y (n_train,)`, `x_test`, `y_test`, the time axis
        `t (final_seq_length,)` and `templates`. `num_samples` is rounded down to a multiple of the number of
        classes; the first share `train_split` is the training set.

    Raises:
        AttributeError: for a missing argument.
        ValueError, TypeError: for an invalid argument or template, naming it; for `args` that are no arguments.

    >>> data = make_dataset(ObjectView(get_dataset_args(as_dict=True) | {"num_samples": 50}))
    >>> data["x"].shape, data["y_test"].shape
    ((40, 40), (10,))
    """
    args = _as_view(args)
    template = get_templates() if template is None else template
    config = _config(args, template)
    set_seed(args.seed)
    return _make(config, args, template, np.random.mtrand._rand)


def get_dataset(
    args: Any,
    path: str | os.PathLike[str] | None = None,
    verbose: bool = True,
    download: bool = True,
    regenerate: bool = False,
    *,
    template: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Load the data set from a file, or make it and save it there. Nothing is ever downloaded.

    Beside each file that it writes, `<path>.json` records the arguments; a file made with other arguments is
    overwritten. A file of unknown origin is compared with what the arguments make, and never overwritten; a broken one
    is renamed.

    Args:
        args: as returned by `get_dataset_args()`, or a dictionary of them.
        path: by default `./mnist1d_data.pkl`.
        verbose: print whether the data set is made or loaded.
        download: return the published data set, whatever `args` are; False for a data set of your own.
        regenerate: with `download=False`, make the data set and overwrite the file in any case.
        template: as for `make_dataset`; not with `download`.

    Returns:
        The same as `make_dataset`. As in the reference package, making a data set changes the state of the global
        random generators; loading one, or the published one, does not.

    Raises:
        AssertionError: for `download` and `regenerate` together.
        UnsafePickleError: if the file asks for more than arrays, see `from_pickle`; a ValueError.
        OSError: if the file cannot be written, naming the path.

    Warns:
        UserWarning: if `args` ask for another data set than `download` returns, or the file holds another one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     data = get_dataset(get_dataset_args(), f"{folder}/mnist1d_data.pkl", verbose=False)
    >>> len(data["x"]), len(data["x_test"])
    (4000, 1000)
    """
    if download and regenerate:
        raise AssertionError(
            "download=True and regenerate=True exclude each other; give download=False to make the set of args, or "
            "regenerate=False for the published one"
        )
    path, args = user_path("./mnist1d_data.pkl" if path is None else path), _as_view(args)
    if download:
        if others := _unpublished(args, template):
            message = (
                f"download=True returns the published set, but args ask for another ({others}); give download=False"
            )
            warnings.warn(message, stacklevel=2)
        args, template = get_dataset_args(), None
    template = get_templates() if template is None else template
    identity = cache.Identity.of(args, template)

    def private() -> dict[str, Any]:
        return _make(_config(args, template), args, template, np.random.RandomState(args.seed))

    cached = cache.OVERWRITE if regenerate else cache.look(path, identity, private)
    if cached.note:
        warnings.warn(cached.note, stacklevel=2)
    if cached.data is not None:
        if verbose:
            print(f"Loaded the data set from {path}")
        return cached.data
    if verbose:
        print(f"Making the data set{f' and saving it to {path}' if cached.may_save else ''}")
    data = private() if download else make_dataset(args, template)
    if cached.may_save and (objection := cache.save(path, identity, data)):
        warnings.warn(objection, stacklevel=2)
    return data


def _as_view(args: Any) -> Any:
    """Return arguments with attributes; a dictionary's items become attributes."""
    known = get_dataset_args(as_dict=True)
    if args is None:
        return ObjectView(known)
    if isinstance(args, Mapping) and (unknown := set(args) - set(known)):
        raise ValueError(f"{sorted(map(str, unknown))[0]!r} is no argument; there are {', '.join(known)}")
    view = ObjectView(dict(args)) if isinstance(args, Mapping) else args
    if not any(hasattr(view, name) for name in known):
        raise TypeError(f"args={shown(args)} must be arguments such as get_dataset_args(), or a dictionary of them")
    return view


def _unpublished(args: Any, template: dict[str, Any] | None) -> str:
    """Return the arguments that differ from the published set's, as text."""
    default = get_dataset_args(as_dict=True)
    complete = ObjectView({name: getattr(args, name, default[name]) for name in default})
    template = get_templates() if template is None else template
    return cache.Identity.of(ObjectView(default), get_templates()).changes(cache.Identity.of(complete, template))


def _config(args: Any, template: dict[str, Any]) -> MNIST1D:
    """Return a config with the arguments and patterns, checked; all examples are in its training set."""
    n_classes = len(template["y"])
    x = np.asarray(template["x"][:n_classes])
    if x.dtype.kind == "f" and x.dtype.itemsize < 8:  # the reference rounds to this precision after it adds 1e-8
        x = (x + 1e-8).astype(float) - 1e-8
    patterns = Templates.of(x, y=np.arange(n_classes))  # labels of any kind are put in later
    try:
        n = operator.index(args.num_samples)
    except TypeError:
        raise TypeError(f"num_samples={args.num_samples!r} must be an integer") from None
    if n < n_classes:
        raise ValueError(f"num_samples={n} must be an integer ≥ {n_classes}, the number of classes")
    data_params: dict[str, Any] = {name: getattr(args, name) for name in SAME_NAMED} | {"padding": tuple(args.padding)}
    n_train = n // n_classes * n_classes
    shuffle = bool(args.shuffle_seq)
    return MNIST1D(n_train, 0, 0, **data_params, shuffle_seq=shuffle, seed=0, templates=patterns)


def _make(config: MNIST1D, args: Any, template: dict[str, Any], rng: np.random.RandomState) -> dict[str, Any]:
    x, which, _ = make_raw(config, config.n_train, rng)
    y = np.stack([template["y"][i] for i in range(config.n_classes)])[which]
    t = time_axis(np.asarray(template["t"], float), config) / x.std()
    x = standardised(x)
    n = int(len(y) * args.train_split)
    return {"x": x[:n], "x_test": x[n:], "y": y[:n], "y_test": y[n:], "t": t, "templates": template}
