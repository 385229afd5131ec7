"""Reading: whatever NumPy and Python wrote, and nothing that runs. Writing: what every NumPy reads."""

import builtins
import contextlib
import copyreg
import itertools
import os
import pathlib
import pickle
import pickletools
import subprocess
import sys
import tracemalloc
from collections import OrderedDict, defaultdict
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flylab.base import bounds
from flylab.compat import pickles
from flylab.compat.pickles import UnreadablePickleError, UnsafePickleError, dumps, loads

ARRAYS = {
    "float": np.arange(6.0).reshape(2, 3),
    "big-endian": np.arange(5, dtype=">i4"),
    "Fortran": np.asfortranarray(np.arange(24).reshape(2, 3, 4)),
    "axes exchanged": np.arange(24).reshape(2, 3, 4).transpose(1, 2, 0),
    "strided": np.arange(20.0)[::-3],
    "0-d": np.array(2.5),
    "empty": np.empty((0, 3), np.float32),
    "bool": np.array([[True], [False]]),
    "bytes": np.array([b"ab", b"c"]),
    "text": np.array(["größer", ""]),
    "half": np.arange(3, dtype="f2"),
    "complex": np.array([1 + 2j]),
    "unsigned": np.array([255, 0], "u1"),
    "long double": np.array([1, 3], np.longdouble) / 3,
    "read-only": np.frombuffer(b"12345678", "i4"),
    "large": np.arange(30_000.0),
    "dates": np.array(["2020-01-01", "NaT"], "M8[D]"),
    "25 s": np.array([1, 2], ">m8[25s]"),
    "times without a unit": np.array([1, 2], "m8"),
}
SCALARS = {
    type(scalar).__name__: scalar
    for scalar in (
        np.float64(0.1), np.float32(0.1), np.int64(-3), np.uint8(7), np.bool_(True), np.complex128(1j), np.str_("é"),
        np.bytes_(b"q"), np.longdouble(1) / 3, np.datetime64("2020-01-01T00:00", "m"),
    )
}  # fmt: skip
CONTAINERS = {
    "none": None, "numbers": [1, -(10**40), 2.5, True, 1 - 2j],
    "text": ["a", "größer\n\\", b"\x00\xff", b"", b"x" * 300],
    "sets": [{1, 2}, set(), frozenset({"a"}), frozenset()], "bytearrays": [bytearray(b"\xffab"), bytearray()],
    "nested": {"x": (np.arange(3), [{"y": np.ones(2)}], ()), 3: {}, (1, "a"): "tuple"},
    "scalar keys": {np.int64(1): 1, (np.str_("a"), 2): 2, frozenset({np.float64(3)}): 3},
    "scalars in sets": {np.int64(1), np.int64(2)},
    "ordered": OrderedDict([("b", np.arange(2)), ("a", OrderedDict())]),
    "defaults": {"lists": defaultdict(list, {1: [np.ones(1)]}), "ints": defaultdict(int, a=1), "none": defaultdict()},
    "ranges": [range(3), range(10, 0, -2), {range(2): 1}],
    "times": [datetime(2020, 1, 2, 3, 4, 5, 6), datetime(2020, 1, 1, tzinfo=UTC), date(1, 1, 1), time(23, 59),
              timedelta(-1, 2), time(1, tzinfo=timezone(timedelta(hours=2), "x")), {date(2020, 1, 1): 1}],
}  # fmt: skip
HONEST = ARRAYS | SCALARS | CONTAINERS
SMALL = {name: thing for name, thing in HONEST.items() if name != "large"}
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def assert_same(got, want):
    if isinstance(want, np.ndarray | np.generic):
        assert type(got) is type(want)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want, strict=True)
    else:
        assert type(got) is type(want)
        if isinstance(want, dict):
            assert list(got) == list(want)
            assert getattr(got, "default_factory", None) is getattr(want, "default_factory", None)
            for key in want:
                assert_same(got[key], want[key])
        elif isinstance(want, list | tuple):
            assert len(got) == len(want)
            for one, other in zip(got, want, strict=True):
                assert_same(one, other)
        else:
            assert got == want


def as_named_by(core: str, content: bytes) -> bytes:
    """A pickle by this NumPy, as one by a NumPy whose inner module is called `core`."""
    operations = [*pickletools.genops(content), (None, None, len(content))]
    pieces = []
    for (operation, value, start), (_, _, end) in itertools.pairwise(operations):
        piece = content[start:end]
        if operation.name == "GLOBAL":
            piece = piece.replace(b"numpy._core", core.encode())
        elif operation.name == "SHORT_BINUNICODE" and value.startswith("numpy._core"):
            name = value.replace("numpy._core", core).encode()
            piece = b"\x8c" + bytes([len(name)]) + name
        pieces.append(b"" if operation.name == "FRAME" else piece)  # frames are optional, and of another length now
    return b"".join(pieces)


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("thing", HONEST.values(), ids=HONEST)
def test_reads_every_protocol_and_numpy(thing, protocol, core):
    content = as_named_by(core, pickle.dumps(thing, protocol))
    assert core == "numpy._core" or b"numpy._core" not in content
    assert_same(loads(content), thing)
    assert_same(loads(pickle.dumps(thing, protocol)), thing)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_own_their_memory(array, protocol):
    for content in (pickle.dumps(array, protocol), dumps(array)):
        got = loads(content)
        assert got.flags.writeable
        assert got.flags.c_contiguous
        assert got.flags.owndata


DATA = np.array([1.5, -2.0, 1e300])
PYTHON_2 = {
    "protocol 2": (
        b"\x80\x02}q\x00U\x01xcnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03"
        b"(K\x01K\x03\x85cnumpy\ndtype\nq\x04U\x02f8K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89U\x18" + DATA.tobytes() + b"tbs."
    ),
}


@pytest.mark.parametrize("content", PYTHON_2.values(), ids=PYTHON_2)
def test_reads_python_2(content):
    np.testing.assert_array_equal(loads(content)["x"], DATA)


def test_keeps_what_is_shared():
    array, inner = np.arange(3), [1]
    for content in (dumps([array, (array,), inner, inner]), pickle.dumps([array, (array,), inner, inner])):
        got = loads(content)
        assert got[0] is got[1][0]
        assert got[2] is got[3]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_reads_what_contains_itself(protocol):
    thing: dict = {"list": [], "x": np.arange(2)}
    thing["list"] += [thing, thing["list"]]
    got = loads(pickle.dumps(thing, protocol))
    assert got["list"][0] is got
    assert got["list"][1] is got["list"]
    assert_same(got["x"], np.arange(2))


def test_reads_a_tuple_that_contains_itself():
    inner: list = [np.arange(2)]
    inner.append((inner,))
    got = loads(pickle.dumps(inner[1]))
    assert got[0][1][0] is got[0]
    assert_same(got[0][0], np.arange(2))


# what is refused


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def attacks(marker) -> dict[str, tuple[object, str]]:
    touch = Calls(os.system, f"touch {marker}")
    objects = np.empty(2, object)
    objects[:] = [touch, 1]
    return {
        "os.system": (touch, "system"),
        "eval": (Calls(eval, f"open({str(marker)!r}, 'w')"), "eval"),
        "exec": (Calls(exec, f"open({str(marker)!r}, 'w')"), "exec"),
        "open": (Calls(open, str(marker), "w"), "open"),
        "subprocess": (Calls(subprocess.call, ["touch", str(marker)]), "call"),
        "getattr": (Calls(getattr, "", "format"), "getattr"),
        "in a dictionary": ({"x": np.arange(3), "y": [(touch,)]}, "system"),
        "in an object array": (objects, "dtype"),
        "as a key": ({(1, Calls(frozenset, Calls(eval, "[1]"))): 1}, "eval"),
        "as a shape": (Calls(np.ndarray, Calls(eval, "(3,)"), "<f8", bytearray(24)), "eval"),
        "as a buffer": (Calls(np.ndarray, (3,), "<f8", Calls(os.urandom, 24)), "urandom"),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("attack", attacks(""))
def test_attacks_are_refused_by_name_and_run_nothing(tmp_path, attack, protocol):
    marker = tmp_path / "marker"
    thing, name = attacks(marker)[attack]
    path = tmp_path / "attack.pkl"
    path.write_bytes(pickle.dumps(thing, protocol))
    with pytest.raises(UnsafePickleError, match=rf"attack\.pkl asks for \S*{name}\b.* from_pickle.*trusted=True"):
        pickles.load(path)
    assert not marker.exists()


def test_the_attacks_are_real(tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(attacks(marker)["in an object array"][0]))
    assert marker.exists()


STRANGE = {
    "object array": (np.array([1, None]), "numpy.dtype"),
    "structured": (np.zeros(2, [("a", "f8"), ("b", "i4")]), "numpy.dtype"),
    "structured with objects": (np.zeros(1, [("a", object)]), "numpy.dtype"),
    "void": (np.zeros(2, "V4"), "numpy.dtype"),
    "metadata": (np.zeros(2, np.dtype("f8", metadata={"a": 1})), "numpy.dtype"),
    "data type": ({"dtype": np.dtype("f8")}, "numpy.dtype itself"),
    "type": ([np.ndarray], "numpy.ndarray"),
    "masked": (np.ma.masked_array([1, 2], [0, 1]), "numpy.ma"),
    "record": (np.recarray(1, [("a", "f8")]), "numpy"),
    "function": (np.mean, "numpy.mean"),
    "built-in": (print, "builtins.print"),
    "own class": (Calls, "Calls"),
    "slice": (slice(3), "builtins.slice"),
    "path": (pathlib.PurePosixPath("a"), "pathlib.PurePosixPath"),
    "defaults of a function": (defaultdict(np.mean), "numpy.mean"),
    "defaults of a call": (defaultdict(datetime.now), "builtins.getattr"),
    "a built-in type": ([list], "builtins.list itself"),
    "generator": (np.random.RandomState(0), "numpy.random"),
}


@pytest.mark.filterwarnings("ignore:metadata on a dtype")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("strange", STRANGE)
def test_other_objects_are_refused_by_name(strange, protocol):
    thing, name = STRANGE[strange]
    content = pickle.dumps(thing, protocol)
    with pytest.raises(UnsafePickleError) as error:
        loads(content)
    assert name in str(error.value).replace("__builtin__", "builtins")


CRAFTED = {
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'true'\no.",
    "NEWOBJ": b"\x80\x02cos\n_wrap_close\n)\x81.",
    "dotted": b"\x80\x04\x8c\x08builtins\x8c\x0dset.__class__\x93.",
    "a state for a name": b"cnumpy\nndarray\n}S'call'\nI1\nsb.",
    "persistent, text": b"(Pname\nl.",
    "persistent": b"(I1\nQl.",
    "a subclass": b"cnumpy.core.multiarray\n_reconstruct\n(cset\nset\n(I0\ntS'b'\ntR.",
    "getitem": b"c_operator\ngetitem\n(}I1\ntR.",
    "getitem of an array": b"c_operator\ngetitem\n(cnumpy\nndarray\n((I1\ntS'<f8'\nC\x0812345678tR(ttR.",
    "name as a value": b"(lc__builtin__\nset\na.",
}


@pytest.mark.parametrize("content", CRAFTED.values(), ids=CRAFTED)
def test_crafted_streams_are_refused(content):
    with pytest.raises(UnsafePickleError):
        loads(content)
    assert_same(loads(dumps(np.arange(2))), np.arange(2))  # nothing stays behind


def test_extension_codes_are_refused_even_if_known():
    copyreg.add_extension("posix", "getcwd", code := 0x7654)
    try:
        content = pickle.dumps(os.getcwd, 2)
        assert pickle.loads(content) is os.getcwd  # and now it is cached
        with pytest.raises(UnsafePickleError, match="EXT2"):
            loads(content)
    finally:
        copyreg.remove_extension("posix", "getcwd", code)
        copyreg.clear_extension_cache()


# what cannot be read


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_truncated_anywhere(protocol):
    content = pickle.dumps({"x": np.arange(3.0), "y": ["a", {1}, 2.5]}, protocol)
    for n in range(len(content)):
        with pytest.raises(UnreadablePickleError):
            loads(content[:n])


def array_bytes(shape, dtype="<f8", data=b"12345678"):
    return dumps(Calls(np.ndarray, shape, dtype, data))


BROKEN = {
    "empty": b"",
    "text": b"not a pickle",
    "table": b"class,x\n1,2\n",
    "page": b"<!DOCTYPE html><html></html>",
    "zip": b"PK\x03\x04" + bytes(100),
    "protocol 99": b"\x80\x63N.",
    "huge shape": array_bytes((10**15,)),
    "huge shape of nothing": array_bytes((2**62, 0, 2**62), data=b""),
    "short shape": array_bytes((0,)),
    "negative shape": array_bytes((-1, -1)),
    "shape of floats": array_bytes((1.0,)),
    "no shape": array_bytes(None),
    "no data": array_bytes((1,), data=None),
    "large dtype": array_bytes((1,), "<U999999999"),
    "no such dtype": array_bytes((1,), "<f7"),
    "without a state": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.",
    "byte order": b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'?'\nNNNI-1\nI-1\nI0\ntb.",
    "huge bytearray": b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"abc.",
    "huge bytes": b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"abc.",
    "huge frame": b"\x80\x04\x95" + (2**40).to_bytes(8, "little") + b"N.",
    "bytearray of a number": b"c__builtin__\nbytearray\n(I1000000000000\ntR.",
    "set of a number": b"c__builtin__\nset\n(I1\ntR.",
    "complex of text": b"c__builtin__\ncomplex\n(S'1'\nS'2'\ntR.",
    "another encoding": b"c_codecs\nencode\n(S'1'\nS'rot13'\ntR.",
    "not Latin": b"c_codecs\nencode\n(V\\u1234\nS'latin1'\ntR.",
    "array as a key": b"}cnumpy\nndarray\n((I0\ntS'<f8'\nC\x00tRI1\ns.",
    "name as a key": b"}cnumpy\nndarray\nI1\ns.",
    "deep": b"]" * 100_000 + b"a" * 99_999 + b".",
    "huge memo": b"\x80\x02Nr" + (2**31).to_bytes(4, "little") + b".",
}  # fmt: skip


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "broken.pkl"
    path.write_bytes(content)
    with pytest.raises(UnreadablePickleError, match=r"broken\.pkl cannot be read as a pickle"):
        pickles.load(path)


def contains_only_plain_things(thing, seen=()) -> bool:
    if id(thing) in seen:
        return True
    if isinstance(thing, dict | list | tuple | set | frozenset):
        inner = [*thing, *thing.values()] if isinstance(thing, dict) else thing
        return all(contains_only_plain_things(item, (*seen, id(thing))) for item in inner)
    plain = (int, float, complex, str, bytes, bytearray, type(None), np.ndarray, np.generic, range)
    return isinstance(thing, (*plain, date, time, timedelta, tzinfo))


def read_or_refuse(content):
    with contextlib.suppress(ValueError):
        assert contains_only_plain_things(loads(content))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
@example(b"(lc__builtin__\nset\n.")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # "invalid escape sequence" in a Python 2 string
def test_noise_is_read_or_refused(content):
    read_or_refuse(content)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([pickle.dumps([v, {"a": v}], p) for v in SMALL.values() for p in PROTOCOLS]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=3),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_damage_is_read_or_refused(content, flips):
    damaged = bytearray(content)
    for where, value in flips:
        damaged[where % len(damaged)] = value
    read_or_refuse(bytes(damaged))


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pkl"):
        pickles.load(tmp_path / "none.pkl")


def test_reading_imports_nothing(monkeypatch):
    monkeypatch.setattr(builtins, "__import__", lambda *a, **k: pytest.fail(f"imports {a[0]}"))
    with pytest.raises(UnsafePickleError, match=r"antigravity\.fly"):
        loads(b"cantigravity\nfly\n.")
    assert "antigravity" not in sys.modules


# writing


@pytest.mark.parametrize("thing", HONEST.values(), ids=HONEST)
def test_what_is_written_is_read_by_both(thing):
    content = dumps(thing)
    assert_same(loads(content), thing)
    assert_same(pickle.loads(content), thing)


@pytest.mark.parametrize("thing", [*ARRAYS.values(), *SCALARS.values(), CONTAINERS["nested"]])
def test_no_module_of_one_numpy_is_named(thing):
    content = dumps({"thing": thing})
    names = {value for operation, value, _ in pickletools.genops(content) if operation.name == "GLOBAL"}
    assert names <= {"numpy ndarray", "builtins bytearray", "_operator getitem"}
    assert b"numpy.core" not in content
    assert b"numpy._core" not in content
    assert content[:2] == b"\x80\x03"


def test_written_arrays_are_writable_under_plain_pickle():
    array = pickle.loads(dumps(np.arange(3)))
    array[0] = 5
    assert array.tolist() == [5, 1, 2]


def test_other_arrays_are_pickled_by_numpy():
    for thing in (
        np.array([None, "a"]),
        np.zeros(1, [("a", "f8")]),
        np.zeros((2, 2)).view(np.matrix),
    ):
        back = pickle.loads(dumps(thing))
        assert type(back) is type(thing)
        np.testing.assert_array_equal(back, thing)
        with pytest.raises(UnsafePickleError):
            loads(dumps(thing))


def test_write_follows_links_and_writes_to_devices(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    pickles.write(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"content"
    pickles.write(os.devnull, "content")
    assert not os.path.isfile(os.devnull)


def test_write_makes_folders(tmp_path):
    pickles.write(tmp_path / "a" / "b", "text")
    assert (tmp_path / "a" / "b").read_text() == "text"


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*file/x\.pkl .*choose another place"):
        pickles.write(tmp_path / "file" / "x.pkl", b"")
    with pytest.raises(IsADirectoryError, match="cannot write"):
        pickles.write(tmp_path, b"")


# what would exhaust memory or time


TEXT = b"X" + (300_000).to_bytes(4, "little") + b"a" * 300_000 + b"q\x01"
DOUBLED = b")" + b"2\x86" * 40  # a tuple with 2 ** 40 parts, most of them shared
ARRAY = b"cnumpy\nndarray\n(J\xe0\x93\x04\x00\x85U\x02u1h\x01tR"  # of the text
BOMBS = {
    "a name of tuples": b"\x80\x02cnumpy\ndtype\n" + DOUBLED + b"\x85R.",
    "an argument of tuples": b"\x80\x02cbuiltins\ncomplex\n" + DOUBLED + b"\x85R.",
    "an encoding of tuples": b"\x80\x02c_codecs\nencode\nU\x01a" + DOUBLED + b"\x86R.",
    "a state of tuples": b"\x80\x02cnumpy\ndtype\nU\x02f8\x85R(K\x03" + DOUBLED + b"NNNK\x00K\x00K\x00tb.",
    "a key of tuples": b"\x80\x02}" + DOUBLED + b"Ns.",
    "keys of tuples": b"\x80\x02}(" + DOUBLED + b"Nu.",
    "a dictionary of tuples": b"\x80\x02(" + DOUBLED + b"Nd.",
    "a set of tuples": b"\x80\x04\x8f(" + DOUBLED + b"\x90.",
    "a frozen set of tuples": b"\x80\x04(" + DOUBLED + b"\x91.",
    "a called set of tuples": b"\x80\x02cbuiltins\nset\n](" + DOUBLED + b"e\x85R.",
    "an ordered key of tuples": b"\x80\x02ccollections\nOrderedDict\n)R(" + DOUBLED + b"Nu.",
    "ordered pairs of tuples": b"\x80\x02ccollections\nOrderedDict\n](" + DOUBLED + b"N\x86e\x85R.",
    "a deep key": b"\x80\x02})" + b"\x85" * 2 * 10**5 + b"Ns.",
    "one text, encoded often": b"\x80\x02" + TEXT + b"0](" + b"c_codecs\nencode\nh\x01U\x06latin1\x86R" * 200 + b"e.",
    "one text, many arrays": b"\x80\x02" + TEXT + b"0](" + ARRAY * 200 + b"e.",
    "one list, many sets": b"\x80\x02](" + b"K\x01" * 9999 + b"eq\x010](" + b"cbuiltins\nset\nh\x01\x85R" * 999 + b"e.",
    "one list, many copies": b"\x80\x02]" + b"]" * 10**5 + b".",
    "a set of a range": b"\x80\x02cbuiltins\nset\ncbuiltins\nrange\nJ\xff\xff\xff\x7f\x85R\x85R.",
    "a shape of a range": b"\x80\x02cnumpy\nndarray\n(cbuiltins\nrange\nJ\xff\xff\xff\x7f\x85RU\x02u1U\x01atR.",
    "bytes of a number": b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
}  # fmt: skip


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_at_once(content, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_BYTES", 2**22)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="the pickle") as refused:
            loads(content)
        assert len(str(refused.value)) < 500
        assert tracemalloc.get_traced_memory()[1] < 2**23 + 48 * len(content)
    finally:
        tracemalloc.stop()
