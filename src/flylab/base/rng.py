"""Named random streams: adding one leaves all the others unchanged."""

import hashlib

import jax

from flylab.base.types import Key


def stream(key: Key, name: str) -> Key:
    """The random stream called `name` under `key`.

    Streams of different names are independent, and none depends on which others exist.

    >>> import jax
    >>> key = jax.random.key(0)
    >>> bool((stream(key, "init") == stream(key, "init")) & (stream(key, "init") != stream(key, "order")))
    True
    """
    digest = hashlib.sha256(name.encode()).digest()
    return jax.random.fold_in(key, int.from_bytes(digest[:4], "little"))
