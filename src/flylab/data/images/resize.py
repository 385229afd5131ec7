"""Images in the size and the channels of others, so that one network can learn both."""

import numpy as np
from jaxtyping import Float


def resized(
    x: Float[np.ndarray, "n height width channels"], shape: tuple[int, int, int]
) -> Float[np.ndarray, "n new_height new_width new_channels"]:
    """Return images of another shape, by the nearest pixels, and grey if they have another number of channels.

    >>> resized(np.arange(16.0).reshape(1, 4, 4, 1), (2, 2, 3))[0, ..., 0]
    array([[ 0.,  2.],
           [ 8., 10.]])
    """
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape[:2], x.shape[1:3], strict=True))
    x = x[:, rows][:, :, columns]
    return x if x.shape[3] == shape[2] else np.repeat(x.mean(3, keepdims=True, dtype=x.dtype), shape[2], 3)
