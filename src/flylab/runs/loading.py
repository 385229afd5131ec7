"""Objects that users give by their place, such as `my_model.py:Net`, with a digest of their code."""

import hashlib
import warnings
from typing import Any

from flylab.base.rng import seeded_globals
from flylab.runs.fingerprint import UnhashableError, code_fingerprint, reached_by
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
    try:
        digest = hashlib.sha256(f"{name} {code_fingerprint(module)}".encode()).hexdigest()
        unknown = read_outside(reached_by(module))
    except UnhashableError as error:
        digest, unknown = None, str(error)
    if unknown:
        warnings.warn(f"{place} depends on more than its code: {unknown}. Nobody knows whether that has changed, so it "
                      "is trained anew each time", stacklevel=3)  # fmt: skip
    return name, thing, None if unknown else digest
