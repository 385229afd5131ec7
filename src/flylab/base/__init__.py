"""Code without science: types, random streams, configs, files, optional imports, JAX's setup.

Only what the standard library is enough for is exported here; the other modules import JAX or xarray.
"""

from flylab.base.files import memory, read_json, remove_leftovers, user_cache, writable, write_atomic
from flylab.base.optional import MissingExtraError, need

__all__ = [
    "MissingExtraError", "memory", "need", "read_json", "remove_leftovers", "user_cache", "writable", "write_atomic",
]  # fmt: skip
