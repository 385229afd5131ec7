"""Named random streams: adding a stream leaves all others unchanged."""

import hashlib

import jax

from flylab.base.types import Key


def stream(key: Key, name: str) -> Key:
    """Return the key of the random stream called `name` under `key`.

    Streams of different names are independent, and no stream depends on which others exist.

    >>> import jax
    >>> key = jax.random.key(0)
    >>> bool((stream(key, "init") == stream(key, "init")) & (stream(key, "init") != stream(key, "order")))
    True
    """
    digest = hashlib.sha256(name.encode()).digest()
    return jax.random.fold_in(key, int.from_bytes(digest[:4], "little"))
