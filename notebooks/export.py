"""Export the notebooks for Jupyter and Colab: `python notebooks/export.py [FOLDER] [NAME …]`.

An exported notebook installs flylab, if it is missing, from the repository: while flylab is not on PyPI, its name there
may become anybody's. Sliders and dropdowns do not work in Jupyter. They keep the value in the code, and a printed line
says where to change it. The files are deterministic: they have no outputs and no versions, and cells are numbered.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# "" once flylab is on PyPI; then run `python docs/make_notebooks.py --installation`
SOURCE = " @ git+https://github.com/flylab/flylab"
_HIDDEN = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # Jupyter's way, and Colab's


def names() -> list[str]:
    """Return the names of all notebooks."""
    return sorted({path.stem for path in HERE.glob("*.py")} - {Path(__file__).stem})


def exported(name: str) -> str:
    """Return a notebook as the text of an .ipynb file."""
    path = HERE / f"{name}.py"
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.ipynb"
        command = [
            sys.executable,
            "-m",
            "marimo",
            "export",
            "ipynb",
            str(path),
            "--sort",
            "topological",
            "-o",
            str(raw),
        ]
        subprocess.run(command, check=True, capture_output=True, text=True)
        cells = json.loads(raw.read_text())["cells"]
    setup = [cell for cell in cells if cell["id"] == "setup"]
    title, *others = (cell for cell in cells if cell["id"] != "setup")
    cells = [title, _code(installation(path.read_text())), *setup, *others]
    notebook = {
        "cells": [_clean(cell, f"cell-{i}") for i, cell in enumerate(cells) if _is_for_jupyter(cell)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def installation(text: str) -> str:
    extras = ["notebooks", *(["torch", "data"] if re.search(r"^\s*import torch$", text, re.M) else [])]
    packages = ("flylab", "marimo", *(["torch"] if "torch" in extras else []))
    return (
        "import importlib.util\n\n"
        f"if not all(map(importlib.util.find_spec, {packages})):  # for example in Colab\n"
        f'    %pip install -q "flylab[{",".join(extras)}]{SOURCE}"'
    )


def _code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}}


def _is_for_jupyter(cell: dict[str, Any]) -> bool:
    return 'mo.app_meta().mode == "script"' not in "".join(cell["source"])


def _clean(cell: dict[str, Any], id_: str) -> dict[str, Any]:
    source = "".join(cell["source"])
    is_hidden = "source_hidden" in cell["metadata"].get("jupyter", {})
    cleaned = {"cell_type": cell["cell_type"], "id": id_, "metadata": _HIDDEN if is_hidden else {}}
    if cell["cell_type"] == "code":
        if re.search(r"^\w+ = mo\.ui\.", source, re.M):
            source = re.sub(r"(?<=\n)(\w+)(\.vstack\(\))?$", _print_value, source)
        cleaned |= {"execution_count": None, "outputs": []}
    return cleaned | {"source": source.splitlines(keepends=True)}


def _print_value(widget: re.Match) -> str:
    """Return the line that prints a widget's value in its place."""
    name = widget[1]
    return f'print("{name}:", {name}.value, "(to change it, edit the lines above, then run from here on)")'


def main() -> None:
    """Export the notebooks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("ipynb"), help="folder to write to")
    parser.add_argument("names", nargs="*", help="notebooks to export; all if left out")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or names():
        path = options.folder / f"{name}.ipynb"
        path.write_text(exported(name))
        print(path)


if __name__ == "__main__":
    main()
