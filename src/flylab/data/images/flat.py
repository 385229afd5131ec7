"""Images as rows of pixels, for networks that read signals."""

from flylab.data.splits import Splits


def flat(splits: Splits) -> Splits:
    """Return splits of images `(n, height, width, channels)` with flat pixels, `(n, height · width · channels)`.

    >>> from flylab.data import Images, load_images
    >>> flat(load_images(Images("digits"))).test.x.shape[1:]
    (64,)
    """
    train, valid, test = (part._replace(x=part.x.reshape(len(part.x), -1)) for part in splits[:3])
    return splits._replace(train=train, valid=valid, test=test)
