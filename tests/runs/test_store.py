"""The store: what is put is read back whole, or is as if it had never been; reservations end with their process."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from safetensors.numpy import save

from flylab.base import bounds
from flylab.runs import store as store_module
from flylab.runs.content import Content, DamagedError, decode, encode
from flylab.runs.database import read_other
from flylab.runs.store import NewMember, RunRecord, Store

NAMES = [f"{i:024x}" for i in range(30)]


def content(value=1.0):
    return Content(
        {
            "loss": (("step",), np.array([value, 2.0], "float32")),
            "prediction": (("example",), np.arange(3, dtype="uint8")),
            "rate": ((), np.float32(value)),
        },
        {"step": np.array([0, 5]), "layer": np.array(["a", "β"])},
        {"loss": {"units": "nats"}},
    )


def member(name, value=1.0):
    return NewMember(name, "train", "p", encode(content(value)))


@pytest.fixture(params=[False, True], ids=["local", "network"])
def store(tmp_path, request):
    with Store(tmp_path / "runs", shared=request.param) as opened:
        yield opened


def test_what_is_put_is_read_back(store):
    store.put([member(name, i) for i, name in enumerate(NAMES)])
    found = dict(store.get(reversed(NAMES)))
    assert list(found) == NAMES[::-1]
    for i, name in enumerate(NAMES):
        loss = found[name].variables["loss"]
        assert loss[0] == ("step",)
        np.testing.assert_array_equal(loss[1], np.array([i, 2.0], "float32"))
    one = found[NAMES[0]]
    assert one.variables["prediction"][1].dtype == np.uint8
    assert one.variables["rate"][1].shape == ()
    assert one.coords["layer"].tolist() == ["a", "β"]
    assert one.to_dataset().loss.attrs == {"units": "nats"}
    assert store.names(["f" * 24, *NAMES]) == set(NAMES)


def test_equal_content_has_equal_bytes():
    assert encode(content()) == encode(content())
    assert encode(decode(encode(content()))) == encode(content())


def test_a_damaged_member_is_as_if_it_had_never_been(tmp_path):
    with Store(tmp_path, shared=False) as store:
        store.put([member(name, i) for i, name in enumerate(NAMES)])
    connection = sqlite3.connect(tmp_path / "flylab.sqlite")
    connection.execute("UPDATE member SET content = replace(content, x'00', x'01') WHERE name = ?", (NAMES[3],))
    connection.execute("UPDATE member SET digest = 7 WHERE name = ?", (NAMES[4],))
    connection.commit()
    connection.close()
    with Store(tmp_path, shared=False) as store:
        with pytest.warns(UserWarning, match="2 members .* are damaged"):
            found = dict(store.get(NAMES))
        assert set(found) == set(NAMES) - {NAMES[3], NAMES[4]}
        assert store.names(NAMES) == set(found)


@pytest.mark.parametrize("kind", ["header", "half", "noise"])
def test_a_damaged_database_is_set_aside_and_salvaged(tmp_path, kind):
    with Store(tmp_path, shared=False) as store:
        store.put([member(name, i) for i, name in enumerate(NAMES)])
    path = tmp_path / "flylab.sqlite"
    data = bytearray(path.read_bytes())
    if kind == "header":
        data[:100] = b"x" * 100
    elif kind == "half":
        data = data[: len(data) // 2]
    else:
        data[4096:12288:7] = b"\xff" * len(data[4096:12288:7])
    path.write_bytes(data)
    with Store(tmp_path, shared=False) as store, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = dict(store.get(NAMES))
        store.put([member(name, i) for i, name in enumerate(NAMES) if name not in found])
        whole = dict(store.get(NAMES))
    assert "was damaged: it is now flylab.sqlite.damaged-" in str(said[0].message)
    assert set(whole) == set(NAMES)
    for i, name in enumerate(NAMES):
        assert whole[name].variables["loss"][1][0] == i
    assert list(tmp_path.glob("*.damaged-*"))


def test_without_its_log_the_last_members_are_gone_and_nothing_else(tmp_path):
    store = Store(tmp_path, shared=False)
    store.put([member(NAMES[0])])
    store.query("PRAGMA wal_checkpoint(TRUNCATE)")
    store.put([member(NAMES[1])])
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "flylab.sqlite").write_bytes((tmp_path / "flylab.sqlite").read_bytes())
    store.close()
    with Store(copy, shared=False) as other:
        assert other.names(NAMES) == {NAMES[0]}


def test_a_run_is_recorded_with_its_members_in_one_transaction(store):
    record = RunRecord("train/quick-1", "train", "p", tuple(NAMES), '{"a":1}', "{}", "abc")
    store.put([member(NAMES[0])], record)
    assert store.run("train/quick-1") == record
    assert store.runs() == [record]
    assert store.run("train/quick-2") is None


def test_states_are_replaced_and_end_with_their_member(store):
    assert store.load_state(NAMES[0]) is None
    for value in (1.0, 2.0):
        store.save_state(NAMES[0], content(value))
    assert store.load_state(NAMES[0]).variables["loss"][1][0] == 2.0
    store.put([member(NAMES[0])])
    assert store.load_state(NAMES[0]) is None


def test_a_damaged_reservation_reserves_nothing(tmp_path):
    with Store(tmp_path, shared=False) as store:
        store._database.write(lambda c: c.execute("INSERT INTO reservation VALUES (?, 'noise', 1e12)", NAMES[:1]))
        assert store.reserve(NAMES[:2]) == set(NAMES[:2])


@pytest.mark.slow
def test_reservations_are_one_process_s_own(tmp_path):
    first = Store(tmp_path, shared=False)
    assert first.reserve(NAMES[:2]) == set(NAMES[:2])
    assert first.reserve(NAMES[:3]) == set(NAMES[:3])  # its own, again
    script = f"""
from pathlib import Path
from flylab.runs.store import Store
with Store(Path({str(tmp_path)!r}), shared=False) as store:
    print(sorted(store.reserve({NAMES[:5]!r})) == {sorted(NAMES[3:5])!r})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    assert first.reserve(NAMES[:5]) == set(NAMES[:5])  # the other has ended
    first.put([member(NAMES[0])])
    assert first.reserve(NAMES[:2]) == {NAMES[1]}  # the first is finished
    first.close()
    with Store(tmp_path, shared=False) as second:
        assert second.reserve(NAMES[:2]) == {NAMES[1]}


@pytest.mark.slow
def test_a_killed_process_reserves_nothing(tmp_path):
    script = f"""
import time
from pathlib import Path
from flylab.runs.store import Store
store = Store(Path({str(tmp_path)!r}), shared=False)
store.reserve({NAMES!r})
print("reserved", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "reserved\n"
        with Store(tmp_path, shared=False) as store:
            assert store.reserve(NAMES) == set()
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert store.reserve(NAMES) == set(NAMES)


def test_of_another_machine_only_the_lease_counts(tmp_path, monkeypatch):
    with Store(tmp_path, shared=False) as store:
        monkeypatch.setattr(store, "owner", "elsewhere:1:2")
        monkeypatch.setattr(store_module, "LEASE", 0.3)
        store.reserve(NAMES[:1])
        with Store(tmp_path, shared=False) as other:
            assert other.reserve(NAMES[:1]) == set()
            time.sleep(0.4)
            assert other.reserve(NAMES[:1]) == set(NAMES[:1])


def test_on_a_network_every_process_writes_its_own(tmp_path, monkeypatch):
    with Store(tmp_path, shared=True) as first:
        first.put([member(NAMES[0])])
        with Store(tmp_path, shared=True) as second:
            second._database.path = second.path = tmp_path / "flylab-other_1_1.sqlite"
            second.put([member(NAMES[1])])
            assert second.names(NAMES) == first.names(NAMES) == set(NAMES[:2])
            assert set(dict(first.get(NAMES))) == set(NAMES[:2])
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


@pytest.mark.parametrize(("outer", "inner"), [("a", "b"), ("b", "a")])
def test_on_a_network_one_of_two_that_reserve_at_the_same_instant_gives_up(tmp_path, monkeypatch, outer, inner):
    stores = {}
    for host in (outer, inner):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        stores[host] = Store(tmp_path, shared=True)
    read, got = stores[outer]._reserved_by_others, []

    def read_before_the_other_writes(names, connection=None):
        seen = read(names, connection)
        if not got:
            got.append(stores[inner].reserve(NAMES))
        return seen

    monkeypatch.setattr(stores[outer], "_reserved_by_others", read_before_the_other_writes)
    got.append(stores[outer].reserve(NAMES))
    assert got[0] == set(NAMES)
    assert got[1] == set()
    stores[inner].close()
    assert stores[outer].reserve(NAMES) == set(NAMES)
    stores[outer].close()


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        Store(tmp_path / "file")
    with pytest.raises(OSError, match="cannot write to /proc/flylab"):
        Store(type(tmp_path)("/proc/flylab"))


def test_a_member_under_another_s_name_is_damaged(tmp_path):
    with Store(tmp_path, shared=False) as store:
        store.put([member(NAMES[0])])
    connection = sqlite3.connect(tmp_path / "flylab.sqlite")
    connection.execute("UPDATE member SET name = ?", (NAMES[1],))
    connection.commit()
    connection.close()
    with Store(tmp_path, shared=False) as store, pytest.warns(UserWarning, match="1 members .* are damaged"):
        assert not dict(store.get(NAMES))


def test_a_database_that_is_deleted_or_replaced_is_opened_anew(tmp_path):
    with Store(tmp_path, shared=False) as store:
        store.put([member(NAMES[0])])
        for file in tmp_path.glob("flylab.sqlite*"):
            file.unlink()
        assert store.names(NAMES) == set()
        store.put([member(NAMES[1])])
        with Store(tmp_path, shared=False) as other:
            assert other.names(NAMES) == {NAMES[1]}


def test_a_database_of_another_version_is_refused(tmp_path):
    connection = sqlite3.connect(tmp_path / "flylab.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OSError, match="another version"), Store(tmp_path, shared=False) as store:
        store.names(NAMES)


def test_members_of_the_first_edition_are_said_to_be_unread(tmp_path):
    (tmp_path / "train" / "quick-1" / "members").mkdir(parents=True)
    with pytest.warns(UserWarning, match="members of an earlier version"):
        Store(tmp_path, shared=False).put([member(NAMES[0])])
    Store(tmp_path, shared=False).close()  # once


def test_what_is_stored_is_seen_from_outside(store):
    store.put([member(NAMES[0])])
    assert store_module.stored(store.folder, NAMES) == {NAMES[0]}
    assert store_module.stored(store.folder / "nothing", NAMES) == set()


@pytest.mark.parametrize("where", ["members", "log"])
def test_any_flipped_byte_loses_nothing_silently(tmp_path, where, rng):
    """After each of some flips the store gives whole members or none, and takes those that are missing."""
    whole = {name: encode(content(i)) for i, name in enumerate(NAMES)}
    for trial in range(30):
        folder = tmp_path / str(trial)
        store = Store(folder, shared=False)
        store.put([member(name, i) for i, name in enumerate(NAMES)])
        if where == "members":
            store.query("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = tmp_path / f"copy{trial}"
        copy.mkdir()
        for file in folder.glob("flylab.sqlite*"):
            (copy / file.name).write_bytes(file.read_bytes())
        store.close()
        damaged = copy / ("flylab.sqlite" if where == "members" else "flylab.sqlite-wal")
        data = bytearray(damaged.read_bytes())
        for place in rng.integers(len(data), size=20):
            data[place] ^= 1 << int(rng.integers(8))
        damaged.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the damage
            with Store(copy, shared=False) as store:
                for attempt in range(4):  # as a run does
                    if attempt > 1:
                        store.mend()
                    found = {name: encode(one) for name, one in store.get(NAMES)}
                    assert found.items() <= whole.items()
                    if len(found) == len(whole):
                        break
                    store.put([member(name, i) for i, name in enumerate(NAMES) if name not in found])
                assert found == whole


MANY = ["a" * 1000, *["b"] * 1000]


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"text": {"model": MANY}}, "TooLargeError"),
        ({"dims": {"words": ["i"]}, "strings": {"words": [[1001], MANY]}}, "TooLargeError"),
        ({"dims": {"words": ["i"]}, "strings": {"words": [[1, 1001], [MANY]]}}, "TypeError"),
        ({"text": {"model": [MANY]}}, "TypeError"),
    ],
)
def test_one_long_text_among_many_is_refused(monkeypatch, layout, reason):
    """NumPy gives each text the room of the longest."""
    monkeypatch.setattr(bounds, "MOST_BYTES", 2**16)
    data = save({}, {"flylab": json.dumps({"dims": {}, "text": {}, "attrs": {}} | layout)})
    with pytest.raises(DamagedError, match=reason):
        decode(data)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("column", "forged"),
    [
        ("content BLOB NOT NULL,", "content BLOB GENERATED ALWAYS AS (zeroblob(900000000)),"),
        ("provenance TEXT NOT NULL", "provenance TEXT GENERATED ALWAYS AS (hex(zeroblob(200000000)))"),
        ("expires REAL NOT NULL", "expires REAL NOT NULL DEFAULT (length(zeroblob(900000000)))"),
    ],
)
def test_a_store_of_computed_columns_is_set_aside(tmp_path, column, forged):
    path = tmp_path / "flylab.sqlite"
    assert column in store_module._SCHEMA
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(store_module._SCHEMA.replace(column, forged, 1))
        connection.execute(f"PRAGMA user_version = {store_module.VERSION}")
    assert store_module.stored(tmp_path, NAMES) == set()
    with Store(tmp_path, shared=False) as store:
        with pytest.warns(UserWarning, match="0 whole rows were salvaged"):
            assert store.names(NAMES) == set()
        store.put([member(NAMES[0])])
        assert store.names(NAMES) == {NAMES[0]}
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


@pytest.mark.parametrize(
    "code", ["CREATE VIEW v AS SELECT 1", "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM member; END"]
)
def test_a_store_that_would_run_code_is_refused(tmp_path, code):
    with Store(tmp_path) as store:
        store.put([member(NAMES[0])])
    with contextlib.closing(sqlite3.connect(tmp_path / "flylab.sqlite")) as forged:
        forged.execute(code)
    with Store(tmp_path) as store, pytest.raises(OSError, match=r"flylab\.sqlite would run code of its own"):
        store.names(NAMES)
    assert read_other(tmp_path / "flylab.sqlite", store_module._SCHEMA, "SELECT name FROM member") == []


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_database_that_is_no_file_is_refused(tmp_path, suffix, kind):
    """A pipe that nobody writes would be waited for without an end, and a link would be followed."""
    place = tmp_path / f"{store_module.NAME}{suffix}"
    make = {"pipe": os.mkfifo, "link": lambda path: path.symlink_to(tmp_path / "mine"), "folder": os.mkdir}[kind]
    make(place)
    with Store(tmp_path, shared=False) as opened, pytest.raises(OSError, match=f"{place.name}: it is a {kind}"):
        opened.names(NAMES)
    assert store_module.stored(tmp_path, NAMES) == set()
    assert os.listdir(tmp_path) == [place.name]
