"""The upkeep of a store: what is deleted is what no run needs, and what is exported is a run of its own."""

import json
import os
import shutil
import sqlite3

import pytest

from flylab.cli.main import main
from flylab.runs.store import Store

TINY = ["run", "train", "smoke", "--n-steps", "5", "--n-train", "100", "--n-valid", "0", "--n-test", "100"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    assert main([*TINY, "--model", "logistic", "--out", str(folder)]) == 0
    assert main([*TINY, "--model", "mlp", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def out(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "runs")


def listed(out, capsys):
    capsys.readouterr()
    assert main(["store", "--out", str(out), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_is_stored_is_listed(out, capsys):
    content = listed(out, capsys)
    assert [row["n_members"] for row in content["members"]] == [2, 2]
    assert all(row["n_bytes"] > 100 for row in content["members"])
    assert [(run["members"], run["stored"], run["finished"]) for run in content["runs"]] == [(2, 2, True)] * 2
    assert main(["store", "list", "--out", str(out)]) == 0
    assert "2 of 2" in capsys.readouterr().out


def test_only_what_no_run_needs_is_pruned(out, capsys):
    assert main(["store", "prune", "--out", str(out)]) == 0
    assert "deleted 0 members" in capsys.readouterr().out
    with Store(out) as store:
        (gone, kept) = store.runs()
    shutil.rmtree(out / gone.folder)
    assert main(["store", "prune", "--out", str(out)]) == 0
    assert "deleted 2 members" in capsys.readouterr().out
    with Store(out) as store:
        assert [run.folder for run in store.runs()] == [kept.folder]
        assert store.names([*gone.members, *kept.members]) == set(kept.members)


def test_members_of_unfinished_runs_are_kept_unless_said(out, capsys):
    with Store(out) as store:
        (first, _) = store.runs()
        store.put((), first._replace(provenance="", digest=""))
    shutil.rmtree(out / first.folder)
    assert main(["store", "prune", "--out", str(out)]) == 0
    assert main(["store", "prune", "--out", str(out), "--unfinished"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in said[-2:]] == ["0", "2"]


def test_a_run_that_is_exported_is_finished_there(out, tmp_path, capsys):
    with Store(out) as store:
        (run, _) = store.runs()
    target = tmp_path / "alone"
    assert main(["store", "export", str(out / run.folder), str(target), "--out", str(out)]) == 0
    assert len(listed(target, capsys)["runs"]) == 1
    folders = [place / run.folder for place in (out, target)]
    before, after = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert after == before
    model = json.loads(run.declaration)["model"]
    assert main([*TINY, "--model", model, "--out", str(target)]) == 0
    assert "nothing to train" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")
def test_damaged_members_are_found(out, capsys):
    assert main(["store", "verify", "--out", str(out)]) == 0
    connection = sqlite3.connect(out / "flylab.sqlite")
    connection.execute("UPDATE member SET content = zeroblob(9) WHERE rowid = 1")
    connection.commit()
    connection.close()
    assert main(["store", "verify", "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "3 members are whole; 1 were damaged" in said.out
    assert "are damaged: they are trained again" in said.err


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "change",
    ["members = substr(members, 1, 12) || zeroblob(12)", "members = 'text'", "digest = 'x'", "folder = 'elsewhere'"],
)
def test_a_damaged_record_of_a_run_lets_nothing_be_pruned(out, change, capsys):
    with Store(out) as store:
        (first, second) = store.runs()
    connection = sqlite3.connect(out / "flylab.sqlite")
    connection.execute(f"UPDATE run SET {change} WHERE folder = '{first.folder}'")
    connection.commit()
    connection.close()
    with Store(out) as store:
        assert store.run(first.folder) is None
        assert store.runs() == [second]
    assert main(["store", "prune", "--out", str(out)]) == 2
    assert "repeat the commands of these runs" in capsys.readouterr().err
    assert main(["store", "verify", "--out", str(out)]) == 1
    assert "deleted the damaged records of" in capsys.readouterr().out
    model = json.loads(first.declaration)["model"]
    assert main([*TINY, "--model", model, "--out", str(out)]) == 0
    with Store(out) as store:
        assert [run.members for run in store.runs()] == [first.members, second.members]
    assert main(["store", "prune", "--out", str(out)]) == 0
    assert "deleted 0 members" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [(["store"], "there is no store in"), (["store", "export", "x", "y"], "there is no store in")],
)
def test_a_folder_without_a_store_is_said(words, says, tmp_path, capsys):
    assert main([*words, "--out", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_is_not_exported(out, tmp_path, capsys):
    for folder in (out, tmp_path / "elsewhere"):
        assert main(["store", "export", str(folder), str(tmp_path / "new"), "--out", str(out)]) == 2
        assert "is not a finished run of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("made", "kind", "says"),
    [
        ("target/{run}/figure.png", "link", "figure.png: it is a link"),
        ("target/{run}/figure.png", "pipe", "figure.png: it is a pipe"),
        ("target/{run}/figure.png", "folder", "figure.png: it is a folder"),
        ("target/{run}", "link", "it is no folder of its own"),
        ("target/train", "link", "it is no folder of its own"),
        ("target/flylab.sqlite", "link", "flylab.sqlite: it is a link"),
        ("target", "pipe", "cannot write to"),
        ("runs/{run}/extra", "link", "extra is a link, not a file"),
        ("runs/{run}/extra", "pipe", "extra is a pipe, not a file"),
    ],
)
def test_an_export_writes_and_reads_nothing_but_files(out, tmp_path, made, kind, says, capsys):
    with Store(out) as store:
        run = store.runs()[0].folder
    mine = tmp_path / "mine"
    mine.write_text("mine")
    place = tmp_path / made.format(run=run)
    place.parent.mkdir(parents=True, exist_ok=True)
    {"link": lambda: place.symlink_to(mine), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()
    assert main(["store", "export", str(out / run), str(tmp_path / "target"), "--out", str(out)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert says in said[0]
    assert mine.read_text() == "mine"
    assert not list(tmp_path.glob("target/train/*/results.nc"))


@pytest.mark.parametrize("target", ["{out}", "{out}/{run}", "{out}/{run}/new"])
def test_a_run_is_not_exported_into_itself(out, target, capsys):
    with Store(out) as store:
        run = store.runs()[0].folder
    assert main(["store", "export", str(out / run), target.format(out=out, run=run), "--out", str(out)]) == 2
    assert "is the store's own folder, or in that of the run" in capsys.readouterr().err
