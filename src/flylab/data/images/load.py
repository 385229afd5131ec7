"""Images: scikit-learn's digits, which need no download, and MNIST, Fashion-MNIST and CIFAR-10 from their publishers.

- digits: 1797 grey 8×8 images, part of scikit-learn (Alpaydin & Kaynak 1998).
- mnist: 60 000 + 10 000 grey 28×28 images (LeCun, Cortes & Burges 1998), four IDX files.
- fashion_mnist: the same sizes and files (Xiao, Rasul & Vollgraf 2017, MIT licence).
- cifar10: 50 000 + 10 000 32×32 images in colour (Krizhevsky 2009), the binary version: nothing is unpickled.

Files are taken from `data_dir/<name>/`, or else from the user's cache folder, into which they are downloaded once.
"""

import hashlib
import math
import os
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Integer, UInt8

from flylab.base.constraints import Checked, NonNegativeInt, PositiveInt, Seed
from flylab.data.formats import DataFileError
from flylab.data.images.downloads import files_of
from flylab.data.images.files import read_cifar10, read_idx_pair
from flylab.data.splits import Dataset, Splits

Name = Literal["digits", "mnist", "fashion_mnist", "cifar10"]
N_VALID = 5000
N_VALID_DIGITS, N_TEST_DIGITS = 200, 397  # leave 1200


@dataclass(frozen=True)
class Images(Checked):
    """Which images, and how they are divided.

    Attributes:
        name: "digits", "mnist", "fashion_mnist" or "cifar10".
        n_train: training examples; by default all but the validation set.
        n_valid: held out from the training examples; by default 200 of digits, 5000 of the others (of files with fewer
            than 40 000 training examples an eighth).
        n_test: test examples; by default all that were published as such, 397 of digits.
        seed: of the division. It keeps the classes' proportions. The published test sets stay what they are: only
            of digits, which have none, it chooses the test examples, too.
        data_dir: a folder that holds the files in `<name>/`, as published or unpacked; then nothing is downloaded.

    Raises:
        ValueError: naming the field, its value and what is allowed.

    >>> Images("mnits")
    Traceback (most recent call last):
    ValueError: name='mnits' must be one of digits, mnist, fashion_mnist, cifar10
    """

    name: Name = "digits"
    n_train: PositiveInt | None = None
    n_valid: NonNegativeInt | None = None
    n_test: PositiveInt | None = None
    seed: Seed = 0
    data_dir: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data_dir is not None:
            object.__setattr__(self, "data_dir", os.fspath(self.data_dir))  # a string, as configs must be


class Raw(NamedTuple):
    """All examples as published: pixels `(n, height, width, channels)` and labels `(n,)`, uint8."""

    x: UInt8[np.ndarray, "n height width channels"]
    y: UInt8[np.ndarray, " n"]
    x_test: UInt8[np.ndarray, "m height width channels"]
    y_test: UInt8[np.ndarray, " m"]


def load_images(config: Images | None = None) -> Splits:
    """A set of images, divided, and standardised by the mean and the deviation of all training pixels.

    Args:
        config: by default `Images()`, scikit-learn's digits.

    Returns:
        `Splits` of float32 images `(n, height, width, channels)` and integer labels `(n,)`. The training and the
        validation set are in random order, a published test set in its own. `t` is empty, there are no templates.

    Raises:
        MissingImagesError: if files are lacking and cannot be downloaded: which, from where, and where to put them.
        DataFileError: if a file is damaged or not what its name says.
        ValueError: if there are fewer examples than asked for.

    >>> splits = load_images(Images("digits", n_train=1000))
    >>> splits.train.x.shape, splits.valid.x.shape, splits.test.x.shape
    ((1000, 8, 8, 1), (200, 8, 8, 1), (397, 8, 8, 1))
    >>> splits.test.y[:5], bool(abs(splits.train.x.mean()) < 1e-6)
    (array([1, 0, 7, 0, 2]), True)
    """
    config = Images() if config is None else config
    return _divided(_READERS[config.name](config), config)


def digest(config: Images) -> str:
    """SHA-256 of the splits' pixels and labels: what names results that were made with them.

    So the same images in other files (compressed or not, in another folder) have the same one.

    Raises:
        as `load_images`.
    """
    found = hashlib.sha256()
    for part in load_images(config)[:3]:
        found.update(np.ascontiguousarray(part.x).tobytes() + part.y.astype("<i8").tobytes())
    return found.hexdigest()


def _divided(raw: Raw, config: Images) -> Splits:
    """Validation set, digits' test set and training set, chosen in this order: each stays if a later one changes."""
    published = len(raw.y_test)  # 0: digits have no test set of their own
    usual = min(N_VALID, len(raw.y) // 8) if published else N_VALID_DIGITS
    n_valid = usual if config.n_valid is None else config.n_valid
    n_test = (published or N_TEST_DIGITS) if config.n_test is None else config.n_test
    own_test = 0 if published else n_test
    n_train = len(raw.y) - n_valid - own_test if config.n_train is None else config.n_train
    if n_train < 1 or n_train + n_valid + own_test > len(raw.y):
        asked = f"n_train={n_train}, n_valid={n_valid}" + (f", n_test={n_test}" if own_test else "")
        raise ValueError(f"{asked} is not allowed: {config.name} has {len(raw.y)} examples for them; give fewer")
    if published and n_test > published:
        raise ValueError(f"n_test={n_test} is not allowed: {config.name} has {published} test examples; give fewer")
    rng = np.random.RandomState(config.seed)
    order = stratified(raw.y, rng)
    ends = np.cumsum([n_valid, own_test, n_train])
    valid, held_out, train = (rng.permutation(part) for part in np.split(order, ends)[:3])
    levels = standard_levels(raw.x[train])

    def dataset(x, y, chosen) -> Dataset:
        return Dataset(levels[x[chosen]], y[chosen].astype(int))

    if published:
        test = dataset(raw.x_test, raw.y_test, np.sort(stratified(raw.y_test, rng)[:n_test]))
    else:
        test = dataset(raw.x, raw.y, held_out)
    return Splits(dataset(raw.x, raw.y, train), dataset(raw.x, raw.y, valid), test, np.empty(0), None, config)


def stratified(y: Integer[np.ndarray, " n"], rng: np.random.RandomState) -> Int[np.ndarray, " n"]:
    """A random order of which every stretch has the classes in the proportions of the whole, to about one example.

    >>> y = np.repeat([0, 1], [30, 10])
    >>> [int(y[part].sum()) for part in np.split(stratified(y, np.random.RandomState(0)), 2)]
    [5, 5]
    """
    place = np.empty(len(y))
    for label in np.unique(y):
        own = rng.permutation(np.flatnonzero(y == label))
        place[own] = (np.arange(len(own)) + rng.random_sample(len(own))) / len(own)
    return np.argsort(place, kind="stable")


def standard_levels(x: UInt8[np.ndarray, "n height width channels"]) -> Float[np.ndarray, " levels"]:
    """What each of the 256 levels of a pixel becomes, so that all pixels of `x` have mean 0 and deviation 1.

    Raises:
        DataFileError: if they are all equal.
    """
    counts = sum(np.bincount(image.ravel(), minlength=256) for image in x)  # by image: bincount makes its input wider
    levels, share = np.arange(256), np.asarray(counts) / x.size
    mean = levels @ share
    deviation = math.sqrt((levels - mean) ** 2 @ share)
    if deviation == 0:
        raise DataFileError("all training images are one and the same grey: they cannot be standardised")
    return ((levels - mean) / deviation).astype(np.float32)


# ── readers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _digits(config: Images) -> Raw:
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    x, y = found.images[..., None].astype(np.uint8), found.target.astype(np.uint8)  # levels 0 … 16
    return Raw(x, y, x[:0], y[:0])


def _idx(config: Images) -> Raw:
    files = list(files_of(config.name, config.data_dir))
    train, test = read_idx_pair(*files[:2]), read_idx_pair(*files[2:])
    if train[0].shape[1:] != test[0].shape[1:]:
        sizes = " and ".join("×".join(map(str, part[0].shape[1:3])) for part in (train, test))
        raise DataFileError(f"the images in {files[0]} and {files[2]} have different sizes, {sizes}")
    return Raw(*train, *test)


def _cifar10(config: Images) -> Raw:
    return Raw(*read_cifar10(*files_of(config.name, config.data_dir)))


_READERS = {"digits": _digits, "mnist": _idx, "fashion_mnist": _idx, "cifar10": _cifar10}
