"""One limit for all readers: how much memory the content of a file may take.

A file can declare more than it holds, hold it compressed, or hold it once and refer to it many times.
"""

from collections.abc import Sequence

import numpy as np

MOST_BYTES, MOST_GROWTH = 2**28, 16  # a file may always take so much memory, or so many times its size


class TooLargeError(ValueError):
    """Content that would take far more memory than its file has bytes."""


def most_memory(n_bytes: int) -> int:
    """Return how many bytes a file of `n_bytes` may take in memory, whatever its format."""
    return max(MOST_BYTES, MOST_GROWTH * n_bytes)


def check_memory(needed: int, n_bytes: int) -> None:
    """Check what a reader is about to allocate.

    Args:
        needed: bytes of memory. Text in NumPy arrays needs 4 × the number of texts × the length of the longest.
        n_bytes: the size of the file.

    Raises:
        TooLargeError: if it is more than a file of this size may take.
    """
    if needed > most_memory(n_bytes):
        raise TooLargeError(f"its {n_bytes} bytes would take {needed} in memory, more than {most_memory(n_bytes)}")


def text_array(texts: Sequence[str], n_bytes: int) -> np.ndarray:
    """Return texts as a NumPy array, which gives each the room of the longest.

    Raises:
        TooLargeError: if that is more than a file of `n_bytes` may take.
        TypeError: if something else is among them, such as a list, whose texts nobody has counted.
    """
    if kinds := {type(text).__name__ for text in texts if not isinstance(text, str)}:
        raise TypeError(f"there is {kinds.pop()} among texts")
    check_memory(4 * len(texts) * max(map(len, texts), default=0), n_bytes)
    return np.array(texts, dtype=str)
