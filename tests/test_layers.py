"""Folders are the layers: a folder's modules import only from itself and from the folders before it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "flylab"
LAYERS = (
    "artifacts", "base", "data", "models", "training", "analysis", "adapters", "results", "study", "runs", "studies",
    "reporting", "evaluation", "compat", "app", "cli",
)  # fmt: skip
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The modules of flylab that a file imports."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {module} if module != "flylab" else {f"flylab.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("flylab.") for name in found if name.startswith("flylab.")}


def folders(path: Path) -> set[str]:
    """The folders, or modules beside them, that a file imports from."""
    return {name.partition(".")[0] for name in imported(path)}


def test_the_folders_are_the_layers():
    assert {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(LAYERS)


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in MODULES if len(path.parts) > 1], ids=str)
def test_imports_go_down_only(path):
    folder = path.parts[0]
    for other in folders(path) - {folder}:
        assert other in LAYERS, f"{path} imports flylab.{other}, which stands above all folders"
        assert LAYERS.index(other) < LAYERS.index(folder), f"{path} imports flylab.{other}, a layer above"


def test_studies_do_not_import_each_other():
    for path in MODULES:
        if path.parts[0] == "studies":
            own = path.with_suffix("").parts[1]
            studies = {name.split(".")[1] for name in imported(path) if name.startswith("studies.")}
            assert studies <= {own}, path


@pytest.mark.parametrize(
    "module", ["flylab", "flylab.data", "flylab.reporting", "flylab.compat.mnist1d", "flylab.cli.main"]
)
def test_light_imports(module):
    """Data and help need neither JAX nor matplotlib."""
    heavy = ("jax", "matplotlib", "xarray", "torch", "sklearn", "pooch", "requests", "jinja2")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_public_names_exist_and_shadow_no_folder():
    import flylab

    for name in flylab.__all__:
        assert getattr(flylab, name) is not None
        assert name not in LAYERS
