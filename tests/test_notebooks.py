"""The notebooks run, from top to bottom, in marimo, as scripts and exported for Jupyter, and show what they promise."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import flylab
from flylab.base.config import flat_fields
from flylab.reporting.notebook import Shown
from flylab.results.statistics import interval
from flylab.study.registry import get_study

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"


def imported(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"notebook_{name}", NOTEBOOKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # marimo looks classes up there
    spec.loader.exec_module(module)
    return module


export = imported("export")
OURS = sorted({path.stem for path in (ROOT / "src/flylab/studies").glob("[!_]*.py")} - {"train"})  # quickstart's
OTHERS = ("building_mnist1d", "from_pytorch", "metalearning_the_data", "own_model", "own_study", "quickstart")
FAST = ("building_mnist1d", "quickstart")


def check_quickstart(found: dict[str, Any]) -> None:
    assert set(found["gap"]) == {"plain", "shuffled"}
    assert all(interval(values).n == 2 for values in found["gap"].values())


def check_building(found: dict[str, Any]) -> None:
    assert found["largest_difference"] < 1e-12
    assert found["same_labels"]
    assert found["hardest"] == "shift"


def check_own_model(found: dict[str, Any]) -> None:
    assert found["found"].row.n_params == flylab.n_params(found["model"]) == 16 * 9 + 16 + 16 * 10 + 10


def check_own_study(found: dict[str, Any]) -> None:
    assert [one.id for one in found["verdicts"]] == ["small-better", "middle-equal"]
    assert all(one.n_seeds == 2 for one in found["verdicts"])


def check_metalearning(found: dict[str, Any]) -> None:
    path = found["path"]
    np.testing.assert_allclose(path.isel(outer_step=0).mean("seed"), path.start, rtol=1e-6)
    assert (path.sel(start=0.6).isel(outer_step=-1) < 0.6).all()  # too much noise: it goes down
    assert found["gain"].size == 4


def check_from_pytorch(found: dict[str, Any]) -> None:
    assert abs(found["carried"] - float(found["ours"][0])) < 0.11
    assert found["seconds_zoo"] > 0


CHECKS = dict(
    zip(
        OTHERS,
        (check_building, check_from_pytorch, check_metalearning, check_own_model, check_own_study, check_quickstart),
        strict=True,
    )
)


def check_study(name: str, found: dict[str, Any]) -> None:
    results = found["results"]
    assert (results.attrs["study"], results.attrs["preset"]) == (name, "smoke")
    assert any(one.effect is not None for one in flylab.verdicts(results))


def test_there_is_one_for_every_study():
    assert export.names() == sorted([*OURS, *OTHERS])


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in export.names()])
def test_notebook(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYLAB_PRESET", "smoke")
    outputs, found = imported(name).app.run()  # raises what a cell raises
    pictures = [one for one in outputs if isinstance(one, Shown) and one.html.startswith("<img")]
    tables = [one for one in outputs if isinstance(one, Shown) and "<table" in one.html]
    assert len(pictures) >= (0 if name == "from_pytorch" else 1)
    assert tables
    check_study(name, dict(found)) if name in OURS else CHECKS[name](dict(found))


@pytest.mark.slow
def test_as_a_script(tmp_path):
    environment = {**os.environ, "FLYLAB_PRESET": "smoke"}
    command = [sys.executable, "-W", "error", NOTEBOOKS / "quickstart.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"CNN − MLP, shuffled: -?\d+\.\d ± \d+\.\d points", done.stdout)
    assert (tmp_path / "runs" / "train").is_dir()


def test_marimo_finds_nothing_to_mend():
    paths = [NOTEBOOKS / f"{name}.py" for name in export.names()]
    done = subprocess.run([sys.executable, "-m", "marimo", "check", "--strict", *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_committed_export_is_current():
    renew = "python notebooks/export.py notebooks quickstart"
    assert (NOTEBOOKS / "quickstart.ipynb").read_text() == export.exported("quickstart"), f"renew it: {renew}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "from_pytorch"])
def test_export_runs_without_marimo_s_runtime(name, tmp_path, monkeypatch, capsys):
    """Cell by cell in one namespace, as in Jupyter; the cell that installs is only read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYLAB_PRESET", "smoke")
    cells = json.loads(export.exported(name))["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert "%pip install -q" in sources[0]
    assert "git" not in sources[0]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for source in sources[1:]:
        exec(compile(source, name, "exec"), namespace)
    CHECKS[name](namespace)
    assert "guess: " in capsys.readouterr().out


def test_experiments_to_try_name_what_there_is():
    """`flylab.run("study", …, field=…)`, in code and in text: the study and its fields exist."""
    n_fields = 0
    for name in export.names():
        text = (NOTEBOOKS / f"{name}.py").read_text()
        for study, arguments in re.findall(r'flylab\.run\("(\w+)"([^`\n]*?)\)[`.\n]', text):
            fields = set(re.findall(r"(\w+)=", arguments)) - {"permutation"}
            known = flat_fields(get_study(study).presets["smoke"])
            assert fields <= {"data", *known}, f"{name}: {study} has no {fields - set(known)}"
            n_fields += len(fields)
    assert n_fields > 10


def test_links_to_notebooks_lead_somewhere():
    text = (NOTEBOOKS / "README.md").read_text()
    assert set(re.findall(r"\]\((\w+)\.py\)", text)) == {*export.names()}
