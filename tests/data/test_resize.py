"""Images in the shape of others."""

import numpy as np
import pytest

from flylab.data.images.resize import resized


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (4, 6, 3), (8, 8, 3)])
def test_each_pixel_is_one_of_the_image_or_the_mean_of_its_colours(shape, rng):
    x = rng.standard_normal((3, 8, 8, 3)).astype(np.float32)
    found = resized(x, shape)
    assert found.shape == (3, *shape)
    assert found.dtype == x.dtype
    for row, column in ((0, 0), (shape[0] // 2, 1), (shape[0] - 1, shape[1] - 1)):
        pixel = x[:, row * 8 // shape[0], column * 8 // shape[1]]
        expected = pixel if shape[2] == 3 else pixel.mean(1, keepdims=True)
        np.testing.assert_allclose(found[:, row, column], expected, rtol=1e-6)
    np.testing.assert_array_equal(resized(x, (8, 8, 3)), x)
