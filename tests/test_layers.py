"""The arrow of imports: a module imports only what stands before it in the house plan."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "flylab"
ORDER = (
    # 0 words
    "types", "keys", "config", "designs", "labels", "stats", "files", "extras", "runtime",
    # 1 ingredients
    "data.templates", "data.mnist1d", "data.transforms", "data.splits", "data.published", "data.arrangements",
    "data.generator", "data.views", "data.formats", "data.downloads", "data.imagefiles", "data.images", "data",
    "models.layers", "models.conv", "models.gru", "models.model", "models.flops", "models.padding", "models.zoo",
    "models.priors", "models.masks", "models",
    "activations", "objectives",
    # 2 engine
    "loop", "training", "members", "learners", "meta",
    # 3 record
    "assembly", "provenance", "store", "tickets", "ledger", "plot", "study",
    # 4 studies
    "studies",
    # 5 surfaces
    "adapters.core", "adapters",
    "compat.pickles", "compat.mnist1d.transform", "compat.mnist1d.utils", "compat.mnist1d.cache", "compat.mnist1d.data",
    "compat.mnist1d", "compat",
    "reporting", "show", "contestants", "evaluation", "sweeps", "sweeping", "api", "doctor", "clusters", "slurm",
    "charts", "app.look", "app.svg", "app.settings", "app.training", "app.quiz", "app.keys", "app.drawing",
    "app.downloads", "app.board", "app.explorer", "app.server", "app.pages", "app",
    "terminal", "cli_sweeps", "cli", "__main__",
)  # fmt: skip
MODULES = sorted(path.relative_to(ROOT).with_suffix("") for path in ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.parts).removesuffix(".__init__").replace("__init__", "")


def rank(name: str) -> int:
    """A module's place in the order; a package's modules that are not named share the package's place."""
    while name not in ORDER:
        name = name.rpartition(".")[0]
        assert name, "every module has a place in the order"
    return ORDER.index(name)


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).with_suffix(".py").read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "flylab":
            inner = (node.module or "").removeprefix("flylab").lstrip(".")
            for alias in node.names:
                whole = f"{inner}.{alias.name}".lstrip(".")
                is_module = (ROOT / Path(*whole.split("."))).with_suffix(".py").exists() or (
                    ROOT / whole.replace(".", "/")
                ).is_dir()
                found.add(whole if is_module else inner)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("flylab.") for alias in node.names if alias.name.startswith("flylab.")}
    return found - {""}


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p)], ids=name_of)
def test_imports_go_down_only(path):
    own = name_of(path)
    for other in imported(path):
        if own.startswith("studies.") and other == "studies":
            continue
        assert rank(other) < rank(own), f"{own} imports {other}, which stands after it"


def test_studies_do_not_import_each_other():
    for path in MODULES:
        if path.parts[0] == "studies" and path.name != "__init__":
            assert not any(other.startswith("studies") for other in imported(path))


@pytest.mark.parametrize("module", ["flylab", "flylab.data"])
def test_light_imports(module):
    """Whoever only wants the data waits for neither JAX nor matplotlib."""
    heavy = ("jax", "matplotlib", "xarray", "torch", "sklearn", "pooch", "requests")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_public_names_exist_and_shadow_no_module():
    import flylab

    modules = {path.parts[0] for path in MODULES}
    for name in flylab.__all__:
        assert getattr(flylab, name) is not None
        assert name not in modules
