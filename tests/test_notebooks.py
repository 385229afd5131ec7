"""The notebooks run from top to bottom in marimo, as scripts, and exported for Jupyter, and show what they promise."""

import hashlib
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
from flylab.study import get_study, list_studies

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
STUDIES = sorted(name for name in list_studies() if get_study(name).claims)
OTHERS = ("building_mnist1d", "from_pytorch", "metalearning_the_data", "own_model", "own_study", "quickstart")
FAST = ("building_mnist1d", "quickstart")


def check_quickstart(variables: dict[str, Any]) -> None:
    assert set(variables["gap"]) == {"plain", "shuffled"}
    assert all(interval(values).n == 2 for values in variables["gap"].values())


def check_building(variables: dict[str, Any]) -> None:
    assert variables["largest_difference"] < 1e-12
    assert variables["same_labels"]
    assert variables["hardest"] == "translation"


def check_own_model(variables: dict[str, Any]) -> None:
    n_params = flylab.n_params(variables["model"])
    assert variables["evaluation"].row.n_params == n_params == 16 * 9 + 16 + 16 * 10 + 10


def check_own_study(variables: dict[str, Any]) -> None:
    assert [verdict.id for verdict in variables["verdicts"]] == ["small-better", "middle-equal"]
    assert all(verdict.n_seeds == 2 for verdict in variables["verdicts"])


def check_metalearning(variables: dict[str, Any]) -> None:
    path = variables["path"]
    np.testing.assert_allclose(path.isel(outer_step=0).mean("seed"), path.start, rtol=1e-6)
    assert (path.sel(start=0.6).isel(outer_step=-1) < 0.6).all()  # from too much noise, descent reduces it
    assert variables["gain"].size == 4


def check_from_pytorch(variables: dict[str, Any]) -> None:
    assert abs(variables["torch_accuracy"] - float(variables["cnn_accuracy"][0])) < 0.11
    assert variables["cnn_seconds"] > 0


CHECKS = dict(
    zip(
        OTHERS,
        (check_building, check_from_pytorch, check_metalearning, check_own_model, check_own_study, check_quickstart),
        strict=True,
    )
)


def check_study(name: str, variables: dict[str, Any]) -> None:
    results = variables["results"]
    assert (results.attrs["study"], results.attrs["preset"]) == (name, "smoke")
    assert any(verdict.effect is not None for verdict in flylab.verdicts(results))


def test_every_study_has_a_notebook():
    assert export.names() == sorted([*STUDIES, *OTHERS])


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in FAST else pytest.mark.long) for n in export.names()])
def test_notebook(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYLAB_PRESET", "smoke")
    outputs, variables = imported(name).app.run()  # raises what a cell raises
    shown = [output for output in outputs if isinstance(output, Shown)]
    assert name == "from_pytorch" or any("<img" in output.html for output in shown)
    assert any("<table" in output.html for output in shown)
    check_study(name, dict(variables)) if name in STUDIES else CHECKS[name](dict(variables))


@pytest.mark.long
def test_as_a_script(tmp_path):
    environment = {**os.environ, "FLYLAB_PRESET": "smoke"}
    command = [sys.executable, "-W", "error", NOTEBOOKS / "quickstart.py"]
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert re.search(r"CNN − MLP, shuffled: -?\d+\.\d ± \d+\.\d points", process.stdout)
    assert (tmp_path / "runs" / "train").is_dir()


@pytest.mark.slow
def test_marimo_check_passes():
    paths = [NOTEBOOKS / f"{name}.py" for name in export.names()]
    command = [sys.executable, "-m", "marimo", "check", "--strict", *paths]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.parametrize("name", export.names())
def test_the_notebook_with_outputs_is_current(name):
    notebook = json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text())
    digest = hashlib.sha256((NOTEBOOKS / f"{name}.py").read_bytes()).hexdigest()[:16]
    assert notebook["metadata"]["flylab"] == digest, f"renew it: python docs/make_notebooks.py {name}"
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert name in ("from_pytorch", "own_study") or "data:image/png" in json.dumps(outputs)
    (installs,) = (text for cell in notebook["cells"] if "%pip" in (text := "".join(cell["source"])))
    now = export.installation((NOTEBOOKS / f"{name}.py").read_text())
    assert installs == now, "renew them: python docs/make_notebooks.py --installation"


@pytest.mark.slow
def test_exported_cells_are_those_of_the_notebook_with_outputs():
    written = json.loads((ROOT / "docs" / "notebooks" / "quickstart.ipynb").read_text())["cells"]
    exported = json.loads(export.exported("quickstart"))["cells"]
    assert [cell["source"] for cell in written] == [cell["source"] for cell in exported]
    (installs,) = (cell["source"] for cell in exported if "%pip" in "".join(cell["source"]))
    # the name is not ours on PyPI yet
    assert re.search(r'^    %pip install -q "flylab\[.*\] @ git\+https\S+"$', "".join(installs), re.M)


@pytest.mark.long
@pytest.mark.parametrize("name", ["quickstart", "from_pytorch"])
def test_export_runs_without_marimo_s_runtime(name, tmp_path, monkeypatch, capsys):
    """Run cell by cell in one namespace, as in Jupyter; the cell that installs packages is not run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLYLAB_PRESET", "smoke")
    cells = json.loads(export.exported(name))["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert "%pip install -q" in sources[0]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for source in sources[1:]:
        exec(compile(source, name, "exec"), namespace)
    CHECKS[name](namespace)
    assert "guess: " in capsys.readouterr().out


def test_suggested_experiments_name_existing_studies_and_fields():
    """The study and the fields of every `flylab.run("study", …, field=…)` exist, in code and in text."""
    n_fields = 0
    for name in export.names():
        text = (NOTEBOOKS / f"{name}.py").read_text()
        for study, arguments in re.findall(r'flylab\.run\("(\w+)"([^`\n]*?)\)[`.\n]', text):
            fields = set(re.findall(r"(\w+)=", arguments)) - {"permutation"}
            known = flat_fields(get_study(study).presets["smoke"])
            assert fields <= {"data", *known}, f"{name}: {study} has no {fields - set(known)}"
            n_fields += len(fields)
    assert n_fields > 10


def test_readme_links_to_every_notebook():
    text = (NOTEBOOKS / "README.md").read_text()
    assert set(re.findall(r"\]\((\w+)\.py\)", text)) == {*export.names()}
