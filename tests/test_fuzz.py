"""Every file that is read, damaged in any way: the right result or a clear error; no hang, no allocation, no code."""

import contextlib
import faulthandler
import gzip
import io
import json
import math
import os
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flylab import api
from flylab.base import netcdf, runtime
from flylab.compat import pickles
from flylab.compat.mnist1d import cache
from flylab.data import MNIST1D, formats, published
from flylab.data.images.files import CIFAR10_BATCHES, CIFAR10_RECORD, read_cifar10, read_idx
from flylab.evaluation import evaluation, leaderboard
from flylab.models import activations, get_model
from flylab.models.tickets import TICKET, load_ticket
from flylab.reporting import warning_of
from flylab.runs import sweeps
from flylab.training.networks import Population
from flylab.training.population import train_members
from flylab.training.step import Plan

EXAMPLES = int(os.environ.get("FUZZ", 40))  # of each reader; FUZZ=2000 hunts
PATIENCE = 30  # seconds, for what takes milliseconds
SPLITS = published(MNIST1D(n_train=10, n_valid=10, n_test=10))
ACTIVATION = {name: np.linspace(-1, 1, 3, dtype="f4") for name in "wbv"} | {"c": np.float32(0.5)}


class Hung(BaseException):
    """No Exception, which readers might take for the library's."""


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    def stop(*_):
        raise Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    faulthandler.dump_traceback_later(4 * PATIENCE, exit=True, file=sys.__stderr__)  # C code does not hear alarms
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Reader(NamedTuple):
    """A kind of file: how a whole one is made, how it is read, and what of the result is compared."""

    name: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    essence: Callable[[Any], Any] | None = None  # equal to the whole one's, where a checksum vouches for it
    is_right: Callable[[Any], bool] = lambda found: True  # where none does


def _results() -> xr.Dataset:
    accuracy = np.arange(12, dtype="f4").reshape(1, 2, 6)
    coords = {"model": ["mlp"], "seed": [0, 1], "step": range(6)}
    return xr.Dataset({"test_accuracy": (("model", "seed", "step"), accuracy)}, coords, {"study": "train"})


def _data_essence(splits: Any) -> Any:
    return [np.asarray(part).tobytes() for found in splits[:3] for part in found], splits.t.tobytes(), splits.config


def _archive(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name in CIFAR10_BATCHES:
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = CIFAR10_RECORD
            archive.addfile(entry, io.BytesIO(bytes(CIFAR10_RECORD)))


def _evaluation(path: Path) -> None:
    interval = {"mean": 1.0, "low": 0.5, "high": 1.5, "n": 3}
    row = dict.fromkeys(("score", "plain", "shuffled"), interval)
    row |= {"model": "m", "title": "m", "n_params": 3, "flops": 9.0, "n_seeds": 3}
    protocol = dict.fromkeys(evaluation.SAME, 1)
    path.write_text(json.dumps({"row": row, "preset": "quick", "flags": ["weak"], "protocol": protocol}))


def _population(path: Path) -> None:
    plan, grid = Plan(1, 10, save_params_at=(1,)), {"learning_rate": [1e-3, 1e-2], "seed": [0]}
    train_members(get_model("mlp", width=2), SPLITS, plan, grid).save(path)


def _sidecar(path: Path) -> None:
    path.write_text(json.dumps({"format": cache.FORMAT, "args": {"seed": 1}, "templates": "", "sha256": ""}))


def _parity(path: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "PARITY", path)
        return runtime.parity()


READERS = [
    Reader("results.nc", lambda path: netcdf.save(path, _results()), api.load, netcdf.checksum),
    Reader("ticket.nc", lambda path: netcdf.save(path, netcdf.open_checked(TICKET)), load_ticket,
           lambda ticket: (ticket.mask["hidden1"]["w"].tobytes(), ticket.provenance)),
    *(Reader(f"data.{kind}", lambda path, kind=kind: formats.save(path, SPLITS, kind), formats.load, _data_essence)
      for kind in formats.FORMATS),
    Reader("train-images-idx3-ubyte", lambda path: path.write_bytes(bytes([0, 0, 8, 3, *(0, 0, 0, 2) * 3, *range(8)])),
           lambda path: read_idx(path, 3), is_right=lambda found: found.ndim == 3 and found.size > 0),
    Reader("train-images-idx3-ubyte.gz",
           lambda path: path.write_bytes(gzip.compress(bytes([0, 0, 8, 3, *(0, 0, 0, 2) * 3, *range(8)]))),
           lambda path: read_idx(path, 3), is_right=lambda found: found.ndim == 3 and found.size > 0),
    Reader("cifar-10-binary.tar.gz", _archive, read_cifar10,
           is_right=lambda found: all(max(y) < 10 and len(x) == len(y) for x, y in (found[:2], found[2:]))),
    *(Reader(f"activation.{kind}", lambda path: activations.save_weights(path, ACTIVATION, {"seed": 1}),
             activations.load_weights, is_right=lambda found: all(np.isfinite(leaf).all() for leaf in found.values()))
      for kind in ("json", "safetensors")),
    Reader("population.safetensors", _population, Population.load,
           is_right=lambda found: found.predict(np.ones((2, 40))).size == 2 * math.prod(map(len, found.axes.values()))),
    Reader("evaluation.json", _evaluation, leaderboard.entry_of,
           is_right=lambda found: bool(leaderboard.leaderboard_table([found]).rows)),
    Reader("provenance.json", lambda path: path.write_text('{"parity": "failed", "members": {}}'),
           lambda path: warning_of(path.parent), is_right=lambda found: isinstance(found, str)),
    Reader("parity.json", lambda path: path.write_text(json.dumps({runtime.kind_of(runtime.devices()[0]): "passed"})),
           _parity, is_right=lambda found: found in ("passed", "failed", "not tested")),
    Reader("data.pkl", lambda path: path.write_bytes(pickles.dumps({"x": np.arange(5.0), (1, "a"): [None, 2.5]})),
           pickles.load),
    Reader("data.pkl.json", _sidecar, lambda path: cache._read(path.with_suffix("")),
           is_right=lambda found: found is None or found["format"] == cache.FORMAT),
    Reader("sweep.toml", lambda path: path.write_text('study = "train"\nn_seeds = 2\n[axes]\nwidth = [3, 4]\n'),
           sweeps.from_toml, is_right=lambda found: found.n_members >= 0),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    found = {}
    for reader in READERS:
        path = folder / reader.name
        reader.make(path)
        found[reader.name] = path.read_bytes()
    return found


numbers = st.sampled_from([0, 1, 2**7, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1, 10**12])


@st.composite
def damages(draw) -> Callable[[bytes, dict[str, bytes]], bytes]:
    """A way to damage a file's content."""
    place, kind = draw(st.integers(0, 2**20)), draw(st.integers(0, 7))
    piece, size = draw(st.binary(min_size=1, max_size=12)), draw(st.sampled_from([1, 2, 4, 8]))
    number, order = draw(numbers), draw(st.sampled_from(["little", "big"]))
    flips = draw(st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=4))
    length, other = draw(st.integers(1, 40)), draw(st.sampled_from([reader.name for reader in READERS]))

    def damage(content: bytes, others: dict[str, bytes]) -> bytes:
        at = place % len(content)
        flipped = bytearray(content)
        for where, bits in flips:
            flipped[where % len(content)] ^= bits
        declared = (number % 2 ** (8 * size)).to_bytes(size, order)
        return [
            content[:at],
            bytes(flipped),
            content[:at] + piece + content[at + len(piece) :],
            content[:at] + declared + content[at + size :],
            content[:at] + content[at + length :],
            content[:at] + content[at : at + length] * 3 + content[at + length :],
            content[:at] + others[other][at : at + 5 * length] + content[at + 5 * length :],
            others[other] if place % 2 else piece,
        ][kind]

    return damage


def tried(make: Callable[[], Any]) -> tuple[Any, str]:
    """What it makes, or what a refusal says; any other exception fails."""
    try:
        return make(), ""
    except (ValueError, OSError) as error:
        return None, str(error) or "?"


def check(reader: Reader, path: Path, content: bytes, essence: Any = None) -> None:
    """It is read rightly, or refused by an error that names the file."""
    path.write_bytes(content)
    with in_time():
        found, refused = tried(lambda: reader.read(path))
    if refused:
        assert path.name in refused
        assert len(refused) < 2000
        return
    if reader.essence is not None:
        assert reader.essence(found) == essence
    assert reader.is_right(found)


@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
@pytest.mark.filterwarnings("ignore")  # of libraries, at what they cannot read
def test_whatever_is_damaged_it_is_read_or_refused(reader, whole, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / reader.name
    essence = _essence_of(reader, path, whole[reader.name])
    assert reader.is_right(reader.read(path))  # whole, it is not refused

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(damages())
    def every(damage):
        content = damage(whole[reader.name], whole)
        is_other = content in whole.values() and content != whole[reader.name]  # of the same format perhaps, and right
        check(reader, path, content, _essence_of(reader, path, content) if is_other else essence)

    every()


def _essence_of(reader: Reader, path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    found, _ = tried(lambda: reader.read(path))
    return None if reader.essence is None or found is None else reader.essence(found)
