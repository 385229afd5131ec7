"""Files that are whole and lie: sizes that nothing backs, bombs, types that run code, results of something else."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flylab.base import bounds, netcdf, runtime
from flylab.cli.main import main
from flylab.compat import pickles
from flylab.data import MNIST1D, DataFileError, Dataset, formats, load, published
from flylab.evaluation import evaluation, leaderboard
from flylab.models import tickets
from flylab.reporting import repeat_command, warning_of

SPLITS = published(MNIST1D(n_train=10, n_valid=10, n_test=10))
FEW: Any = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
HUGE = 2**40


def tried(make: Callable[[], Any]) -> tuple[Any, str]:
    """What it makes, or what a refusal says; any other exception fails."""
    try:
        return make(), ""
    except (ValueError, OSError) as error:
        return None, str(error) or "?"


def signed(about: dict, arrays: dict) -> dict:
    """With the checksum that a forger would compute."""
    return about | {"checksum": formats._checksum(about["config"], arrays)}


def arrays_of(splits) -> dict[str, np.ndarray]:
    found = {f"{axis}_{name}": getattr(getattr(splits, name), axis) for name in formats.SETS for axis in "xy"}
    return found | {"t": splits.t}


ABOUT = {"format": "flylab data 1", "config": None}
forged_arrays = st.sampled_from([
    np.zeros(10), np.zeros((10, 40), "f4"), np.zeros((3, 40)), np.zeros((10, 39)), np.array(1.0), np.array(["a"] * 10),
    np.full(10, np.nan), np.zeros((10, 40), complex), np.zeros(10, "M8[s]"), np.zeros(10, [("a", "i4")]),
    np.zeros((10, 40), bool), np.zeros((0, 40)), np.zeros(0, int), np.zeros((10, 1), int), np.array([None] * 10),
])  # fmt: skip


@settings(max_examples=40, **FEW)
@given(
    st.dictionaries(st.sampled_from([*arrays_of(SPLITS), "other"]), st.none() | forged_arrays, min_size=1, max_size=4)
)
def test_forged_arrays_are_a_data_set_or_refused(tmp_path_factory, changes):
    """Their checksum is right."""
    arrays = arrays_of(SPLITS) | changes
    arrays = {name: array for name, array in arrays.items() if array is not None}
    about = signed(ABOUT, {name: array for name, array in arrays.items() if not array.dtype.hasobject})
    path = tmp_path_factory.mktemp("forged") / "data.npz"
    np.savez(path, flylab=np.array(json.dumps(about)), **arrays)
    found, refused = tried(lambda: load(path))
    if refused:
        assert "data.npz" in refused
        return
    for part in found[:3]:
        assert part.x.dtype.kind in "iuf"
        assert part.y.dtype.kind in "iu"
        assert len(part.x) == len(part.y)
    assert len({part.x.shape[1:] for part in found[:3]}) == 1


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["<f8", "U99999999", "O", "V2147483647", "i4,f8", 10**12, "quick", "weak"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6,
)  # fmt: skip


@settings(max_examples=40, **FEW)
@given(st.dictionaries(st.sampled_from(["format", "config", "checksum", "shape", "x", "y", "t", "t_type"]), anything))
@pytest.mark.parametrize("kind", ["csv", "safetensors", "parquet", "npz"])
@pytest.mark.filterwarnings("ignore")
def test_what_a_data_file_says_of_itself_is_not_believed(kind, tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("about") / f"data.{kind}"
    packed = formats._Packed(ABOUT | {"checksum": ""}, arrays_of(SPLITS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formats.json, "dumps", lambda about, dumps=json.dumps, **_: dumps({**about, **changes}))
        path.write_bytes(formats.FORMATS[kind].pack(packed))
    with pytest.raises(DataFileError, match=rf"data\.{kind}"):
        load(path)


@settings(max_examples=60, **FEW)
@given(st.dictionaries(st.sampled_from(["row", "preset", "flags", "protocol"]), anything, min_size=1), anything)
def test_any_evaluation_is_shown_or_refused(tmp_path_factory, changes, whole):
    path = tmp_path_factory.mktemp("json") / "evaluation.json"
    row = {"title": "[/red]", "n_params": 1, "flops": 2, "n_seeds": 3, "score": None, "plain": None, "shuffled": None}
    first = {"row": row, "preset": "quick", "flags": [], "protocol": dict.fromkeys(evaluation.SAME)}
    inner = {**first, **changes, "row": row | changes["row"]} if isinstance(changes.get("row"), dict) else first
    for content in (first | changes, inner, whole):
        path.write_text(json.dumps(content))
        found, refused = tried(lambda: leaderboard.entry_of(path))
        assert found or "evaluation.json is damaged" in refused


@settings(max_examples=60, **FEW)
@given(anything)
def test_any_json_says_nothing_of_a_run(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("json")
    (folder / "provenance.json").write_text(json.dumps(content))
    assert warning_of(folder) == ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "PARITY", folder / "provenance.json")
        assert runtime.parity() == "not tested"


@pytest.mark.parametrize("name", ["provenance.json", "evaluation.json", "parity.json"])
def test_lists_without_end(name, tmp_path, monkeypatch):
    path = tmp_path / name
    path.write_text("[" * 200_000)
    monkeypatch.setattr(runtime, "PARITY", path)
    assert warning_of(tmp_path) == ""
    assert runtime.parity() == "not tested"
    with pytest.raises(ValueError, match=name):
        leaderboard.entry_of(path)


# ── results of something else ────────────────────────────────────────────────────────────────────────────────────────

names = st.sampled_from(["test_accuracy", "seed", "step", "model", "arrangement", "n_train", "../../x", "[/b]", "a"])
values = st.sampled_from(["f4", "i8", "U3", "bool"])
attributes = {
    "study": st.sampled_from(["train", "train", "architectures", "data_params", "../../../x", "/tmp/x", "", 3]),
    "preset": st.sampled_from(["smoke", "quick", "../x", "/x", 1.5]), "run": st.sampled_from(["../../x", "r", 7]),
    "protocol": st.sampled_from(["{}", "[]", "[" * 5000, '{"n_seeds": "; rm -rf /"}', "x", 2]),
}  # fmt: skip


@st.composite
def foreign(draw) -> xr.Dataset:
    variables = {}
    sizes = {name: draw(st.integers(0, 3)) for name in ("seed", "step", "model", "arrangement", "n_train")}
    for name in draw(st.lists(names.filter(lambda name: name not in sizes), max_size=3, unique=True)):
        dims = draw(st.lists(st.sampled_from(list(sizes)), max_size=3, unique=True))
        kind = draw(values)
        variables[name.replace("/", "|")] = (dims, np.ones([sizes[dim] for dim in dims]).astype(kind))
    return xr.Dataset(variables).assign_attrs(draw(st.fixed_dictionaries({}, optional=attributes)))


@pytest.mark.slow
@settings(max_examples=int(os.environ.get("FUZZ", 25)), **FEW)
@given(foreign())
@pytest.mark.filterwarnings("ignore")
def test_foreign_results_are_shown_or_refused_and_nothing_leaves_the_folder(tmp_path_factory, data):
    top = tmp_path_factory.mktemp("top")
    folder = top / "deep" / "out" / "train" / "smoke-0"
    netcdf.save(folder / "results.nc", data)
    words = ["--x", "step", "-o", str(folder / "plot.png")]
    for command in (["claims", str(folder.parents[1])], ["report", str(folder)],
                    ["plot", str(folder), *words], ["plot", str(folder), *words, "--y", "model"],
                    ["plot", str(folder), *words, "--lines", "arrangement", "--panels", "n_train"]):  # fmt: skip
        assert main(command) in (0, 2)
    assert {path.parent for path in top.rglob("*") if path.is_file()} == {folder}


def test_the_folder_of_sweeps_holds_no_runs(tmp_path, capsys):
    netcdf.save(tmp_path / "sweeps" / "sweep" / "results.nc", xr.Dataset(attrs={"study": "train"}))
    assert main(["report", str(tmp_path)]) == 2
    assert "there are no runs in" in capsys.readouterr().err


def test_the_command_in_a_report_is_one_command(tmp_path):
    """It is there to be copied into a shell."""
    asked = {"n_seeds": "3; rm -rf ~", "$(reboot)": [1, "`reboot`"]}
    attrs = {"study": "train", "preset": "smoke", "protocol": json.dumps(asked)}
    assert "'3; rm -rf ~'" in (said := repeat_command(attrs))
    assert "'--$(reboot)' 1 '`reboot`'" in said


@settings(max_examples=30, **FEW)
@given(anything, st.dictionaries(st.sampled_from(["data", "model", "width", "n_steps"]), anything))
def test_any_protocol_of_a_ticket(tmp_path_factory, provenance, changes):
    path = tmp_path_factory.mktemp("ticket") / "ticket.nc"
    whole = netcdf.open_checked(tickets.TICKET)
    protocol = json.loads(whole.attrs["protocol"]) | changes
    attrs = {"protocol": json.dumps(protocol), "provenance": json.dumps(provenance)}
    netcdf.save(path, whole.assign_attrs(attrs))
    found, refused = tried(lambda: tickets.load_ticket(path))
    assert found or "ticket.nc holds no ticket" in refused


# ── memory, time, code ───────────────────────────────────────────────────────────────────────────────────────────────


def npy(shape, dtype="<f8", data=b"") -> bytes:
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def foreign_netcdf() -> bytes:
    """A variable of a terabyte of which nothing is stored."""
    import h5netcdf

    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.dimensions = {"seed": HUGE}
        file.create_variable("x", ("seed",), "u1", chunks=(2**20,))
    return buffer.getvalue()


def parquet() -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    about = {"flylab": json.dumps(ABOUT | {"checksum": ""})}
    column = pyarrow.array(np.zeros(2**20, "i8"))
    whole = pyarrow.table({"split": column, "label": column, **{f"x{i}": column for i in range(200)}})
    parquet.write_table(whole.replace_schema_metadata(about), buffer)
    return buffer.getvalue()


def safetensors() -> bytes:
    header = {"__metadata__": {"flylab": json.dumps(ABOUT | {"checksum": ""})},
              "t": {"dtype": "F64", "shape": [HUGE], "data_offsets": [0, 8 * HUGE]}}  # fmt: skip
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8)


WIDE = ABOUT | {"checksum": "", "shape": [1], "x": "<U99999999", "y": "<i8", "t": [], "t_type": "<f8"}
LONG = "a" * 300_000


def hdf5(fill: Callable[[Any], None]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def longest(file: Any) -> None:
    texts = file.create_dataset("model", (10**5,), h5py.string_dtype())
    texts[:1] = LONG


def decoded(array: Any, **attributes: Any) -> None:
    """An array that xarray turns into something larger."""
    array.attrs.update(attributes)


def nested(file: Any) -> None:
    file["inner/model"] = 1


def longest_csv() -> bytes:
    about = json.dumps(WIDE | {"x": "<f8"})
    return "\n".join([f"# flylab {about}", "split,label,x0", f"{LONG},0,1", *["test,0,1"] * 10**5]).encode()


HDF5 = {
    "fill.nc": lambda file: file.create_dataset("model", (10**5,), h5py.string_dtype(), fillvalue=LONG),
    "table.nc": lambda file: file.create_dataset("model", (300, 300), h5py.string_dtype(), fillvalue=LONG),
    "longest.nc": longest,
    "chunk.nc": lambda file: file.create_dataset("x", (1,), "f8", maxshape=(None,), chunks=(2**26,)),
    "fixed.nc": lambda file: decoded(file.create_dataset("x", (2**24,), "S7", fillvalue=b"abcdefg"), _Encoding="utf-8"),
    "letters.nc": lambda file: decoded(file.create_dataset("x", (2**25,), "S1", fillvalue=b"a"), _Encoding="utf-8"),
    "control.nc": lambda file: file.create_dataset("x", (3_600_000,), h5py.string_dtype(), fillvalue="\x01" * 16),
    "scaled.nc": lambda file: decoded(file.create_dataset("x", (2**27,), "u1"), scale_factor=0.5),
    "times.nc": lambda file: decoded(file.create_dataset("x", (2**24,), "i4"), units="days since 2000-01-01"),
    "unwritten.nc": lambda file: file.create_dataset("x", (2**30,), "f8"),
    "lists.nc": lambda file: file.create_dataset("x", (2**20,), h5py.vlen_dtype("f8")),
    "nested.nc": nested,
    "elsewhere.nc": lambda file: file.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")),
    "linked.nc": lambda file: file.__setitem__("x", h5py.SoftLink("/")),
    "external.nc": lambda file: file.create_dataset("x", (100,), "u1", external=[("/etc/passwd", 0, 100)]),
}  # fmt: skip


def dictionary(**columns: str) -> bytes:
    """A table of 100 000 rows whose texts are stored once."""
    import pyarrow
    from pyarrow import parquet

    buffer, zeros = io.BytesIO(), np.zeros(10**5, "i4")
    whole = {"split": ["train"] * len(zeros), "label": zeros, "x0": zeros.astype(float)}
    whole |= {name: pyarrow.DictionaryArray.from_arrays(zeros, [text]) for name, text in columns.items()}
    table = pyarrow.table(whole).replace_schema_metadata({"flylab": json.dumps(WIDE | {"x": "<f8"})})
    parquet.write_table(table, buffer)
    return buffer.getvalue()


BIG_INT = pickle.LONG4 + struct.pack("<i", 100_000) + b"\x7f" * 100_000
ABOUT_NPY = {"flylab": npy((), "<U4", b"{\0\0\0}\0\0\0" + bytes(8))}
LIARS = {
    "data.npz": npz(t=npy((HUGE,)), **ABOUT_NPY),
    "text.npz": npz(flylab=npy((), f"<U{2**29}")),
    "bomb.npz": npz(t=npy((2**27,), "<f8", bytes(2**30)), **ABOUT_NPY),
    "member.nc": foreign_netcdf(),
    "bomb.parquet": parquet(),
    "data.safetensors": safetensors(),
    "text.csv": f"# flylab {json.dumps(WIDE)}\nsplit,label,x0\ntrain,0,1\nvalid,0,1\ntest,0,1\n".encode(),
    "longest.csv": longest_csv(),
    "split.parquet": dictionary(split=LONG),
    "x.parquet": dictionary(x0=LONG),
    **{name: hdf5(fill) for name, fill in HDF5.items()},
    "train-images-idx3-ubyte": bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(8),
    "product.pkl": b"\x80\x04cnumpy\nndarray\n((" + BIG_INT + b"q\x01" + b"h\x01" * 10**5 + b"t\x8c\x02i8C\x00tR.",
    "memo.pkl": b"\x80\x02Nr" + (2**31 - 1).to_bytes(4, "little") + b".",
    "bytes.pkl": b"\x80\x05\x96" + (2**30).to_bytes(8, "little") + b".",
    "array.pkl": b"\x80\x04cnumpy\nndarray\n(" + b"\x8a\x06" + HUGE.to_bytes(6, "little") + b"\x85\x8c\x02i8C\x00tR.",
}
LIMITED = """
import resource, sys
from pathlib import Path
from flylab.base import netcdf
from flylab.compat import pickles
from flylab.data import load
from flylab.data.images.files import read_idx
import jax, pyarrow.parquet, safetensors.numpy
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 700 * 2**20,) * 2)
readers = {".nc": netcdf.open_checked, ".pkl": pickles.load, "": lambda path: read_idx(path, 3)}
for path in map(Path, sys.argv[1:]):
    try:
        readers.get(path.suffix, load)(path)
    except (ValueError, OSError) as error:
        assert path.name in str(error), error
        print(f"{path.name}: {str(error)[:300]}", flush=True)
"""


@pytest.mark.slow
def test_nothing_is_allocated_on_a_file_s_word(tmp_path):
    """Under a limit of memory that each of these files would exceed; time likewise."""
    for name, content in LIARS.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in LIARS]
    done = subprocess.run([sys.executable, "-c", LIMITED, *paths], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == list(LIARS)
    assert "MemoryError" not in done.stdout


def test_what_we_write_ourselves_is_no_bomb(tmp_path, monkeypatch):
    """Without noise a set is very regular; what compression would make suspicious is written as it is."""
    flat = Dataset(np.zeros((90_000, 40)), np.zeros(90_000, int))
    splits = SPLITS._replace(train=flat, config=None, templates=None)
    monkeypatch.setattr(bounds, "MOST_BYTES", 2**20)
    for kind in ("npz", "parquet"):
        path = formats.save(tmp_path / f"flat.{kind}", splits)
        assert load(path).train.x.shape == flat.x.shape


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@settings(max_examples=30, **FEW)
@given(st.integers(0, 5), st.sampled_from(["data.npz", "data.pkl", "data.csv", "member.nc", "results.nc"]))
def test_no_code_is_run(tmp_path_factory, protocol, name):
    folder = tmp_path_factory.mktemp("canary")
    path, sung = folder / name, folder / "sung"
    song = pickle.dumps(Canary(str(sung)), protocol)
    for content in (song, npz(flylab=npy((1,), "|O", song), t=npy((1,), "|O", song))):
        path.write_bytes(content)
        for read in (load, pickles.load, netcdf.open_checked):
            with pytest.raises(ValueError, match=name):
                read(path)
    assert not sung.exists()
    pickle.loads(song).close()
    assert sung.exists()  # it would have
