"""Images: how they are divided and standardised; files whole, unpacked and damaged; downloads from a server here."""

import contextlib
import gzip
import hashlib
import http.server
import io
import re
import sys
import tarfile
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from flylab.data import DataFileError, Images, MissingImagesError, load_images
from flylab.data.images import downloads, files, identity, retitled, title, titles
from flylab.data.images.load import digest, stratified

IDX_NAMES = tuple(downloads.SITES["mnist"].files)


def idx(array, magic=8) -> bytes:
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, magic, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def made(n_train=60, n_test=20, size=(28, 28)):
    """Pixels and labels of a small set: every class, and images that name their place."""
    rng = np.random.RandomState(0)
    x, x_test = (rng.randint(256, size=(n, *size)) for n in (n_train, n_test))
    return x, np.arange(n_train) % 10, x_test, np.arange(n_test) % 10


def contents(arrays=None) -> dict[str, bytes]:
    """What the four files of MNIST hold, unpacked, by the published names."""
    return dict(zip(IDX_NAMES, map(idx, made() if arrays is None else arrays), strict=True))


@pytest.fixture
def mnist(tmp_path):
    """A folder for `data_dir` with the four files of a small MNIST, gzipped."""
    for name, content in contents().items():
        write(tmp_path / "mnist" / name, gzip.compress(content))
    return tmp_path


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def cifar_batch(n=10, seed=0) -> tuple[np.ndarray, np.ndarray, bytes]:
    x = np.random.RandomState(seed).randint(256, size=(n, 32, 32, 3)).astype(np.uint8)
    y = (np.arange(n) % 10).astype(np.uint8)
    return x, y, np.concatenate([y[:, None], x.transpose(0, 3, 1, 2).reshape(n, -1)], 1).tobytes()


def archive(batches: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in batches.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


BATCHES = {name: cifar_batch(seed=i)[2] for i, name in enumerate(files.CIFAR10_BATCHES)}


# ── dividing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_digits_need_no_files():
    splits = load_images()
    assert [len(part.y) for part in splits[:3]] == [1200, 200, 397]
    assert splits.train.x.shape == (1200, 8, 8, 1)
    assert splits.train.x.dtype == np.float32
    assert splits.train.y.dtype == np.int64
    assert splits.t.shape == (0,)
    assert splits.templates is None
    assert splits.config == Images()
    pixels = splits.train.x.astype(float)
    assert abs(pixels.mean()) < 1e-6
    assert pixels.std() == pytest.approx(1)
    every = np.concatenate([part.x for part in splits[:3]]).reshape(1797, -1)
    assert len(np.unique(every, axis=0)) == len(np.unique(load_digits().data, axis=0))  # each once


def test_digits_are_divided_by_seed_and_in_proportion():
    splits, again, other = load_images(Images()), load_images(Images()), load_images(Images(seed=1))
    np.testing.assert_array_equal(splits.test.x, again.test.x)
    assert (splits.test.y != other.test.y).any()
    share = np.bincount(load_digits().target) / 1797
    for part in (*splits[:3], *other[:3]):
        assert np.abs(np.bincount(part.y) - share * len(part.y)).max() <= 2


def test_the_number_of_training_examples_changes_no_other_set():
    few, all_ = load_images(Images(n_train=300)), load_images(Images())
    np.testing.assert_array_equal(few.test.y, all_.test.y)
    np.testing.assert_array_equal(few.valid.y, all_.valid.y)


def test_batches_are_as_random_as_in_published_sets():
    """The order within a set is not stratified: batches would be more alike than random ones."""
    y = load_images(Images()).train.y.reshape(12, 100)
    counts = np.array([np.bincount(batch, minlength=10) for batch in y])
    assert counts.std() > 1.5  # multinomial: 3


def test_stratified_orders_are_permutations(rng):
    y = rng.integers(0, 10, 500).astype(np.uint8)
    assert sorted(stratified(y, np.random.RandomState(0))) == list(range(500))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "mnits"}, "must be one of digits, mnist, fashion_mnist, cifar10"),
        ({"n_train": 0}, "n_train=0 must be an integer ≥ 1"),
        ({"n_valid": -1}, "n_valid=-1"),
        ({"n_test": 1.5}, "n_test=1.5"),
        ({"seed": None}, "seed=None"),
        ({"seed": True}, "seed=True"),
    ],
)
def test_refuses(fields, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        Images(**fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"n_train": 1500}, "n_train=1500, n_valid=200, n_test=397 must be ≤ 1797 in all: digits has 1797 examples"),
        ({"n_valid": 1797}, "n_valid=1797, n_test=397 must be ≤ 1796 in all: digits has 1797 examples"),
        ({"name": "mnist", "n_valid": 10, "n_test": 21}, "n_test=21 must be ≤ 20, the number of mnist's test examples"),
        ({"name": "mnist", "n_valid": 60}, "mnist has 60 examples for training and validation"),
    ],
)
def test_refuses_more_examples_than_there_are(fields, says, mnist):
    with pytest.raises(ValueError, match=re.escape(says)):
        load_images(Images(**fields, data_dir=mnist))


# ── files in a folder ────────────────────────────────────────────────────────────────────────────────────────────────


def test_mnist_packed_and_unpacked_are_the_same(mnist, tmp_path_factory):
    plain = tmp_path_factory.mktemp("plain")
    for name, content in contents().items():
        write(plain / "mnist" / name.removesuffix(".gz"), content)
    packed, unpacked = (Images("mnist", n_valid=10, data_dir=folder) for folder in (mnist, plain))
    splits = load_images(packed)
    x, y, x_test, y_test = made()
    assert splits.train.x.shape == (50, 28, 28, 1)
    assert splits.valid.x.shape == (10, 28, 28, 1)
    np.testing.assert_array_equal(splits.test.y, y_test)  # the published test set, in its order
    scaled = splits.test.x[..., 0]
    assert np.corrcoef(scaled.ravel(), x_test.ravel())[0, 1] == pytest.approx(1)
    levels = dict(zip(x_test.ravel(), scaled.ravel(), strict=True))
    every = {
        tuple(np.vectorize(levels.get)(image)[:2].ravel().round(4)): label for image, label in zip(x, y, strict=True)
    }
    for part in splits[:2]:
        for image, label in zip(part.x[..., 0], part.y, strict=True):
            assert every.pop(tuple(image[:2].ravel().round(4))) == label  # image and label stay together; each once
    assert digest(packed) == digest(unpacked)
    assert digest(packed) != digest(Images("mnist", n_valid=10, seed=1, data_dir=mnist))


def test_a_subset_of_the_test_set_keeps_its_order_and_proportions(mnist):
    splits = load_images(Images("mnist", n_valid=10, n_test=10, data_dir=mnist))
    assert sorted(splits.test.y) == list(range(10))


def test_cifar10_archive_and_folder_are_the_same(tmp_path):
    write(tmp_path / "a/cifar10/cifar-10-binary.tar.gz", archive(BATCHES))
    for name, content in BATCHES.items():
        write(tmp_path / "b/cifar10/cifar-10-batches-bin" / name, content)
    splits, other = (load_images(Images("cifar10", n_valid=10, data_dir=tmp_path / part)) for part in "ab")
    assert splits.train.x.shape == (40, 32, 32, 3)
    for one, two in zip(splits[:3], other[:3], strict=True):
        np.testing.assert_array_equal(one.x, two.x)
    x, y, _ = cifar_batch(seed=5)
    np.testing.assert_array_equal(splits.test.y, y)
    assert np.corrcoef(splits.test.x.ravel(), x.ravel())[0, 1] == pytest.approx(1)  # planes became channels


def test_a_missing_file_says_what_to_fetch_and_where_to_put_it(mnist):
    (mnist / "mnist" / IDX_NAMES[2]).unlink()
    with pytest.raises(MissingImagesError) as error:
        load_images(Images("mnist", data_dir=mnist))
    said = str(error.value)
    assert said.startswith("mnist lacks t10k-images-idx3-ubyte.gz (nothing is downloaded if data_dir is set);")
    assert "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz" in said
    assert said.endswith(f"into {mnist / 'mnist'}")
    assert isinstance(error.value, OSError)


X, Y, X_TEST, Y_TEST = map(idx, made())
HUGE = bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(100)
DAMAGED = {
    "cut short": (0, X[:-1], "declares 60 × 28 × 28 bytes and holds 47039"),
    "too long": (0, X + b"1", "declares 60 × 28 × 28 bytes and holds 47041"),
    "half a header": (0, X[:9], "begins|declares"),
    "empty": (0, b"", "begins with , not 00000803"),
    "no images": (0, idx(np.zeros((0, 28, 28))), "is empty"),
    "labels in the images' place": (0, Y, "begins with 00000801, not 00000803: it is not the expected IDX file"),
    "floats": (0, idx(made()[0], magic=13), "begins with 00000d03"),
    "a web page": (0, b"<html>404</html>", "not the expected IDX file"),
    "a huge declared size": (0, HUGE, "declares 4294967295 × 4294967295 × 4294967295 bytes and holds 100"),
    "too few labels": (1, idx(np.arange(59) % 10), "holds 60 images, .* 59 labels: they do not belong together"),
    "other labels": (1, idx(np.arange(60)), "holds the label 59, but there are 10 classes"),
    "other sizes": (2, idx(np.zeros((20, 8, 8))), "different sizes, 28×28 and 8×8"),
    "constant": (0, idx(np.ones((60, 28, 28))), "all pixels of the training images are equal"),
}


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_idx_files_are_refused(case, packed, tmp_path):
    place, content, says = DAMAGED[case]
    files = contents() | {IDX_NAMES[place]: content}
    for name, content in files.items():
        path = tmp_path / "mnist" / (name if packed else name.removesuffix(".gz"))
        write(path, gzip.compress(content) if packed else content)
    with pytest.raises(DataFileError, match=says):
        load_images(Images("mnist", n_valid=10, data_dir=tmp_path))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_gzip_cut_short_is_refused(share, mnist):
    path = mnist / "mnist" / IDX_NAMES[0]
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataFileError, match=r"cannot be unpacked .* download it again"):
        load_images(Images("mnist", data_dir=mnist))


@pytest.mark.parametrize("name", [IDX_NAMES[0], IDX_NAMES[0].removesuffix(".gz")])
def test_what_unpacks_to_too_much_is_refused(name, mnist, monkeypatch):
    (mnist / "mnist" / IDX_NAMES[0]).unlink()
    write(mnist / "mnist" / name, gzip.compress(bytes(10**8)) if name.endswith(".gz") else bytes(10**8))
    monkeypatch.setattr(files, "LIMIT", 10**7)
    with pytest.raises(DataFileError, match="more than 10000000 bytes"):
        load_images(Images("mnist", data_dir=mnist))


def without(name):
    return {other: content for other, content in BATCHES.items() if other != name}


DAMAGED_CIFAR10 = {
    "a batch is missing": (archive(without("test_batch.bin")), "lacks test_batch.bin"),
    "a batch is cut short": (archive(BATCHES | {"data_batch_2.bin": b"1" * 3072}), "has 3072 bytes, not a multiple"),
    "a batch is empty": (archive(BATCHES | {"data_batch_2.bin": b""}), "has 0 bytes"),
    "a label is wrong": (archive(BATCHES | {"test_batch.bin": b"\x0b" * 3073}), "holds the label 11"),
    "cut short": (archive(BATCHES)[:-5000], "cannot be unpacked"),
    "no archive": (gzip.compress(b"nothing" * 1000), "cannot be read as a tar archive"),
    "a tar cut short": (gzip.compress(gzip.decompress(archive(BATCHES))[:40000]), "lacks|tar archive"),
    "an empty archive": (archive({}), "lacks data_batch_1.bin"),
}


@pytest.mark.parametrize("case", DAMAGED_CIFAR10)
def test_damaged_archives_are_refused(case, tmp_path):
    content, says = DAMAGED_CIFAR10[case]
    write(tmp_path / "cifar10/cifar-10-binary.tar.gz", content)
    with pytest.raises(DataFileError, match=says):
        load_images(Images("cifar10", data_dir=tmp_path))


def test_a_sparse_member_of_any_size_is_not_read(tmp_path):
    """GNU tar's sparse files declare a size that nothing in the archive backs."""
    entry = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[483:495] = b"7" * 11 + b"\0"  # 8 GiB, real size
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:512])
    write(tmp_path / "cifar10/cifar-10-binary.tar.gz", gzip.compress(bytes(header) + bytes(1024)))
    with pytest.raises(DataFileError, match=r"lacks data_batch_1\.bin"):
        load_images(Images("cifar10", data_dir=tmp_path))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8), st.booleans())
def test_whatever_is_changed_in_a_file_it_is_read_or_refused(tmp_path_factory, place, patch, cut):
    """Never an error of NumPy's or the tar reader's."""
    folder = tmp_path_factory.mktemp("fuzz")
    plain = gzip.decompress(archive(BATCHES))
    broken = plain[:place] + patch + (b"" if cut else plain[place + len(patch) :])
    write(folder / "cifar10/cifar-10-binary.tar.gz", gzip.compress(broken, 1))
    with contextlib.suppress(DataFileError):
        load_images(Images("cifar10", n_valid=10, data_dir=folder))


# ── what the files hold ──────────────────────────────────────────────────────────────────────────────────────────────


def known(monkeypatch, title, unpacked):
    sums = tuple(hashlib.sha256(content).hexdigest() for content in unpacked)
    monkeypatch.setitem(identity.CONTENTS, title, sums)


def test_the_content_says_which_images_they_are(mnist, monkeypatch):
    config = Images("mnist", data_dir=mnist)
    assert title(config) == "MNIST (other files)"
    known(monkeypatch, "MNIST", contents().values())
    assert title(config) == "MNIST"
    first = mnist / "mnist" / IDX_NAMES[0]
    first.with_suffix("").write_bytes(gzip.decompress(first.read_bytes()))  # unpacked and packed, in other ways
    first.unlink()
    second = mnist / "mnist" / IDX_NAMES[1]
    second.write_bytes(gzip.compress(gzip.decompress(second.read_bytes()), 1, mtime=9))
    assert title(config) == "MNIST"
    second.write_bytes(gzip.compress(idx(made()[1][::-1])))
    assert title(config) == "MNIST (other files)"


def test_a_set_is_not_verified_where_its_unpacked_digest_is_not_known(tmp_path, monkeypatch):
    packed = write(tmp_path / "a/cifar10/cifar-10-binary.tar.gz", archive(BATCHES))
    for name, content in BATCHES.items():
        write(tmp_path / "b/cifar10/cifar-10-batches-bin" / name, content)
    archived, folder = (Images("cifar10", data_dir=tmp_path / part) for part in "ab")
    assert title(archived) == title(folder) == "CIFAR-10 (not verified)"
    sums = {packed.name: hashlib.sha256(packed.read_bytes()).hexdigest()}
    monkeypatch.setitem(downloads.SITES, "cifar10", downloads.SITES["cifar10"]._replace(files=sums))
    assert (title(archived), title(folder)) == ("CIFAR-10", "CIFAR-10 (not verified)")
    known(monkeypatch, "CIFAR-10 (photocopies)", BATCHES.values())
    assert (title(archived), title(folder)) == ("CIFAR-10", "CIFAR-10 (photocopies)")


def test_titles_go_into_attributes_and_statements(mnist):
    attrs = identity.attributes({"mnist": Images("mnist", data_dir=mnist), "digits": Images()})
    assert titles(attrs)["mnist"] == "MNIST (other files)"
    assert titles(attrs)["cifar10"] == "CIFAR-10"
    said = "MNIST, 28×28 MNIST's, MNIST-1D, Fashion-MNIST, CIFAR-10"
    assert retitled(said, attrs) == said.replace("MNIST,", "MNIST (other files),", 1).replace(
        "MNIST's", "MNIST (other files)'s"
    )
    assert retitled(said, {}) == said
    assert identity.attributes({}) == {}


REAL = Path(__file__).parents[3] / "shared" / "data"  # beside the checkout, where a developer may have them


@pytest.mark.long
@pytest.mark.skipif(not (REAL / "mnist").is_dir(), reason="needs ../shared/data/mnist")
def test_the_published_mnist_is_recognised():
    assert title(Images("mnist", data_dir=REAL)) == "MNIST"


# ── downloads ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that is served as MNIST's site, with the small set in it; and the cache is a folder of the test's."""
    folder = tmp_path / "served"
    for name, content in contents().items():
        write(folder / name, gzip.compress(content, mtime=0))
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in IDX_NAMES}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{httpd.server_address[1]}/"
        monkeypatch.setitem(downloads.SITES, "mnist", downloads.Site((url,), sums))
        monkeypatch.setattr(downloads, "CACHE", tmp_path / "cache")
        yield folder
        httpd.shutdown()
        thread.join()


CONFIG = Images("mnist", n_valid=10)


def test_downloads_once(server, tmp_path):
    splits = load_images(CONFIG)
    assert splits.train.x.shape == (50, 28, 28, 1)
    assert {path.name for path in (tmp_path / "cache/mnist").iterdir()} == set(IDX_NAMES)
    for path in server.iterdir():
        path.unlink()
    np.testing.assert_array_equal(load_images(CONFIG).train.x, splits.train.x)  # from the cache: nobody is asked


def test_a_damaged_file_in_the_cache_is_fetched_again(server, tmp_path):
    load_images(CONFIG)
    (tmp_path / "cache/mnist" / IDX_NAMES[0]).write_bytes(b"half")
    load_images(CONFIG)


def test_the_next_site_is_tried(server, monkeypatch):
    site = downloads.SITES["mnist"]
    monkeypatch.setitem(downloads.SITES, "mnist", site._replace(urls=(f"{site.urls[0]}nowhere/", *site.urls)))
    assert len(load_images(CONFIG).train.y) == 50


def lacks_one(server):
    (server / IDX_NAMES[1]).unlink()


def changes_one(server):
    (server / IDX_NAMES[1]).write_bytes(b"other")


def is_gone(server):
    site = downloads.SITES["mnist"]
    downloads.SITES["mnist"] = site._replace(urls=("http://127.0.0.1:9/",))  # the fixture restores it


@pytest.mark.parametrize(
    ("accident", "reason"), [(lacks_one, "404"), (changes_one, "SHA256 hash"), (is_gone, "refused")]
)
def test_a_failed_download_says_what_to_do(server, tmp_path, accident, reason):
    accident(server)
    with pytest.raises(MissingImagesError, match=reason) as error:
        load_images(CONFIG)
    said = str(error.value)
    assert "\n" not in said
    assert f"{downloads.SITES['mnist'].urls[0]}{IDX_NAMES[1]}" in said
    assert f"into {tmp_path / 'cache/mnist'}, or into the folder mnist/ of a folder that data_dir names" in said
    lacking = IDX_NAMES if accident is is_gone else IDX_NAMES[1:]
    assert said.startswith(f"mnist lacks {', '.join(lacking)} (the download failed: ")
    assert not (tmp_path / "cache/mnist" / IDX_NAMES[1]).exists()  # never half a file


def test_without_pooch_the_error_says_how_to_go_on(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingImagesError, match=r"pip install 'flylab\[images\]'.*download http://127"):
        load_images(CONFIG)


def test_published_checksums_are_well_formed():
    for site in downloads.SITES.values():
        assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in site.files.values())
        assert all(re.fullmatch("https?://.*/", url) for url in site.urls)
