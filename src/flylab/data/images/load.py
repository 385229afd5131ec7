"""Image data sets as `Splits`: scikit-learn's digits, MNIST, Fashion-MNIST and CIFAR-10.

- digits: 1797 grey 8×8 images, part of scikit-learn, so nothing is downloaded (Alpaydin & Kaynak 1998).
- mnist: 60 000 + 10 000 grey 28×28 images in four IDX files (LeCun, Cortes & Burges 1998).
- fashion_mnist: as many images of the same size, in four IDX files (Xiao, Rasul & Vollgraf 2017, MIT licence).
- cifar10: 50 000 + 10 000 colour 32×32 images, in the binary version, which needs no unpickling (Krizhevsky 2009).

Files are read from `data_dir/<name>/`, or from the user's cache folder, into which they are downloaded once.
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
N_VALID_DIGITS, N_TEST_DIGITS = 200, 397  # 1200 training examples remain


@dataclass(frozen=True)
class Images(Checked):
    """An image data set and its division into training, validation and test set.

    Attributes:
        name: "digits", "mnist", "fashion_mnist" or "cifar10".
        n_train: training examples; by default all but the validation set.
        n_valid: validation examples, taken from the training examples; by default 200 for digits, 5000 for the others
            (an eighth of the training examples if they are fewer than 40 000).
        n_test: test examples; by default the published test set, 397 for digits.
        seed: seed of the division, which keeps the proportions of the classes. Published test sets are not divided
            anew; digits have none, so the seed chooses their test examples, too.
        data_dir: folder that holds the files in `<name>/`, as published or unpacked; then nothing is downloaded.

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
    """All examples as published, in uint8: pixels `(n, height, width, channels)` and labels `(n,)`."""

    x: UInt8[np.ndarray, "n height width channels"]
    y: UInt8[np.ndarray, " n"]
    x_test: UInt8[np.ndarray, "m height width channels"]
    y_test: UInt8[np.ndarray, " m"]


def load_images(config: Images | None = None) -> Splits:
    """Load a set of images, split it, and standardise it by the mean and deviation of all training pixels.

    Args:
        config: the set and its division. The default, `Images()`, is scikit-learn's digits.

    Returns:
        `Splits` of float32 images `(n, height, width, channels)` and integer labels `(n,)`. Training and validation
        set are in random order, a published test set is in its original order. `t` is empty and `templates` is None.

    Raises:
        MissingImagesError: if files are missing and cannot be downloaded; the message says how to get them.
        DataFileError: if a file is damaged, or is another file than its name says.
        ValueError: if the config asks for more examples than there are.

    >>> splits = load_images(Images("digits", n_train=1000))
    >>> splits.train.x.shape, splits.valid.x.shape, splits.test.x.shape
    ((1000, 8, 8, 1), (200, 8, 8, 1), (397, 8, 8, 1))
    >>> splits.test.y[:5], bool(abs(splits.train.x.mean()) < 1e-6)
    (array([1, 0, 7, 0, 2]), True)
    """
    config = Images() if config is None else config
    raw = _READERS[config.name](config)
    train, valid, test = _divided(raw, config)
    levels = standard_levels(raw.x[train])

    def dataset(x, y, chosen) -> Dataset:
        return Dataset(levels[x[chosen]], y[chosen].astype(int))

    tested = (raw.x_test, raw.y_test) if len(raw.y_test) else (raw.x, raw.y)
    parts = dataset(raw.x, raw.y, train), dataset(raw.x, raw.y, valid), dataset(*tested, test)
    return Splits(*parts, np.empty(0), None, config)


def digest(config: Images) -> str:
    """Return the SHA-256 of all pixels and labels, and of their division, which identifies the data of a result.

    It does not depend on the files' folder and compression.

    Raises:
        OSError, ValueError: as `load_images`.
    """
    raw, sha256 = _READERS[config.name](config), hashlib.sha256()
    for part in (*raw, *_divided(raw, config)):
        sha256.update(repr(part.shape).encode())
        sha256.update(np.ascontiguousarray(part if part.dtype == np.uint8 else part.astype("<i8")).data)
    return sha256.hexdigest()


def _divided(raw: Raw, config: Images) -> tuple[Int[np.ndarray, " n"], ...]:
    """Return which examples are for training, validation and test.

    Validation set, digits' test set and training set are chosen in this order; no set depends on the size of a later.
    """
    n_published_test = len(raw.y_test)  # 0 for digits, which have no published test set
    default_n_valid = min(N_VALID, len(raw.y) // 8) if n_published_test else N_VALID_DIGITS
    n_valid = default_n_valid if config.n_valid is None else config.n_valid
    n_test = (n_published_test or N_TEST_DIGITS) if config.n_test is None else config.n_test
    n_held_out = 0 if n_published_test else n_test
    n_train = len(raw.y) - n_valid - n_held_out if config.n_train is None else config.n_train
    if n_train < 1 or n_train + n_valid + n_held_out > len(raw.y):
        sizes = {"n_train": config.n_train, "n_valid": n_valid, "n_test": n_held_out or None}
        listed = ", ".join(f"{name}={size}" for name, size in sizes.items() if size is not None)
        most = len(raw.y) - (config.n_train is None)  # at least one training example
        use = "training and validation" if n_published_test else "training, validation and test"
        raise ValueError(f"{listed} must be ≤ {most} in all: {config.name} has {len(raw.y)} examples for {use}")
    if n_published_test and n_test > n_published_test:
        raise ValueError(f"n_test={n_test} must be ≤ {n_published_test}, the number of {config.name}'s test examples")
    rng = np.random.RandomState(config.seed)
    order = stratified(raw.y, rng)
    ends = np.cumsum([n_valid, n_held_out, n_train])
    valid, held_out, train = (rng.permutation(part) for part in np.split(order, ends)[:3])
    return train, valid, np.sort(stratified(raw.y_test, rng)[:n_test]) if n_published_test else held_out


def stratified(y: Integer[np.ndarray, " n"], rng: np.random.RandomState) -> Int[np.ndarray, " n"]:
    """Return a random order in which every stretch has the class proportions of the whole, to about one example.

    >>> y = np.repeat([0, 1], [30, 10])
    >>> [int(y[part].sum()) for part in np.split(stratified(y, np.random.RandomState(0)), 2)]
    [5, 5]
    """
    place = np.empty(len(y))
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        place[rows] = (np.arange(len(rows)) + rng.random_sample(len(rows))) / len(rows)
    return np.argsort(place, kind="stable")


def standard_levels(x: UInt8[np.ndarray, "n height width channels"]) -> Float[np.ndarray, " levels"]:
    """Return the values of the 256 pixel levels for which all pixels of `x` have mean 0 and standard deviation 1.

    Raises:
        DataFileError: if all pixels are equal.
    """
    counts = sum(np.bincount(image.ravel(), minlength=256) for image in x)  # by image, as bincount copies to int64
    levels, share = np.arange(256), np.asarray(counts) / x.size
    mean = levels @ share
    deviation = math.sqrt((levels - mean) ** 2 @ share)
    if deviation == 0:
        raise DataFileError("all pixels of the training images are equal: they cannot be standardised")
    return ((levels - mean) / deviation).astype(np.float32)


def _digits(config: Images) -> Raw:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    x, y = bunch.images[..., None].astype(np.uint8), bunch.target.astype(np.uint8)  # levels 0 … 16
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
