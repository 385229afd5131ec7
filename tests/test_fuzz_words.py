"""Every config and every command line: it is taken, or refused in one line; nothing leaves --out, nothing calls out."""

import dataclasses
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flylab import api
from flylab.base.config import flat_fields, from_json, override, override_flat, to_json
from flylab.cli.main import main
from flylab.data import MNIST1D, Templates
from flylab.evaluation import evaluation
from flylab.reporting import page
from flylab.runs import executors
from flylab.runs.runner import execute
from flylab.study.registry import get_study, list_studies

FEW: Any = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}

scalars = (
    st.integers(-3, 60) | st.floats(-1, 2) | st.booleans() | st.none() | st.integers(-(10**400), 10**400) | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([10**9, 2**31 - 1, 2**31, 10**12, 10**30, 1e308, "mlp", np.float32(2), np.int64(3), 1j, b"a"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)


def tried(make: Callable[[], Any]) -> tuple[Any, str]:
    """What it makes, or what a refusal says; any other exception fails."""
    try:
        return make(), ""
    except ValueError as error:
        return None, str(error) or "?"


def changes_of(names) -> st.SearchStrategy:
    return st.dictionaries(st.sampled_from(list(names)), values, min_size=1, max_size=3)


@settings(max_examples=int(os.environ.get("FUZZ", 300)), **FEW)
@given(changes_of(field.name for field in dataclasses.fields(MNIST1D)))
def test_any_data_config_is_taken_or_refused(changes):
    config, refused = tried(lambda: MNIST1D(**changes))
    assert len(refused) < 1000
    if config is not None:
        assert config.outputs >= 1
        assert hash(config) == hash(from_json(MNIST1D, to_json(config)))
        assert from_json(MNIST1D, to_json(config)) == config


@settings(max_examples=int(os.environ.get("FUZZ", 150)), **FEW)
@given(values, values, values)
def test_any_templates_are_taken_or_refused(x, t, y):
    found, _ = tried(lambda: Templates(x, t, y))
    assert found is None or (len(found.x) == len(found.y) and found == Templates(x, t, y) and hash(found))


@settings(max_examples=int(os.environ.get("FUZZ", 150)), **FEW)
@given(values | st.text(max_size=30), st.text(max_size=10))
def test_any_json_is_a_config_or_refused(value, text):
    for content in (text, to_json_or(value)):
        found, refused = tried(lambda content=content: from_json(MNIST1D, content))
        assert isinstance(found, MNIST1D) or refused


def to_json_or(value) -> str:
    try:
        return to_json({"templates": value, "padding": value})
    except (TypeError, ValueError):
        return "[" * 10_000


@pytest.mark.parametrize("name", list_studies())
def test_any_protocol_is_taken_or_refused(name):
    study = get_study(name)
    base = study.presets["smoke"]

    @settings(max_examples=int(os.environ.get("FUZZ", 40)), **FEW)
    @given(changes_of(flat_fields(base)), changes_of(field.name for field in dataclasses.fields(base)))
    def every(flat, own):
        for make in (lambda: override_flat(base, flat), lambda: override(base, **own)):
            protocol, refused = tried(make)
            assert len(refused) < 1500
            if protocol is not None:
                assert hash(protocol) == hash(make())
                assert to_json(protocol)
                study.conditions(protocol)

    every()


EDGES = [0, -1, 1, 2, 2**31 - 1, 2**31, None, True, 0.0, -1.0, 1e-300, 1e308, "", (), (0,), (1,), (-1,), (5, 3), ("",)]


@pytest.mark.parametrize("name", list_studies())
def test_every_field_at_its_edges(name):
    study = get_study(name)
    base = study.presets["smoke"]
    for field in flat_fields(base):
        for value in EDGES:
            protocol, refused = tried(lambda field=field, value=value: override_flat(base, {field: value}))
            for condition in () if refused else study.conditions(protocol):
                n_steps, refused = tried(functools.partial(study.n_steps, protocol, condition))  # before it trains
                assert refused or n_steps >= 0


def test_a_protocol_that_trains_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one of its lists is empty"):
        api.run("pooling", preset="smoke", out=tmp_path / "runs", poolings=())
    assert not (tmp_path / "runs").exists()


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────────────

WORDS = [
    "", "0", "-1", "1", "3", "2.5", "nan", "inf", "1e999", "9" * 30, "9" * 5000, "x", "[/b]", "a\nb", "a\x1b[31m",
    "\ud800", "smoke", "quick", "../../x", "/proc/x", "None", "True", "train", "mlp", "a=b", "K/N", "1/0", "plot.png",
    "sweep.toml", "no.toml", "model.py:Net", "model.py:", ":", "a.b:c", "json:loads", "--", "-", "-o", "--x", "--at",
    "--lines", "--value",
]  # fmt: skip
FLAGS = [
    "--out", "--force", "--n-seeds", "--n-steps", "--n-train", "--n-valid", "--seed", "--padding",
    "--classes", "--templates", "--permutation", "--learning-rate", "--width", "--model", "--json", "--by", "--name",
    "--format", "--plot", "--part", "--workers", "--scheduler", "--jobs", "--mem", "--time", "-O", "--output",
    "--final-seq-length", "--random-labels", "--protocol", "--data", "--no-force", "--train-sizes", "--rates",
    "--help-me", "--dry-run",
]  # fmt: skip
ALONE = ("run", "data", "sweep", "slurm", "store", "plot", "claims", "figures", "report", "leaderboard", "evaluate",
         "x")  # fmt: skip
COMMANDS = [
    *(["run", name] for name in list_studies()), *([name] for name in ALONE),
    ["sweep", "sweep.toml"], ["slurm", "sweep", "sweep.toml"], ["plot", ".", "--x", "a"], ["evaluate", "model.py:Net"],
]  # fmt: skip


class StoppedError(ValueError):
    """Where training would begin."""


@pytest.fixture
def nothing_is_trained(monkeypatch, tmp_path):
    """In a folder with a sweep and a model, commands go as far as training."""

    def stop(*_, **__):
        raise StoppedError("here it would train")

    for place, name in ((page, "run"), (evaluation, "execute"), (evaluation, "published"), (executors, "dask")):
        monkeypatch.setattr(place, name, stop)
    monkeypatch.setattr("flylab.data.published", stop)
    monkeypatch.setattr("flylab.runs.estimate.estimate", stop)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.toml").write_text("study = 'train'\n[axes]\nwidth = [3, 4]\n")
    (tmp_path / "model.py").write_text("from sklearn.naive_bayes import GaussianNB as Net\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_any_words_are_a_command_or_refused_in_one_line(nothing_is_trained, capsys):
    @settings(max_examples=int(os.environ.get("FUZZ", 200)), **FEW)
    @given(
        st.sampled_from(COMMANDS),
        st.lists(st.tuples(st.sampled_from([*FLAGS, ""]), st.lists(st.sampled_from(WORDS), max_size=2)), max_size=3),
    )
    def every(command, options):
        words = [*command, *(word for flag, given in options for word in (flag, *given) if word)]
        code = main(words)
        said = capsys.readouterr()
        assert code in (0, 2)
        assert "Traceback" not in said.err
        assert code == 0 or len(said.err.splitlines()) == 1, said.err
        assert "\x1b" not in said.err

    every()
    assert {path.name for path in nothing_is_trained.iterdir()} <= {
        "sweep.toml", "model.py", "__pycache__", "sweep.sbatch", *(word for word in WORDS if word), "runs",
    }  # fmt: skip


# ── nothing leaves --out ─────────────────────────────────────────────────────────────────────────────────────────────

OUTSIDE = ["../x", "../../x", "a/../../x", "/tmp/flylab-escaped", "..", ".", "a/b", "", "x\0y", "~/x", "a\\..\\b"]


@pytest.mark.parametrize("word", OUTSIDE)
def test_no_name_leads_out_of_the_folder(word, nothing_is_trained, capsys):
    """Names of studies, presets, sweeps and models become folders' names."""
    out = nothing_is_trained / "deep" / "runs"
    (nothing_is_trained / "named.toml").write_text(f"study = 'train'\nname = {word!r}\n[axes]\nwidth = [3]\n")
    for words in (["run", word], ["run", "train", word], ["sweep", "named.toml"],
                  ["run", "train", "smoke", word], ["evaluate", "model.py:Net", word],
                  ["evaluate", "model.py:Net", "smoke", "--name", word or "."]):  # fmt: skip
        assert main([*words, "--out", str(out)]) == 2
        assert "here it would train" not in capsys.readouterr().err, words
    assert not (nothing_is_trained / "deep").exists()


def test_execute_refuses_a_preset_that_is_a_path(tmp_path):
    study = get_study("train")
    with pytest.raises(ValueError, match=r"no preset '\.\./x'"):
        execute(study, "../x", study.presets["smoke"], tmp_path)


def test_a_preset_is_a_word(nothing_is_trained, capsys):
    for words in (["smoke"], ["smoke", "paper"], []):
        assert main(["run", "train", *words]) == 2
        assert ("here it would train" in capsys.readouterr().err) == (len(words) < 2)


# ── no network unless asked ──────────────────────────────────────────────────────────────────────────────────────────

OFFLINE = """
import socket, sys

def refuse(*given, **_):
    print("NETWORK", given, file=sys.stderr)
    raise SystemExit(99)

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket, "socket", type("socket", (socket.socket,), {name: refuse}))
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse
from flylab.cli.main import main
for words in eval(sys.argv[1]):
    code = main(words)
    assert code == 0 or words == ["doctor"], (words, code)
if len(sys.argv) > 2:
    socket.create_connection(("example.org", 80))
"""


def offline(commands, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", OFFLINE, repr(commands), *more]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


@pytest.mark.long
def test_no_network_is_used(tmp_path):
    (tmp_path / "sweep.toml").write_text(
        "study = 'train'\npreset = 'smoke'\nn_seeds = 1\n[fixed]\nn_steps = 2\n[axes]\nlearning_rate = [0.1]\n"
    )
    tiny = ["--n-train", "50", "--n-valid", "10", "--n-test", "50"]
    done = offline(
        [
            ["list"], ["data", *tiny, "-o", "data.npz"], ["run", "train", "smoke", "--n-steps", "2", *tiny],
            ["claims"], ["report"], ["sweep", "sweep.toml", "--dry-run"], ["sweep", "sweep.toml"],
            ["store"], ["store", "verify"], ["slurm", "--jobs", "2", "sweep", "sweep.toml"],
            ["plot", "runs/sweeps/sweep", "--x", "step"], ["leaderboard"], ["doctor"],
        ],
        tmp_path,
    )  # fmt: skip
    assert "NETWORK" not in done.stderr
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_guard_against_the_network_can_fail(tmp_path):
    assert offline([], tmp_path, "call out").returncode == 99
