"""Which images a set's files hold: the published ones, known copies of them, or others.

A folder that `data_dir` names may hold anything in a published set's place, and results should say what. So a set has
the title of its files' content, which goes from a run's plan into the attributes of its results, by which tables,
figures and statements of claims name the set. Contents are compared unpacked, since gzip's headers differ between
copies.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from flylab.data.images.downloads import SITES, files_of, is_intact
from flylab.data.images.files import unpacked
from flylab.data.images.load import Images

TITLES = {"digits": "scikit-learn's digits", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}
ATTRIBUTE = "images"  # of results: titles by the sets' names, as JSON
# SHA-256 of the unpacked files, in the order of `SITES` and of CIFAR-10's batches
CONTENTS = {
    "MNIST": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "CIFAR-10 (JPEG copies)": (  # the published images as JPEG of quality 75, in another order
        "f2864180fce86ab4106016a49ea527cd9376db11e43effbeb9f2b263de915c0a",
        "c52397bf76420e25e54c7ae21dfb41892d86a23f4d1ee338e7196744af969132",
        "967b17f8138b600d580cdddcfb372d8f73098ceec84dd859ec0017a8b1e5db40",
        "e41eba099e58636ef2a10ce7a6501246fe24e336c6f87f1639c78e53b60d0a53",
        "71ee043011581dc7093922d11849252e4484e033d8dab4e63563992169a5eb83",
        "164a9de12752dbb1dbb91ea8571fa84e2ac129d3e8a49dfbf30fa2bf245cf840",
    ),
}


def title(config: Images) -> str:
    """Return the title of the images that the files of a set hold.

    Returns:
        "MNIST" for the published images; "CIFAR-10 (JPEG copies)" for known copies; "MNIST (other files)" for what is
        known not to be the published set; "CIFAR-10 (not verified)" where the digest of the unpacked content was not
        known to us, and the file is not the published archive.

    Raises:
        MissingImagesError: if files are missing and cannot be downloaded.
        DataFileError: if a file cannot be unpacked.

    >>> title(Images("digits"))
    "scikit-learn's digits"
    """
    published = TITLES[config.name]
    if config.name not in SITES:
        return published
    paths, sums = files_of(config.name, config.data_dir), SITES[config.name].files.values()
    if all(is_intact(path, sha256) for path, sha256 in zip(paths, sums, strict=True)):
        return published
    found = tuple(hashlib.sha256(content).hexdigest() for path in paths for content in unpacked(path))
    for known, contents in CONTENTS.items():
        if found == contents:
            return known
    return f"{published} ({'other files' if published in CONTENTS else 'not verified'})"


def attributes(sets: Mapping[str, Images]) -> dict[str, str]:
    """Return the attributes by which results say which images they were made with; none without images.

    Args:
        sets: the image sets by name.

    Raises:
        MissingImagesError, DataFileError: as `title`.
    """
    return {ATTRIBUTE: json.dumps({name: title(config) for name, config in sets.items()})} if sets else {}


def titles(attrs: Mapping[str, Any]) -> dict[str, str]:
    """Return the title of each image set, by its name, as the attributes of results have it.

    >>> titles({})["mnist"], titles({"images": '{"mnist": "MNIST (other files)"}'})["mnist"]
    ('MNIST', 'MNIST (other files)')
    """
    return TITLES | json.loads(attrs.get(ATTRIBUTE, "{}"))


def retitled(text: str, attrs: Mapping[str, Any]) -> str:
    """Return text that names published image sets, with the titles of those that results were made with.

    >>> made_with = {"images": '{"mnist": "MNIST (other files)"}'}
    >>> retitled("MNIST is easier than MNIST-1D and Fashion-MNIST", made_with)
    'MNIST (other files) is easier than MNIST-1D and Fashion-MNIST'
    """
    for name, found in titles(attrs).items():
        text = re.sub(rf"(?<![\w-]){re.escape(TITLES.get(name, name))}(?![\w-])", lambda _, found=found: found, text)
    return text
