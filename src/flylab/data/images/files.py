"""Readers of the two formats in which image sets are published: IDX, and CIFAR-10's binary batches.

The size that a header declares is compared with the file's content before anything is allocated.
"""

import gzip
import io
import math
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from flylab.base.bounds import MOST_BYTES
from flylab.data.formats import DataFileError

LIMIT = MOST_BYTES  # of one unpacked file; the largest, CIFAR-10, has 184 million
N_CLASSES = 10
CIFAR10_RECORD = 1 + 3 * 32 * 32  # a label, and three planes of pixels
CIFAR10_BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_PIECE = 2**20

Pair = tuple[UInt8[np.ndarray, "n height width channels"], UInt8[np.ndarray, " n"]]


def read_idx_pair(images: Path, labels: Path) -> Pair:
    """Read images `(n, height, width, 1)` and labels `(n,)` from two IDX files.

    Raises:
        DataFileError: if a file is damaged, or the two do not belong together.
    """
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise DataFileError(f"{images} holds {len(x)} images, {labels} {len(y)} labels: they do not belong together")
    return x[..., None], _labels(labels, y)


def read_idx(path: Path, n_dims: int) -> UInt8[np.ndarray, "..."]:
    """Read the array of bytes in an IDX file, gzipped or not.

    Raises:
        DataFileError: if the file is damaged, has another format, or does not have `n_dims` dimensions.
    """
    content = _content(path)
    start = 4 + 4 * n_dims
    magic = bytes([0, 0, 8, n_dims])  # 8: unsigned bytes
    if content[:4] != magic:
        raise DataFileError(
            f"{path} begins with {content[:4].hex()}, not {magic.hex()}: it is not the expected IDX file"
        )
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    declared = math.prod(shape)
    if len(content) < start or declared != len(content) - start:
        size = " × ".join(map(str, shape))
        held = max(len(content) - start, 0)
        raise DataFileError(f"{path} declares {size} bytes and holds {held}: download it again")
    if declared == 0:
        raise DataFileError(f"{path} is empty")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar10(path: Path) -> tuple[UInt8[np.ndarray, "..."], ...]:
    """Read CIFAR-10 from its archive, or from the folder unpacked from it.

    Returns:
        Training images `(50000, 32, 32, 3)`, their labels, test images `(10000, 32, 32, 3)`, and their labels.

    Raises:
        DataFileError: if a batch is missing or damaged.
    """
    batches = dict(_batches(path))
    if missing := [name for name in CIFAR10_BATCHES if name not in batches]:
        raise DataFileError(f"{path} lacks {', '.join(missing)}: download it again")
    pairs = [_batch(f"{path}/{name}", batches[name]) for name in CIFAR10_BATCHES]
    x, y = zip(*pairs, strict=True)
    return np.concatenate(x[:-1]), np.concatenate(y[:-1]), x[-1], y[-1]


def unpacked(path: Path) -> Iterator[bytes]:
    """Yield the unpacked content of an IDX file, or of the batches in CIFAR-10's archive or folder, in their order.

    Raises:
        DataFileError: if the file cannot be unpacked.
    """
    if path.is_dir() or path.name.endswith(".tar.gz"):
        batches = dict(_batches(path))
        yield from (batches[name] for name in CIFAR10_BATCHES if name in batches)
    else:
        yield _content(path)


def _batches(path: Path) -> Iterator[tuple[str, bytes]]:
    return _unpacked(path) if path.is_dir() else _members(path)


def _batch(place: str, content: bytes) -> Pair:
    if not content or len(content) % CIFAR10_RECORD:
        raise DataFileError(f"{place} has {len(content)} bytes, not a multiple of {CIFAR10_RECORD}: download it again")
    records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR10_RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), _labels(place, records[:, 0])


def _unpacked(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in CIFAR10_BATCHES:
        if (folder / name).is_file():
            yield name, _content(folder / name)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    content = _content(path)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                is_plain = member.isreg() and not member.issparse()  # a sparse member may declare any size
                if is_plain and name in CIFAR10_BATCHES and (file := archive.extractfile(member)) is not None:
                    yield name, file.read()
    except Exception as error:  # tarfile raises many kinds of errors on truncated and foreign archives
        raise DataFileError(f"{path} cannot be read as a tar archive ({error}): download it again") from error


def _labels(place: Path | str, y: UInt8[np.ndarray, " n"]) -> UInt8[np.ndarray, " n"]:
    if y.max() >= N_CLASSES:
        raise DataFileError(f"{place} holds the label {y.max()}, but there are {N_CLASSES} classes: it is another file")
    return y


def _content(path: Path) -> bytes:
    """Read a file, gzipped or not, up to the size that the largest of these sets has."""
    if not path.is_file():  # a pipe may never begin
        raise DataFileError(f"{path} is not a file")
    pieces, n = [], 0
    with path.open("rb") as file:
        is_gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            with gzip.open(file) if is_gzipped else file as stream:
                while piece := stream.read(_PIECE):
                    pieces.append(piece)
                    n += len(piece)
                    if n > LIMIT:
                        raise DataFileError(f"{path} holds more than {LIMIT} bytes: it is another file")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataFileError(f"{path} cannot be unpacked ({error}): download it again") from error
    return b"".join(pieces)
