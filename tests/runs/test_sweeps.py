"""Sweeps: one declaration; nothing lost, nothing twice, the same bits however it is run."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flylab
from flylab import Sweep
from flylab.base import netcdf
from flylab.cli.main import main
from flylab.runs import runner, sweeps
from flylab.runs.executors import Processes
from flylab.runs.store import Store
from flylab.studies.continuum import CLASSIFIERS
from flylab.study.registry import get_study, list_studies
from flylab.study.study import protocol_of

TOML = """
study = "train"
preset = "smoke"
n_seeds = 3
filter = "learning_rate * iid_noise_scale < 0.01"
metrics = ["test_accuracy", "test_loss"]
[fixed]
n_steps = 20
model = "logistic"
n_train = 200
n_valid = 100
n_test = 100
[axes]
learning_rate = [0.001, 0.1]
iid_noise_scale = [0.0, 0.5]
"""
SMALL = {"n_steps": 5, "model": "logistic", "n_train": 100, "n_valid": 0, "n_test": 100}


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(TOML)
    return path


def run_toml(toml, out, **options):
    return runner.run(sweeps.plan_of_sweep(sweeps.from_toml(toml)), Path(out), **options)


def trained(toml, out):
    return run_toml(toml, out).results


def members(out):
    """The digest of each, which is that of its name and content; all are verified."""
    with Store(Path(out)) as store:
        digests = dict(store.query("SELECT name, digest FROM member"))
        assert len(dict(store.get(digests))) == len(digests)
    return digests


@pytest.mark.slow
def test_a_grid(toml, tmp_path):
    results = trained(toml, tmp_path)
    accuracy = results.test_accuracy
    assert dict(accuracy.sizes) == {"learning_rate": 2, "iid_noise_scale": 2, "model": 1, "seed": 3, "step": 2}
    assert np.isnan(accuracy.sel(learning_rate=0.1, iid_noise_scale=0.5)).all()  # the filter
    assert not np.isnan(accuracy.sel(learning_rate=0.001)).any()
    assert set(results.data_vars) == {"test_accuracy", "test_loss"}
    assert accuracy.attrs == {"long_name": "test accuracy", "units": "%"}
    rows = pd.read_parquet(tmp_path / "sweeps/grid/members.parquet")
    assert len(rows) == 3 * 3 * 2
    one = rows[(rows.learning_rate == 0.1) & (rows.seed == 2) & (rows.step == 20)].test_accuracy.item()
    assert one == accuracy.sel(learning_rate=0.1, iid_noise_scale=0.0, seed=2, step=20).item()


@pytest.mark.slow
def test_a_point_is_what_the_study_trains(tmp_path):
    swept = flylab.run(Sweep("train", {"learning_rate": [0.1]}, "smoke", SMALL, n_seeds=2), out=tmp_path)
    alone = flylab.run("train", "smoke", tmp_path, n_seeds=2, n_steps=5, model="logistic", learning_rate=0.1,
                       data=flylab.MNIST1D(n_train=100, n_valid=0, n_test=100))  # fmt: skip
    assert np.array_equal(swept.test_loss.squeeze("learning_rate").values, alone.test_loss.values)


def test_again_trains_nothing_and_a_larger_grid_only_the_new(toml, tmp_path):
    first = run_toml(toml, tmp_path)
    assert first.n_trained == 9
    before = members(tmp_path)
    assert run_toml(toml, tmp_path).n_trained == 0
    toml.write_text(TOML.replace("[0.001, 0.1]", "[0.001, 0.01, 0.1]").replace("n_seeds = 3", "n_seeds = 4"))
    more = run_toml(toml, tmp_path)
    assert more.n_trained == 5 * 4 - 9
    assert before.items() <= members(tmp_path).items()


def test_axes_and_their_order_belong_to_a_sweep(tmp_path):
    sizes = []
    for axes in (
        {"learning_rate": [0.1]},
        {"learning_rate": [0.1], "batch_size": [100]},  # the preset's value, so that members are the same
        {"batch_size": [100], "learning_rate": [0.1]},
    ):
        done = runner.run(sweeps.plan_of_sweep(Sweep("train", axes, "smoke", SMALL, n_seeds=1)), tmp_path)
        sizes.append([str(name) for name in done.results.test_loss.dims if name in axes])
        assert sizes[-1] == [*axes]
        assert done.n_trained == (len(sizes) == 1)


@pytest.mark.parametrize("name", ["seed", "step", "sample"])
def test_axes_with_names_of_dimensions_are_refused(name, workplace):
    path = workplace / "mine.py"
    text = (Path(flylab.__file__).parent / "template.py").read_text()
    path.write_text(text.replace("    widths:", f"    {name}: int = 1\n    widths:", 1))
    with pytest.raises(ValueError, match=f"{name} cannot be an axis"):
        Sweep(str(path), {name: [1, 2]}, "smoke")


def test_parts_merged_are_the_whole(toml, tmp_path, capsys):
    whole = trained(toml, tmp_path / "whole")
    out = str(tmp_path / "parts")
    assert main(["sweep", str(toml), "--out", out, "--part", "1/4"]) == 0
    assert not (tmp_path / "parts/sweeps").exists()
    for k in (2, 3, 4):
        assert main(["sweep", str(toml), "--out", out, "--part", f"{k}/4"]) == 0
    capsys.readouterr()
    assert main(["sweep", str(toml), "--out", out]) == 0
    assert capsys.readouterr().out.startswith("found finished, nothing to train")
    assert netcdf.open_checked(tmp_path / "parts/sweeps/grid/results.nc").checksum == whole.checksum
    assert members(out) == members(tmp_path / "whole")


@pytest.mark.long
@pytest.mark.parametrize("kill", ["never", "before", "during"])
def test_processes_give_the_same_and_may_die(toml, tmp_path, kill):
    with Processes(2) as executor:
        if kill == "before":
            os.kill(executor.submit(os.getpid).result(), signal.SIGKILL)
            while not executor._pool._broken:
                time.sleep(0.01)
        if kill == "during":
            threading.Thread(target=kill_a_worker, args=(executor,), daemon=True).start()
        done = run_toml(toml, tmp_path / "workers", executor=executor)
    assert done.n_trained == 9
    assert done.results.checksum == trained(toml, tmp_path / "whole").checksum
    assert members(tmp_path / "workers") == members(tmp_path / "whole")


def kill_a_worker(executor):
    while not executor._pool._processes:
        time.sleep(0.01)
    time.sleep(1)
    os.kill(next(iter(executor._pool._processes)), signal.SIGKILL)


@pytest.mark.long
def test_a_dask_cluster_gives_the_same_and_outlives_its_workers(toml, tmp_path):
    """In a process of its own: Dask starts threads and processes, and warns of much."""
    script = f"""
import os, signal, threading, time
from pathlib import Path
import distributed
from flylab.runs import executors, runner, sweeps

def kill(client):
    for _ in range(2):
        time.sleep(1.5)
        pids = list(client.run(os.getpid).values())
        os.kill(pids[0], signal.SIGKILL)

if __name__ == "__main__":
    options = dict(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
    with distributed.LocalCluster(**options) as cluster:
        client = distributed.Client(cluster, set_as_default=False)
        threading.Thread(target=kill, args=(client,), daemon=True).start()
        with executors.dask(cluster.scheduler_address) as executor:
            plan = sweeps.plan_of_sweep(sweeps.from_toml(Path({str(toml)!r})))
            done = runner.run(plan, Path({str(tmp_path / "dask")!r}), executor=executor)
        client.close()
    print(done.n_trained, done.results.checksum)
"""
    path = tmp_path / "cluster.py"
    path.write_text(script)
    found = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    whole = trained(toml, tmp_path / "whole")
    assert found.stdout.split()[-2:] == ["9", whole.checksum]
    assert members(tmp_path / "dask") == members(tmp_path / "whole")


@pytest.mark.parametrize("at_once", [False, True])
def test_a_lost_executor_is_said(toml, tmp_path, at_once):
    from concurrent.futures import BrokenExecutor, Executor, Future

    class Lost(Executor):
        def submit(self, fn, /, *args, **kwargs):
            if at_once:
                raise BrokenExecutor("gone")
            future = Future()
            future.set_exception(BrokenExecutor("gone"))
            return future

    with pytest.raises(OSError, match=r"the executor is lost.*run the same command again"):
        run_toml(toml, tmp_path, executor=Lost())
    assert run_toml(toml, tmp_path).n_trained == 9


def test_any_executor_will_do(toml, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        done = run_toml(toml, tmp_path / "threads", executor=executor)
    assert done.results.checksum == trained(toml, tmp_path / "here").checksum


def racing(toml, out, n):
    command = [sys.executable, "-m", "flylab", "sweep", str(toml), "--out", str(out)]
    return [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n)]


@pytest.mark.long
def test_two_processes_on_one_store_share_the_work(toml, tmp_path):
    runs = racing(toml, tmp_path / "raced", 2)
    said = [run.communicate(timeout=200)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    counts = [int(text.split()[1]) if text.startswith("trained") else 0 for text in said]
    assert sum(counts) == 9  # nothing twice
    whole = trained(toml, tmp_path / "whole")
    assert members(tmp_path / "raced") == members(tmp_path / "whole")
    assert netcdf.open_checked(tmp_path / "raced/sweeps/grid/results.nc").checksum == whole.checksum


@pytest.mark.long
def test_killed_at_any_instant_nothing_is_lost(toml, tmp_path):
    rng, killed = np.random.default_rng(0), 0
    for _ in range(5):
        (run,) = racing(toml, tmp_path / "cut", 1)
        time.sleep(rng.uniform(1, 5))
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            killed += 1
        run.communicate()
    assert killed
    (run,) = racing(toml, tmp_path / "cut", 1)
    run.communicate(timeout=200)
    whole = trained(toml, tmp_path / "whole")
    assert members(tmp_path / "cut") == members(tmp_path / "whole")
    assert netcdf.open_checked(tmp_path / "cut/sweeps/grid/results.nc").checksum == whole.checksum


def test_samples_that_are_drawn_twice_are_trained_once(tmp_path):
    axes, fixed = {"n_train": {"choice": [100, 200]}}, {name: v for name, v in SMALL.items() if name != "n_train"}
    sweep = Sweep("train", axes, "smoke", fixed, samples=6, n_seeds=1, name="drawn")
    done = runner.run(sweeps.plan_of_sweep(sweep), tmp_path)
    assert done.n_trained == len(set(done.results.n_train.values)) < 6
    assert not np.isnan(done.results.test_loss).any()


@pytest.mark.slow
def test_random_samples_have_one_dimension(tmp_path):
    axes = {
        "learning_rate": {"log_uniform": [1e-3, 1e-1]},
        "n_train": {"choice": [100, 200]},
        "shuffle": [False, True],
    }
    fixed = {name: value for name, value in SMALL.items() if name != "n_train"}
    results = flylab.run(Sweep("train", axes, "smoke", fixed, samples=3, n_seeds=1, name="random"), out=tmp_path)
    assert dict(results.test_accuracy.sizes) == {"shuffle": 2, "sample": 3, "model": 1, "seed": 1, "step": 2}
    assert results.learning_rate.dims == ("sample",)
    assert set(results.n_train.values) <= {100, 200}


def test_parts_share_all_members_evenly():
    sweep = Sweep("train", {"learning_rate": [0.1, 0.2, 0.3]}, "smoke", n_seeds=5)
    plan = sweeps.plan_of_sweep(sweep)
    whole = [name for group in plan.groups() for name in group.names]
    parts = [[name for group in plan.groups((k, 4)) for name in group.names] for k in (1, 2, 3, 4)]
    assert sorted(name for part in parts for name in part) == sorted(whole)
    assert {len(part) for part in parts} == {3, 4}
    assert len(set(whole)) == 15


def test_dry_run_trains_nothing(toml, tmp_path, capsys):
    assert main(["sweep", str(toml), "--out", str(tmp_path), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "members    9; 0 are finished" in printed
    assert re.search(r"time       about [0-9.]+ seconds", printed)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


@pytest.mark.slow
def test_dry_run_of_a_study_knows_what_is_finished(tmp_path, capsys):
    tiny = ["run", "train", "smoke", "--n-steps", "5", "--out", str(tmp_path)]
    assert main(tiny) == 0
    capsys.readouterr()
    assert main([*tiny, "--n-seeds", "3", "--dry-run"]) == 0
    assert "members    3; 2 are finished" in capsys.readouterr().out
    assert main([*tiny, "--n-seeds", "4", "--dry-run", "--part", "1/2", "--force"]) == 0
    assert "members    2; 0 are finished" in capsys.readouterr().out


def test_slurm_script_trains_all_parts(toml, tmp_path, capsys, monkeypatch):
    """The script is run as each of its jobs, with a `srun` that only calls."""
    folder = tmp_path / "with 'a space"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["slurm", "--jobs", "2", "-O=--partition=long", "sweep", str(toml), "--out", "my runs"]) == 0
    script = (folder / "grid.sbatch").read_text()
    assert "#SBATCH --array=1-2\n" in script
    assert "#SBATCH --partition=long\n" in script
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    environment = os.environ | {"PATH": f"{srun.parent}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "2"}
    said = subprocess.run(["bash", "grid.sbatch"], capture_output=True, text=True, env=environment, check=True).stdout
    words = said.splitlines()
    assert words[1:] == ["-m", "flylab", "sweep", str(toml), "--out", "my runs", "--part", "2/2"]
    join = next(line for line in script.splitlines() if "joins" in line).partition("results:  ")[2]
    assert shlex.split(join)[3:] == ["sweep", str(toml), "--out", "my runs"]


@pytest.mark.parametrize("options", [["-O=--x y"], ["-O=x"], ["--jobs", "0"], ["--mem", "a\n#SBATCH"]])
def test_slurm_refuses_what_cannot_stand_in_a_script(toml, tmp_path, options, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["slurm", *options, "sweep", str(toml)]) == 2
    assert main(["slurm", "sweep", str(toml), "--part", "1/2"]) == 2
    assert main(["slurm", "sweep", str(toml), "--dry-run"]) == 2
    assert main(["slurm", "list"]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study = ", "not a TOML"),
        ("study = 'train'", "axes is missing"),
        ("study = 'nope'\n[axes]\na = [1]", "there is no study"),
        ("study = 'train'\n[axes]\nwidht = [1]", "'widht' is not a field"),
        ("study = 'train'\n[axes]\nwidth = ['a']", "width='a' must be an integer ≥ 1 or None"),
        ("study = 'train'\n[axes]\nlearning_rate = [-1.0]", "learning_rate=-1.0 must be a number > 0"),
        ("study = 'train'\nname = '../x'\n[axes]\nwidth = [3]", "it names a folder"),
        ("study = 'train'\nn_seeds = 'a'\n[axes]\nwidth = [3]", "n_seeds='a'"),
        ("study = 'train'\nmetric = 'a'\n[axes]\nwidth = [3]", "metric is not known"),
        ("study = 'train'\nfilter = 'widht < 3'\n[axes]\nwidth = [3]", "'widht', which is no axis"),
        ("study = 'train'\n[axes]\nwidth = {uniform = [1, 9]}", "need samples"),
        ("study = 'train'\n[axes]\nn_seeds = [3]", "n_seeds is no axis"),
        ("study = 'train'\nn_seeds = 1000000\n[axes]\nlearning_rate = {linear = [0.1, 1, 100000]}", "the most are"),
        ("study = 'train'\n[fixed]\nwidth = 3\n[axes]\nwidth = [3]", "an axis and fixed"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_in_one_line(tmp_path, capsys, text, said):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    assert main(["sweep", str(path), "--out", str(tmp_path / "runs")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_missing_file_is_named(tmp_path, capsys):
    path = tmp_path / "nope.toml"
    assert main(["sweep", str(path)]) == 2
    assert capsys.readouterr().err == f"flylab: there is no file {path}; give a TOML file that declares a sweep\n"


@pytest.mark.parametrize("part", ["0/4", "5/4", "1", "a/b", "1/4/2"])
def test_bad_parts_are_refused(toml, tmp_path, part):
    assert main(["sweep", str(toml), "--out", str(tmp_path), "--part", part]) == 2


_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


_fields = st.sampled_from(["n_steps", "data", "model", "padding", "templates", "x"])
_axes = st.sampled_from(["width", "learning_rate", "shuffle_seq", "permutation", "label_noise", "y"])
_declared = {
    "preset": st.sampled_from(["smoke", "x"]) | _plain, "filter": st.sampled_from(["width < 3", ""]) | _plain,
    "name": _plain, "samples": _plain, "sample_seed": _plain, "n_seeds": st.integers(),
    "metrics": st.lists(st.text(max_size=3), max_size=2), "fixed": st.dictionaries(_fields, _plain, max_size=2),
}  # fmt: skip


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.fixed_dictionaries({}, optional=_declared), st.dictionaries(_axes, _plain, max_size=2))
def test_any_declaration_is_a_sweep_or_refused(more, axes):
    try:
        found = Sweep("train", axes, **more)
        assert found.grid.size >= 1
    except ValueError:
        pass


@pytest.mark.slow
def test_plots(toml, tmp_path, capsys):
    folder = run_toml(toml, tmp_path).folder
    for name, options in (
        ("lines.png", ["--x", "learning_rate", "--lines", "iid_noise_scale"]),
        ("cut.svg", ["--x", "step", "--at", "learning_rate=0.001", "iid_noise_scale=0.5", "--value", "test_loss"]),
        ("heat.png", ["--x", "learning_rate", "--y", "iid_noise_scale", "--panels", "model"]),
    ):
        assert main(["plot", str(folder), *options, "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).stat().st_size > 1000
    capsys.readouterr()
    for options, said in (
        (["--x", "learning_rate"], "iid_noise_scale needs a value"),
        (["--x", "nope"], "x='nope' must be a dimension"),
        (["--x", "step", "--value", "nope"], "there is no 'nope'"),
        (["--x", "step", "--at", "model=x"], "model=x must be one of"),
        (["--x", "step", "--lines", "step"], "must be different dimensions"),
    ):
        assert main(["plot", str(folder), *options, "-o", str(tmp_path / "bad.png")]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "bad.png").exists()
    assert json.loads(netcdf.open_checked(folder / "results.nc").attrs["sweep"])["n_seeds"] == 3


def test_a_sweep_says_its_own_fields(tmp_path):
    with pytest.raises(ValueError, match="give only the sweep"):
        flylab.run(Sweep("train", {"learning_rate": [0.1]}), out=tmp_path, n_steps=3)


@pytest.mark.parametrize("name", [name for name in list_studies() if get_study(name).resources])
def test_the_work_of_a_dry_run_grows_with_its_steps(name):
    study = get_study(name)
    length = "n_epochs" if hasattr(study.presets["smoke"], "n_epochs") else "n_steps"
    fields = [
        name for name in (length, "n_early") if hasattr(study.presets["smoke"], name)
    ]  # unrolled, in metalearning
    found = []
    for factor in (1, 1001):
        protocol = protocol_of(study, "smoke")
        protocol = replace(protocol, **{field: factor * getattr(protocol, field) for field in fields})
        found.append([study.resources(protocol, condition) for condition in study.conditions(protocol)])
        for (flops, n_bytes), condition in zip(found[-1], study.conditions(protocol), strict=True):
            if condition.get("model") in CLASSIFIERS:  # scikit-learn's, whose work nobody counts
                assert (flops, n_bytes) == (0, 0)
                continue
            n_batch = protocol.n_examples if name == "petri_dish" else protocol.batch_size
            forward_and_backward = 3 * 2 * n_batch * study.n_steps(protocol, condition)
            assert flops >= forward_and_backward * 2  # at least two products of one number each
            assert (n_bytes > 0) == (study.n_steps(protocol, condition) > 0)
    (few, n_bytes), (many, same) = ((sum(flops for flops, _ in one), max(b for _, b in one)) for one in found)
    assert 100 * few < many <= 1001 * few  # some of the few steps' work are evaluations
    assert n_bytes == same


@pytest.mark.long
def test_a_scheduler_that_dies_is_one_line(toml, tmp_path):
    told = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    scheduler = subprocess.Popen([*command, "--no-dashboard", "--scheduler-file", str(told)], **quiet)
    try:
        while not told.exists() and scheduler.poll() is None:
            time.sleep(0.1)
        time.sleep(0.5)
        address = json.loads(told.read_text())["address"]
        command = [sys.executable, "-m", "flylab", "sweep", str(toml), "--out", str(tmp_path), "--scheduler", address]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(8)
    finally:
        scheduler.kill()
        scheduler.wait()
    _, said = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "the executor is lost" in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.long
def test_a_full_disk_and_a_read_only_one_are_one_line(toml, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount")
    command = [sys.executable, "-m", "flylab", "sweep", str(toml), "--out", str(disk)]
    try:
        for room in ("60k", "remount,ro"):
            if room != "60k":
                subprocess.run(["mount", "-o", room, disk], check=True)
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            assert run.returncode == 2, run
            assert "cannot" in run.stderr
            assert "Traceback" not in run.stderr
        subprocess.run(["mount", "-o", "remount,rw,size=100m", disk], check=True)
        subprocess.run(command, check=True, capture_output=True)
        assert members(disk) == shards_of_an_undisturbed_run(toml, tmp_path)
    finally:
        subprocess.run(["umount", disk], check=True)


def shards_of_an_undisturbed_run(toml, tmp_path):
    trained(toml, tmp_path / "whole")
    return members(tmp_path / "whole")
