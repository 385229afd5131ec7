"""Models that users bring, in any of four forms, as learners; and what is wrong with those that cannot be one.

The user's code runs here, in the user's process, with the user's rights: evaluate only what you would run.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
from sklearn.base import is_classifier

from flylab.models import Model, outputs
from flylab.runs.fingerprint import code_fingerprint
from flylab.training.learners import Learner, of_classifier, of_model

_STDLIB = os.path.dirname(os.__file__)
N_PROBES = 16  # signals of the first look
FORMS = (
    "a flylab.Model or a pair (init, apply), a torch.nn.Module class, an Equinox module class whose __init__ takes "
    "key, a scikit-learn classifier, or a function that makes one of these"
)


class Contestant(NamedTuple):
    """A user's model: its name, how it learns, and what its results depend on (None where that cannot be known)."""

    name: str
    learner: Learner
    digest: str | None = None


# ── where it stands ──────────────────────────────────────────────────────────────────────────────────────────────────


def load(place: str) -> tuple[str, Any, str]:
    """The object at `file.py:Name` or `package.module:Name`: its name, itself, and a digest of the code beside it.

    Raises:
        ValueError: if there is no such file, or nothing of that name in it, or its own code fails.
    """
    where, colon, name = place.rpartition(":")
    if not colon or not where or not name:
        raise ValueError(f"{place!r} names no model: give FILE.py:NAME, e.g. my_model.py:Net, or package.module:NAME")
    before = set(sys.modules)
    module = _of_file(Path(where)) if where.endswith(".py") else _of_name(where)
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        raise ValueError(f"{where} has no {name!r}; it defines {', '.join(own) or 'nothing'}")
    folder = os.path.dirname(os.path.abspath(module.__file__ or ""))
    beside = [module, *(sys.modules[new] for new in sorted(set(sys.modules) - before) if new in sys.modules)]
    files = sorted({file for one in beside if (file := _file_in(folder, one))})
    digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files))
    digest.update(name.encode())
    return name, getattr(module, name), digest.hexdigest()


def _file_in(folder: str, module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    return file if file and os.path.isfile(file) and os.path.abspath(file).startswith(folder + os.sep) else None


def _of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"{path} does not exist; give the file that defines the model")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with own_code(str(path)), _first_on_path(path.parent.resolve()):
        sys.modules.setdefault(path.stem, module)
        try:
            spec.loader.exec_module(module)
        finally:
            if sys.modules.get(path.stem) is module:
                del sys.modules[path.stem]
    return module


def _of_name(name: str) -> ModuleType:
    try:
        found = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):
        found = None
    if found is None:
        raise ValueError(f"there is no module {name!r}; give a file, e.g. my_model.py:Net, or an installed module")
    with own_code(name):
        return importlib.import_module(name)


@contextlib.contextmanager
def _first_on_path(folder: Path) -> Iterator[None]:
    """So that a file finds its neighbours, as where it is run as a script."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextlib.contextmanager
def own_code(what: str) -> Iterator[None]:
    """Whatever the user's code raises as one clear error, with the line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, RefusedError | OSError):
            raise
        frames = reversed(traceback.extract_tb(error.__traceback__))
        own = next((one for one in frames if not _foreign(one.filename)), None)
        line = f" ({os.path.basename(own.filename)}, line {own.lineno})" if own else ""
        said = str(error).strip().partition("\n")[0]
        raise RefusedError(f"{what} raised {type(error).__name__}: {said}{line}") from error


def _foreign(file: str) -> bool:
    """Whether it is none of the user's files: of ours, of a library, or no file at all."""
    return file.startswith((os.path.dirname(__file__), "<", _STDLIB)) or "site-packages" in file


class RefusedError(ValueError):
    """A user's model that cannot be evaluated, and why."""


# ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────────


def contestant(thing: Any, name: str, signals: np.ndarray, n_outputs: int, digest: str | None = None) -> Contestant:
    """The learner of a user's model, after a first look at what it does to some signals.

    Args:
        thing: one of the four forms, or a function without arguments (for Equinox: of `key`) that makes one.
        name: what to call it.
        signals: some examples `(n, length)`.
        n_outputs: outputs that it must have.
        digest: of its code.

    Raises:
        ValueError: if it is none of these; if it does not take a signal, gives outputs of a wrong shape or ones that
            are not finite, or ignores its input.
    """
    signals = np.asarray(signals[:N_PROBES], np.float32)
    make, made = _maker(thing, name)
    if isinstance(made, Model):
        learner, kind = _model(made, name, signals, n_outputs), of_model
    elif _is("equinox", made):
        from flylab.adapters.equinox import from_equinox

        with own_code(name):
            model = from_equinox(make)
        learner, kind = _model(model, name, signals, n_outputs, channel=True), from_equinox
    elif _is("torch", made):
        from flylab.adapters.torch_training import from_torch

        shape = _torch_shape(make, name, signals, n_outputs)
        with own_code(name):
            learner, kind = from_torch(make, shape), from_torch
    elif hasattr(made, "fit") and hasattr(made, "predict"):
        if not is_classifier(made):
            raise RefusedError(f"{name} is a scikit-learn estimator, but no classifier: it cannot be evaluated")
        learner, kind = of_classifier(made), of_classifier
    else:
        raise RefusedError(f"{name} is {_described(thing)}, which is no model: give {FORMS}")
    whole = None if digest is None else hashlib.sha256((digest + code_fingerprint(kind)).encode()).hexdigest()
    return Contestant(name, learner, whole)


def _described(thing: Any) -> str:
    return f"a {type(thing).__name__}" if not isinstance(thing, type) else f"the class {thing.__name__}"


def _maker(thing: Any, name: str) -> tuple[Callable[..., Any], Any]:
    """How to make the model anew, and one that is made."""
    if isinstance(thing, Model):
        return lambda: thing, thing
    if isinstance(thing, tuple) and len(thing) in (2, 3) and all(part is None or callable(part) for part in thing):
        model = Model(*thing)
        return lambda: model, model
    if _is("torch", thing) and not isinstance(thing, type):
        raise RefusedError(
            f"{name} is a module that is made already: give its class, or a function that makes it, so that every seed "
            "starts anew"
        )
    if _is("equinox", thing) and not isinstance(thing, type):
        raise RefusedError(
            f"{name} is a module that is made already: give its class, or a function of key that makes it"
        )
    if hasattr(thing, "fit") and hasattr(thing, "predict") and not isinstance(thing, type):
        return lambda: thing, thing
    if not callable(thing):
        return lambda: thing, None
    if _is("equinox", thing):
        return thing, thing
    parameters = _required(thing)
    if parameters == ["key"]:
        with own_code(name):
            return thing, thing(key=jax.random.key(0))
    if parameters:
        raise RefusedError(f"{name} needs arguments ({', '.join(parameters)}): give them defaults, or write a function "
                       "without arguments that makes it")  # fmt: skip
    with own_code(name):
        made = thing()
    if isinstance(made, tuple) and not isinstance(made, Model):
        return _maker(made, name)
    return thing, made


def _required(thing: Any) -> list[str]:
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is inspect.Parameter.empty and one.kind not in variable]


def _is(package: str, thing: Any) -> bool:
    """Whether it is a module of that package, which is not imported for it: who has such a module has imported it."""
    if package not in sys.modules:
        return False
    base = sys.modules[package].nn.Module if package == "torch" else sys.modules[package].Module
    return issubclass(thing, base) if isinstance(thing, type) else isinstance(thing, base)


# ── a first look ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _model(model: Model, name: str, signals: np.ndarray, n_outputs: int, channel: bool = False) -> Learner:
    """A model, or one that takes signals `(1, length)`, as Equinox's convolutions do."""
    length = signals.shape[1]
    with own_code(f"{name}'s init"):
        params = model.init(jax.random.key(0))
    leaves = jax.tree.leaves(params)
    if not leaves or not all(np.issubdtype(np.asarray(leaf).dtype, np.floating) for leaf in leaves):
        raise RefusedError(f"{name}'s parameters must be arrays of floating-point numbers, at least one")
    with_channel = Model(model.init, lambda params, x: model.apply(params, x[None]))
    form, failed = model, None
    for form in (model, with_channel) if channel else (model,):
        try:
            shape = jax.eval_shape(form.apply, params, jax.ShapeDtypeStruct((length,), "float32")).shape
        except Exception as error:
            failed = failed or error
            continue
        if shape == (n_outputs,):
            break
        failed = RefusedError(f"{name} gives outputs of shape {tuple(shape)} for one example of shape {(length,)}, not "
                          f"{(n_outputs,)}")  # fmt: skip
    else:
        assert failed is not None
        with own_code(f"{name}, given one example of shape {(length,)},"):
            raise failed
    look = jax.jit(lambda params, x: outputs(form, params, x))
    _check_outputs(name, lambda params: np.asarray(look(params, signals.T)).T, leaves_of(params))
    return of_model(form, (length,))


def leaves_of(params: Any) -> list[Any]:
    """The parameters, and three times other ones, since a layer of zeros may hide what a network reads."""
    rng = np.random.default_rng(0)
    return [params, *(_moved(params, rng) for _ in range(3))]


def _moved(params: Any, rng: np.random.Generator) -> Any:
    return jax.tree.map(lambda leaf: leaf + 0.3 * rng.standard_normal(np.shape(leaf)).astype(np.float32), params)


def _check_outputs(name: str, look: Callable[[Any], np.ndarray], several: list[Any]) -> None:
    first, *others = (look(params) for params in several)
    if not np.isfinite(first).all():
        raise RefusedError(f"{name}'s first outputs are not finite (NaN or infinite): look at its initialisation")
    if all(np.ptp(found, axis=0).max() == 0 for found in (first, *others)):
        raise RefusedError(f"{name} ignores its input: it gives the same outputs for different examples")


def _torch_shape(make: Callable, name: str, signals: np.ndarray, n_outputs: int) -> tuple[int, ...]:
    """The shape of an example that a PyTorch module takes: `(length,)`, or `(1, length)`."""
    import torch

    length, failures = signals.shape[1], []
    for shape in ((length,), (1, length)):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            module = make().eval()
            x = torch.tensor(signals).reshape(-1, *shape)
            try:
                found = module(x)
            except Exception as error:
                failures.append(error)
                continue
            if not isinstance(found, torch.Tensor) or tuple(found.shape) != (len(x), n_outputs):
                given = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
                wanted = f"{tuple(x.shape)}, not outputs of shape {(len(x), n_outputs)}"
                failures.append(RefusedError(f"{name} gives {given} for a batch of shape {wanted}"))
                continue
            if not any(p.requires_grad for p in module.parameters()):
                raise RefusedError(f"{name} has no parameters to train")

            def look(noise: float, module=module, x=x) -> np.ndarray:
                for p in module.parameters() if noise else ():
                    p.add_(noise * torch.randn_like(p))
                return module(x).numpy()

            _check_outputs(name, look, [0.0, 0.3, 0.3, 0.3])
            return shape
    wrong = next((one for one in failures if isinstance(one, RefusedError)), failures[0])
    with own_code(f"{name}, given a batch of signals of shape {(len(signals), length)},"):
        raise wrong
