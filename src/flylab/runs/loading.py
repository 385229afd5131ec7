"""Objects that users give by their place, such as `my_model.py:Net`, with a digest of their code."""

import hashlib
import types
import warnings
from collections.abc import Callable
from typing import Any

from flylab.base.rng import seeded_globals
from flylab.runs.fingerprint import UnhashableError, code_fingerprint
from flylab.runs.outside import read_outside
from flylab.study.registry import load_object


@seeded_globals(0)
def load(place: str) -> tuple[str, Any, str | None]:
    """Load the object at `file.py:Name` or `package.module:Name`.

    Returns:
        Its name, the object, and a digest of its file and all modules of its package, or beside it, that it can import;
        None, with a warning, if one of them cannot be read, or may read files or the environment itself: nobody knows
        whether these have changed.

    Raises:
        ValueError: if there is no such file or name, or the file's own code fails.
    """
    name, thing, module = load_object(place)
    digest, unknown = digest_of(module)
    if unknown:
        warnings.warn(f"{place} depends on more than its code: {unknown}. Nobody knows whether that has changed, so it "
                      "is trained anew each time", stacklevel=3)  # fmt: skip
    return name, thing, digest and hashlib.sha256(f"{name} {digest}".encode()).hexdigest()


def digest_of(code: Callable | types.ModuleType) -> tuple[str | None, str]:
    """Return the digest of all that determines what users' code computes, "" beside it; or None, and why nobody knows.

    Args:
        code: a module, or a function that was given as an object.
    """
    try:
        digest, unknown = code_fingerprint(code), read_outside(code)
    except UnhashableError as error:
        return None, str(error)
    return (None, unknown) if unknown else (digest, "")
