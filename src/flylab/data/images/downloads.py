"""The files of published image sets: in the user's own folder, or downloaded once into the cache by pooch."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from flylab.base.files import user_cache, user_path
from flylab.base.optional import need

CACHE = user_cache("images")


class MissingImagesError(FileNotFoundError):
    """Image files that are missing and could not be downloaded; the message says how to get them."""


class Site(NamedTuple):
    """The place where a set is published.

    Attributes:
        urls: folders that hold the same files, in the order in which they are tried.
        files: SHA-256 digests of the files by name.
    """

    urls: tuple[str, ...]
    files: Mapping[str, str]


SITES: dict[str, Site] = {
    "mnist": Site(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion_mnist": Site(
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    "cifar10": Site(
        ("https://www.cs.toronto.edu/~kriz/",),
        {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    ),
}
UNPACKED = {"cifar-10-binary.tar.gz": "cifar-10-batches-bin"}  # other files unpack to their name without .gz


def files_of(name: str, data_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return the files of a set in the order of its site, from `data_dir/<name>/` or from the cache.

    Files in `data_dir` may be unpacked, and may be others than those published (`identity.title` says which they are);
    nothing is downloaded. Files in the cache are verified each time, and downloaded if they are missing or damaged.

    Raises:
        MissingImagesError: if files are missing from `data_dir`, or cannot be downloaded.
    """
    if data_dir is not None:
        return _files_in(user_path(data_dir) / name, name)
    folder, paths = CACHE / name, []
    for file, sha256 in SITES[name].files.items():
        if not is_intact(folder / file, sha256):
            _download(name, file, folder)
        paths.append(folder / file)
    return paths


def _files_in(folder: Path, name: str) -> list[Path]:
    pairs = [(folder / file, folder / UNPACKED.get(file, file.removesuffix(".gz"))) for file in SITES[name].files]
    missing = [str(packed.name) for packed, unpacked in pairs if not packed.exists() and not unpacked.exists()]
    if missing:
        _refuse(name, missing, folder, "nothing is downloaded if data_dir is set")
    return [packed if packed.exists() else unpacked for packed, unpacked in pairs]


def is_intact(path: Path, sha256: str) -> bool:
    """Return whether there is a file with this SHA-256."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _download(name: str, file: str, folder: Path) -> None:
    site, reasons = SITES[name], []
    for url in site.urls:
        try:
            pooch = need("pooch", "images", f"downloading {name}")
            pooch.retrieve(url + file, f"sha256:{site.files[file]}", file, folder)
            return
        except (OSError, ValueError) as error:  # no network, a refusal, a wrong checksum, no pooch, a full disk
            reasons.append(" ".join(str(error).split()))
    missing = [other for other, sha256 in site.files.items() if not is_intact(folder / other, sha256)]
    _refuse(name, missing, folder, f"the download failed: {reasons[-1]}")


def _refuse(name: str, missing: list[str], folder: Path, reason: str) -> NoReturn:
    urls = " ".join(SITES[name].urls[0] + file for file in missing)
    alternative = "" if folder.parent != CACHE else f", or into the folder {name}/ of a folder that data_dir names"
    raise MissingImagesError(
        f"{name} lacks {', '.join(missing)} ({reason}); download {urls} into {folder}{alternative}"
    )
