"""What values of built-in and libraries' types are determined by, and functions' code as text."""

import dis
import functools
import hashlib
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


def parts_of(value: Any) -> list[Any] | None:
    """Return what determines a value of a built-in or library's type, None for another type."""
    kind: Any = type(value)
    jax, torch = sys.modules.get("jax"), sys.modules.get("torch")
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    if kind is functools.partial:
        return [value.func, value.args, value.keywords, vars(value)]
    if kind is functools._lru_cache_wrapper:
        return [value.__wrapped__, *flat(item for item in sorted(vars(value).items()) if item[0] != "__wrapped__")]
    if kind.__name__ == "PjitFunction" and kind.__module__.startswith("jaxlib"):
        state = value.__getstate__()  # its cached programs are no part of it
        return [value.__wrapped__, *(repr(state[name]) for name in ("static_argnums", "static_argnames",
                                                                    "global_cache_key"))]  # fmt: skip
    if isinstance(value, np.dtype) or f"{kind.__module__}.{kind.__name__}" in ("torch.dtype", "torch.device"):
        return [repr(value)]
    more: list[Any] = []
    if jax is not None and isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer):
        if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            more, value = [str(jax.random.key_impl(value))], jax.random.key_data(value)
        else:
            more = [bool(value.weak_type)]
    elif torch is not None and kind is torch.Tensor and value.device.type == "cpu" and value.layout is torch.strided:
        more, value = [str(value.dtype), value.requires_grad], value.detach().resolve_conj().resolve_neg()
        value = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    elif kind is not np.ndarray and not (isinstance(value, np.generic) and kind.__module__ == "numpy"):
        return None
    array = np.asarray(value)
    content = list(array.ravel()) if array.dtype.hasobject else [hashlib.sha256(array.tobytes()).hexdigest()]
    return [*more, repr(array.dtype), array.shape, *content]


def code_of(code: types.CodeType) -> list[str]:
    """Return a function's bytecode and constants as text: of two functions of one name, they tell which it is."""
    is_function = code.co_name == "<lambda>" or not code.co_name.startswith("<")
    constants = code.co_consts[is_function:]  # a function's first is its docstring or None
    inner = [text for part in constants if isinstance(part, types.CodeType) for text in code_of(part)]
    plain = [part for part in constants if not isinstance(part, types.CodeType)]
    texts = [repr(sorted(map(repr, part)) if isinstance(part, frozenset) else part) for part in plain]
    return [code.co_code.hex(), *code.co_names, *code.co_varnames, *texts, *inner]


def names_in(code: types.CodeType) -> set[str]:
    """Return the global names that a function may read."""
    read = {part.argval for part in dis.get_instructions(code) if "GLOBAL" in part.opname or part.opname == "LOAD_NAME"}
    return read.union(*(names_in(part) for part in code.co_consts if isinstance(part, types.CodeType)))


def short(value: Any) -> str:
    """Return a value as an error names it."""
    text = repr(value)
    return text if len(text) < 80 else f"a value of type {type(value).__qualname__}"


def flat(items: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
    """Yield the parts of some pairs."""
    return (part for item in items for part in item)
