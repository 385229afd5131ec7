"""The command line: one clear line and exit code 2 for bad input, and the smoke preset from end to end."""

import dataclasses
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from typing import Annotated, Literal

import numpy as np
import pytest
from cyclopts import App, Parameter

import flylab
from flylab.base.config import to_json
from flylab.cli.main import main
from flylab.cli.options import with_options
from flylab.cli.terminal import console, print_table
from flylab.reporting import page, repeat_command
from flylab.results.tables import Table
from flylab.runs.database import read_other
from flylab.runs.store import _SCHEMA
from flylab.study import get_study, protocol_of

TINY = ["smoke", "--n-steps", "20", "--n-train", "100"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A finished run of the main study."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["run", "architectures", *TINY, "--out", str(folder)]) == 0
    return folder


def test_the_run_folder_holds_everything(out):
    (folder,) = (out / "architectures").iterdir()
    assert folder.name.startswith("smoke-")
    names = {"results.nc", "claims.json", "figure.png", "figure.svg", "report.html", "provenance.json"}
    assert {path.name for path in folder.iterdir()} == names
    page = (folder / "report.html").read_text()
    assert "flylab run architectures smoke --n-steps 20 --n-train 100" in page
    assert 'src="data:image/png' in page
    assert "http" not in page.replace("http-equiv", "")  # self-contained


@pytest.mark.slow
def test_again_returns_at_once(out, capsys):
    assert main(["run", "architectures", *TINY, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "nothing to train" in said
    assert "CNN, plain" in said
    assert "spatial-gap" in said


def test_claims_json(out, capsys):
    assert main(["claims", str(out), "--json"]) == 0
    claims = json.loads(capsys.readouterr().out)
    fields = "study preset run id statement source published unit region effect low high n_seeds verdict"
    more = "verdict_adjusted seeds_needed note results kind changed reduced is_sanity_check interval looks "
    more += "low_elsewhere high_elsewhere on"
    assert set(f"{fields} {more}".split()) == set(claims[0])
    assert all(claim["verdict"] is None for claim in claims)  # smoke decides nothing
    assert len({claim["id"] for claim in claims}) == len(claims)
    by_id = {claim["id"]: claim for claim in claims}
    assert by_id["spatial-gap"]["n_seeds"] == 2
    assert by_id["discriminates"]["effect"] is None
    assert main(["claims", str(out)]) == 0


@pytest.mark.slow
def test_report_is_rebuilt_from_results_alone(out):
    (folder,) = (out / "architectures").iterdir()
    before = {name: (folder / name).read_bytes() for name in ("claims.json", "figure.png", "figure.svg", "report.html")}
    for name in before:
        (folder / name).unlink()
    assert main(["report", str(out)]) == 0
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "name", "start"),
    [
        ([], "figure-paper.pdf", b"%PDF"),
        (["--format", "svg", "--width", "column"], "figure-paper.svg", b"<?xml"),
        (["--format", "png", "--style", "slide", "--dark", "--width", "5.5"], "figure-slide-dark.png", b"\x89PNG"),
    ],
)
def test_figures(words, name, start, out, capsys):
    (folder,) = (out / "architectures").iterdir()
    before = (folder / "figure.png").read_bytes()
    assert main(["figures", "--out", str(out), *words]) == 0
    assert capsys.readouterr().out.strip() == str(folder / name)
    assert (folder / name).read_bytes().startswith(start)
    assert (folder / "figure.png").read_bytes() == before
    (folder / name).unlink()


def test_figures_of_a_width_that_is_none(out, capsys):
    assert main(["figures", str(out), "--width", "wide"]) == 2
    assert "width='wide' must be full, column, or 2 to 40 inches" in capsys.readouterr().err


@pytest.mark.slow
def test_fewer_seeds_renew_claims_and_report(out):
    """They train nothing, but what is shown must be of the results that stand there."""
    (folder,) = (out / "architectures").iterdir()

    def n_seeds():
        return {claim["n_seeds"] for claim in json.loads((folder / "claims.json").read_text()) if claim["n_seeds"]}

    assert main(["run", "architectures", *TINY, "--n-seeds", "1", "--out", str(out)]) == 0
    assert n_seeds() == {1}
    assert main(["run", "architectures", *TINY, "--out", str(out)]) == 0
    assert n_seeds() == {2}


@pytest.mark.slow
def test_from_python(out):
    found = flylab.run("architectures", preset="smoke", out=out, n_steps=20, data=flylab.MNIST1D(
        n_train=100, n_valid=100, n_test=100))  # fmt: skip
    (folder,) = (out / "architectures").iterdir()
    loaded = flylab.load(folder)
    assert loaded.identical(found)
    assert loaded.identical(flylab.load(folder / "results.nc"))
    assert {"cnn.paper", "shuffle-order"} <= {verdict.id for verdict in flylab.verdicts(loaded)}
    cnn = loaded.test_accuracy.sel(dataset="mnist1d", model="cnn", arrangement="plain", source="published")
    assert cnn.sizes == {"seed": 2, "step": 2}


@pytest.mark.parametrize("kind", ["npz", "parquet", "csv", "safetensors"])
def test_data_file(kind, tmp_path, capsys):
    from flylab.data import MNIST1D, load, published

    words = ["data", "--n-train", "200", "--iid-noise-scale", "0", "--classes", "3", "5", "--format", kind, "-o"]
    assert main([*words, str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "data")
    splits, config = load(tmp_path / "data"), MNIST1D(n_train=200, iid_noise_scale=0, classes=(3, 5))
    assert splits.config == config
    np.testing.assert_array_equal(splits.train.x, published(config).train.x)


@pytest.mark.slow
def test_data_plot(tmp_path, capsys):
    picture = tmp_path / "data.png"
    assert main(["data", "--plot", str(picture), "--n-train", "200", "--iid-noise-scale", "0"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["claims", "figures", "report"])
def test_a_foreign_run_does_not_stop_the_others(command, out, tmp_path, capsys):
    runs = tmp_path / "runs"
    shutil.copytree(out, runs)
    for name in (".", "aaa", "aaa/\x1b[31m", "zzz/deep"):
        (runs / name).mkdir(parents=True, exist_ok=True)
        (runs / name / "results.nc").write_bytes(b"CDF not flylab's")
    assert main([command, str(runs)]) == 0
    said = capsys.readouterr()
    assert "smoke-" in said.out
    assert said.err.count("left out") == said.err.count("results.nc cannot be read") == 4
    assert r"\x1b[31m/results.nc" in said.err
    assert "\x1b" not in said.out + said.err
    assert main([command, str(runs / "zzz")]) == 2  # there is nothing else
    assert capsys.readouterr().err.startswith("flylab: ")


@pytest.mark.slow
def test_claims_and_report_of_one_run(out, capsys):
    """A run's folder, its results.nc, or a study's folder, is as good as the folder of all runs."""
    (folder,) = (out / "architectures").iterdir()
    (folder / "report.html").unlink()
    for path in (folder, folder / "results.nc", folder.parent, out):
        assert main(["claims", str(path)]) == 0
        said = capsys.readouterr().out
        assert "spatial-gap: " in said
        assert "published" in said
        if path in (folder / "results.nc", folder.parent):
            assert main(["report", str(path)]) == 0
            assert capsys.readouterr().out.strip() == str(folder / "report.html")


@pytest.mark.parametrize("columns", [80, 120])
def test_claims_fit_the_terminal(columns, out, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["claims", str(out)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines()[1:])) <= columns


def test_narrow_tables_lose_no_letter(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    print_table(console(), Table("Names", ("model", *"abcdefgh"), [("attention-without-positions", *["1234567"] * 8)]))
    said = capsys.readouterr().out
    assert "…" not in said
    assert said.count("7") == 8


def test_list(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "double-descent" in said
    assert "double_descent" not in said
    assert main(["list", "--json"]) == 0
    studies = {study["study"]: study for study in json.loads(capsys.readouterr().out)}
    assert studies["double-descent"]["presets"]["smoke"] == {"n_seeds": 2, "n_members": 104, "minutes": 0.5}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "leaderboard"),
        (["--help"], "slurm"),
        (["help"], "Studies"),
        (["help", "run"], "double-descent"),
        (["run", "--help"], "flylab list"),
        (["run", "double_descent", "--help"], "threshold"),
        (["run", "architectures", "--help"], "--max-translation"),
        (["run", "lottery", "--help"], "--criterion"),
        (["new", "study", "--help"], "NAME.py"),
        (["run", "architectures", "paper", "--help"], "[default: 30]"),
        (["help", "run", "architectures", "quick"], "[default: 8]"),
        (["evaluate", "--help"], "[default: 2 (smoke), 4 (quick), 10 (paper)]"),
        (["data", "--help"], "--n-train"),
        (["--version"], f"flylab {flylab.__version__}"),
        (["version"], f"flylab {flylab.__version__}"),
    ],
)
def test_help(words, says, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(words) == 0
    assert says in capsys.readouterr().out


def test_help_of_a_study_does_not_repeat_that_of_run(capsys):
    for words in (["run", "train", "--help"], ["run", "train", "quick", "--help"]):
        assert main(words) == 0
        assert "flylab list" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", *(pytest.param(name, marks=pytest.mark.long) for name in ("zsh", "fish"))])
def test_completion(shell, tmp_path, capsys):
    assert main(["--install-completion", "--shell", shell, "--output", str(tmp_path / "script")]) == 0
    script = (tmp_path / "script").read_text()
    assert {word for word in ("double-descent", "threshold", "leaderboard", "n-seeds") if word not in script} == set()
    assert "double_descent" not in script.replace("_double_descent", "")


def test_options_of_fields():
    """Constraints in annotations, values of a preset and inherited help reach the command line."""

    @dataclasses.dataclass(frozen=True)
    class Inner:
        """Inner options.

        Attributes:
            size: Its size.
        """

        size: Annotated[int, object()] = 1
        limit: int | None = None

    @dataclasses.dataclass(frozen=True)
    class Outer:
        sizes: tuple[Annotated[int, {"ge": 1}], ...] = (1,)
        """Some sizes."""
        is_odd: bool = True
        kind: Literal["a", "b"] = "a"
        inner: Inner = Inner()

    def command(**changes):
        return changes

    app = App(result_action="return_value", default_parameter=Parameter(consume_multiple=True))
    app.default(with_options(command, {"big": Outer(sizes=(7, 8), inner=Inner(size=9, limit=2))}))

    assert app([]) == {}
    words = "--sizes 3 4 --no-is-odd --kind b --size 5 --limit None"
    assert app(words) == {"sizes": (3, 4), "is_odd": False, "kind": "b", "size": 5, "limit": None}
    helps = [
        (name, argument.parameter.help) for argument in app.assemble_argument_collection() for name in argument.names
    ]
    assert {("--sizes", "Some sizes."), ("--size", "Its size.")} <= set(helps)
    for words, changes in (
        ("--sizes 2 2.5", {"sizes": (2, 2.5)}),
        ("--size x", {"size": "x"}),
        ("--kind c", {"kind": "c"}),
    ):
        assert app(words) == changes  # for the configuration to refuse, in its own words


def test_every_repeat_command_is_a_command_line(monkeypatch):
    """The command in a report makes the protocol that the results name."""
    ran = []
    monkeypatch.setattr(page, "run", lambda plan, *_, **__: ran.append(next(plan.protocols())[1]) or 1 / 0)
    changes = {"n_seeds": 3, "fresh_data": True, "dataset": ("digits", "mnist1d"), "data_dir": "a b",
               "data": flylab.MNIST1D(padding=(3, 4), classes=(0, 1), label_noise_repeats=False)}  # fmt: skip
    protocol = protocol_of(get_study("architectures"), "paper", **changes)
    attrs = {"study": "architectures", "preset": "paper", "protocol": to_json(protocol)}
    with pytest.raises(ZeroDivisionError):
        main(shlex.split(repeat_command(attrs))[1:])
    assert ran == [protocol]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fly"], "there is no command 'fly'; there are list, run"),
        (["rnu"], "there is no command 'rnu'; did you mean 'run'? There are list"),
        (["help", "rnu"], "did you mean 'run'?"),
        (["run", "archtectures"], "there is no study 'archtectures'; did you mean 'architectures'?"),
        (["run", "lotery", "quick"], "there is no study 'lotery'; did you mean 'lottery'?"),
        (
            ["run", "architectures", "quik"],
            "there is no preset 'quik'; did you mean 'quick'? There are smoke, quick, images, paper",
        ),
        (["run", "architectures", "quick", "paper"], "unexpected word 'paper'"),
        (["run", "architectures", "--n-sead", "3"], "--n-sead. Did you mean --n-seeds?"),
        (["run", "train", "--model", "mpl"], "model='mpl' must be one of logistic, mlp, cnn"),
        (["run", "train", "--n-steps", "2.5"], "n_steps=2.5 must be an integer ≥ 1"),
        (["run", "train", "--n-steps"], "--n-steps needs a value"),
        (["plot", "runs"], "--x needs a value"),
        (["data", "--padding", "3"], "--padding needs 2 values"),
        (["list", "--jsn"], "Did you mean --json?"),
        (["run", "architectures", "--n-seeds", "0"], "n_seeds=0 must be an integer ≥ 1"),
        (["run", "architectures", "--n-steps", "-5"], "n_steps=-5 must be an integer ≥ 1"),
        (["run", "architectures", "--max-translation", "0"], "max_translation=0 must be an integer ≥ 1"),
        (["run", "architectures", "--learning-rate", "-1"], "learning_rate=-1.0 must be a number > 0"),
        (["run", "architectures", "--n-seeds", "many"], "n_seeds='many' must be an integer ≥ 1"),
        (["run", "architectures", "--out", "/proc/no"], "cannot write to /proc/no"),
        (["claims", "/nowhere"], "there are no runs in /nowhere; run one: flylab run"),
        (["report", "/nowhere"], "there are no runs in /nowhere"),
        (["figures", "--out", "/nowhere"], "there are no runs in /nowhere"),
        (["figures", "--format", "gif"], "Choose from"),
        (["figures", "--style", "poster"], "Choose from"),
        (["data", "--plot", "picture"], "no ending"),
        (["data"], "nothing to do"),
        (["data", "-o", "a.xls"], "must be one of npz, parquet"),
        (["data", "-o", "/proc/no/a.npz"], "cannot write"),
        (["data", "--format", "xls", "-o", "a"], "Choose from"),
        (["data", "--format", "npz", "-o", "/"], "is a folder"),
        (["data", "--format", "npz", "-o", "/dev/null"], "cannot write /dev/null: it is a device"),
        (["slurm", "run", "train", "--output", "/dev/null"], "cannot write /dev/null: it is a device"),
        (["data", "--plot", "a.png", "-o", "a.xls"], "must be one of"),
        (["data", "--n-train", "4001"], "multiple of the 10 classes"),
    ],
)
def test_bad_input(words, says, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert says in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("time", ["abc", "", "1e9", "9" * 20])
def test_a_time_that_is_none_is_named(time, monkeypatch, capsys):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", time)
    assert main(["report"]) == 2
    assert f"SOURCE_DATE_EPOCH={time} must be seconds since 1970" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["store"], ["store", "verify"], ["run", "train", "smoke"]])
def test_a_pipe_as_the_store_is_refused(words, tmp_path, capsys):
    os.mkfifo(tmp_path / "flylab.sqlite")
    assert main([*words, "--out", str(tmp_path)]) == 2
    assert "flylab.sqlite: it is a pipe" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tilde_that_the_shell_leaves_is_the_home(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert main(["data", "--output=~/a.csv", "--plot=~/b.svg", "--n-train", "10"]) == 0
    assert main(["slurm", "run", "train", "--output=~/c.sbatch"]) == 0
    assert main(["claims", "~/runs"]) == 2
    assert f"there are no runs in {tmp_path}/home/runs" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"a.csv", "b.svg", "c.sbatch"}
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.long
def test_interrupted_it_stops_and_goes_on(tmp_path):
    words = ["run", "architectures", "smoke", "--n-seeds", "6", "--n-steps", "6000", "--out", str(tmp_path)]
    hears = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"  # what & starts is deaf
    command = [sys.executable, "-c", f"{hears}; from flylab.cli.main import main; sys.exit(main())", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while n_stored(tmp_path) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "the same command resumes" in said
    assert "Traceback" not in said
    assert n_stored(tmp_path) >= 3


def n_stored(out):
    path = out / "flylab.sqlite"
    return len(read_other(path, _SCHEMA, "SELECT name FROM member")) if path.exists() else 0
