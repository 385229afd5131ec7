"""Export the notebooks for Jupyter and Colab: `python notebooks/export.py [FOLDER] [NAME …]`.

An exported notebook installs flylab from PyPI if it is not there, and clones nothing. Sliders and dropdowns have no
effect in Jupyter: they keep the value in the code, and a line says where to change it. The files are deterministic: no
outputs, no versions, and cells are numbered.
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
_HIDDEN = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # Jupyter's way, and Colab's


def names() -> list[str]:
    """All notebooks."""
    return sorted({path.stem for path in HERE.glob("*.py")} - {Path(__file__).stem})


def exported(name: str) -> str:
    """The notebook as the text of an .ipynb file."""
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
    cells = [title, _code(_installation(path.read_text())), *setup, *others]
    made = [_clean(cell, f"cell-{i}") for i, cell in enumerate(cells) if _is_for_jupyter(cell)]
    notebook = {
        "cells": made,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _installation(text: str) -> str:
    extras = ["notebooks", *(["torch", "data"] if re.search(r"^\s*import torch$", text, re.M) else [])]
    needed = ("flylab", "marimo", *(["torch"] if "torch" in extras else []))
    return (
        "import importlib.util\n\n"
        f"if not all(map(importlib.util.find_spec, {needed})):  # in Colab, say\n"
        f'    %pip install -q "flylab[{",".join(extras)}]"'
    )


def _code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}}


def _is_for_jupyter(cell: dict[str, Any]) -> bool:
    return 'mo.app_meta().mode == "script"' not in "".join(cell["source"])


def _clean(cell: dict[str, Any], id_: str) -> dict[str, Any]:
    source = "".join(cell["source"])
    is_hidden = "source_hidden" in cell["metadata"].get("jupyter", {})
    found = {"cell_type": cell["cell_type"], "id": id_, "metadata": _HIDDEN if is_hidden else {}}
    if cell["cell_type"] == "code":
        source = (
            re.sub(r"(?<=\n)(\w+)(\.vstack\(\))?$", _said, source)
            if re.search(r"^\w+ = mo\.ui\.", source, re.M)
            else source
        )
        found |= {"execution_count": None, "outputs": []}
    return found | {"source": source.splitlines(keepends=True)}


def _said(widget: re.Match) -> str:
    """In place of a widget, its value."""
    name = widget[1]
    return f'print("{name}:", {name}.value, "(to change it, edit the lines above, then run from here on)")'


def main() -> None:
    """Write the notebooks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("ipynb"), help="where to write them")
    parser.add_argument("names", nargs="*", help="which; by default all")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name in asked.names or names():
        path = asked.folder / f"{name}.ipynb"
        path.write_text(exported(name))
        print(path)


if __name__ == "__main__":
    main()
