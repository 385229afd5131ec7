"""Named random streams: adding a stream leaves all others unchanged; and the global generators, for others' code."""

import contextlib
import hashlib
import random
import sys
from collections.abc import Iterator

import jax
import numpy as np

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


@contextlib.contextmanager
def seeded_globals(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and, if it is imported, PyTorch; put them back at the end.

    >>> with seeded_globals(3):
    ...     first = random.random()
    >>> with seeded_globals(3):
    ...     first == random.random()
    True
    """
    torch = sys.modules.get("torch")
    states = random.getstate(), np.random.get_state()
    with contextlib.nullcontext() if torch is None else torch.random.fork_rng(devices=[]):
        if torch is not None:
            torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
