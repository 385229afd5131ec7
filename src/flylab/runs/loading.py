"""Objects that users give by their place, such as `my_model.py:Net`, with a digest of their code."""

import hashlib
from typing import Any

from flylab.runs.fingerprint import UnhashableError, code_fingerprint
from flylab.study.registry import load_object


def load(place: str) -> tuple[str, Any, str | None]:
    """Load the object at `file.py:Name` or `package.module:Name`.

    Returns:
        Its name, the object, and a digest of its file and all modules of its package, or beside it, that it can import;
        None if one of them cannot be read.

    Raises:
        ValueError: if there is no such file or name, or the file's own code fails.
    """
    name, thing, module = load_object(place)
    try:
        digest = hashlib.sha256(f"{name} {code_fingerprint(module)}".encode()).hexdigest()
    except UnhashableError:
        digest = None
    return name, thing, digest
