"""The command line: one clear line and exit code 2 for bad input, and the smoke preset from end to end."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import flylab
from flylab.cli.main import main

TINY = ["--preset", "smoke", "--n-steps", "20", "--n-train", "100"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A finished run of the main study."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["run", "architectures", *TINY, "--out", str(folder)]) == 0
    return folder


def test_the_run_folder_holds_everything(out):
    (folder,) = (out / "architectures").iterdir()
    assert folder.name.startswith("smoke-")
    names = {"members", "results.nc", "claims.json", "figure.png", "figure.svg", "report.html", "provenance.json"}
    assert {path.name for path in folder.iterdir()} == names
    page = (folder / "report.html").read_text()
    assert "flylab run architectures --preset smoke --n-steps 20 --n-train 100" in page
    assert 'src="data:image/png' in page
    assert "http" not in page.replace("http-equiv", "")  # self-contained


def test_again_returns_at_once(out, capsys):
    assert main(["run", "architectures", *TINY, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "nothing to train" in said
    assert "CNN, plain" in said
    assert "spatial-gap" in said


def test_claims_json(out, capsys):
    assert main(["claims", "--out", str(out), "--json"]) == 0
    claims = json.loads(capsys.readouterr().out)
    fields = "study preset run id statement source published unit region effect low high n_seeds verdict"
    assert set(f"{fields} verdict_adjusted seeds_needed note".split()) == set(claims[0])
    assert all(claim["verdict"] is None for claim in claims)  # smoke decides nothing
    assert len({claim["id"] for claim in claims}) == len(claims)
    by_id = {claim["id"]: claim for claim in claims}
    assert by_id["spatial-gap"]["n_seeds"] == 2
    assert by_id["discriminates"]["effect"] is None
    assert main(["claims", "--out", str(out)]) == 0


def test_report_is_rebuilt_from_results_alone(out):
    (folder,) = (out / "architectures").iterdir()
    before = {name: (folder / name).read_bytes() for name in ("claims.json", "figure.png", "figure.svg", "report.html")}
    for name in before:
        (folder / name).unlink()
    assert main(["report", "--out", str(out)]) == 0
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_fewer_seeds_renew_claims_and_report(out):
    """They train nothing, but what is shown must be of the results that stand there."""
    (folder,) = (out / "architectures").iterdir()

    def n_seeds():
        return {claim["n_seeds"] for claim in json.loads((folder / "claims.json").read_text()) if claim["n_seeds"]}

    assert main(["run", "architectures", *TINY, "--n-seeds", "1", "--out", str(out)]) == 0
    assert n_seeds() == {1}
    assert main(["run", "architectures", *TINY, "--out", str(out)]) == 0
    assert n_seeds() == {2}


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


def test_data_plot(tmp_path, capsys):
    picture = tmp_path / "data.png"
    assert main(["data", "--plot", str(picture), "--n-train", "200", "--iid-noise-scale", "0"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_list_and_help(capsys):
    assert main(["list"]) == 0
    assert "architectures" in capsys.readouterr().out
    assert main([]) == main(["--help"]) == main(["--version"]) == main(["run", "--help"]) == 0
    with pytest.raises(SystemExit) as exit_:
        main(["run", "architectures", "--help"])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert "--n-seeds" in said
    assert "--max-translation" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fly"], "there is no command 'fly'"),
        (["run", "archtectures"], "there is no study 'archtectures'; did you mean 'architectures'? There are"),
        (["run", "architectures", "--preset", "quik"], "no preset 'quik'; it has smoke, quick, paper"),
        (["run", "architectures", "--n-seeds", "0"], "n_seeds=0 is not allowed"),
        (["run", "architectures", "--n-steps", "-5"], "n_steps=-5 is not allowed"),
        (["run", "architectures", "--max-translation", "0"], "max_translation=0 is not allowed"),
        (["run", "architectures", "--learning-rate", "-1"], "learning_rate=-1.0 is not allowed"),
        (["run", "architectures", "--n-seeds", "many"], "n-seeds"),
        (["run", "architectures", "--out", "/proc/no"], "cannot write to /proc/no"),
        (["claims", "--out", "/nowhere"], "there are no runs in /nowhere"),
        (["report", "--out", "/nowhere"], "there are no runs in /nowhere"),
        (["data", "--plot", "picture"], "no ending"),
        (["data"], "nothing to do"),
        (["data", "-o", "a.xls"], "must be one of npz, parquet"),
        (["data", "-o", "/proc/no/a.npz"], "cannot write"),
        (["data", "--format", "xls", "-o", "a"], "invalid choice"),
        (["data", "--format", "npz", "-o", "/"], "is a folder"),
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


@pytest.mark.slow
def test_interrupted_it_stops_and_goes_on(tmp_path):
    words = ["run", "architectures", "--preset", "smoke", "--n-seeds", "6", "--n-steps", "6000", "--out", str(tmp_path)]
    hears = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"  # what & starts is deaf
    command = [sys.executable, "-c", f"{hears}; from flylab.cli import main; sys.exit(main())", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while len(list(tmp_path.rglob("shards/*.nc"))) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "goes on from there" in said
    assert "Traceback" not in said
    assert len(list(tmp_path.rglob("shards/*.nc"))) >= 3
