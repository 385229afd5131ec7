"""Write the notebooks with their outputs, for Jupyter, Colab and GitHub: `python docs/make_notebooks.py [NAME …]`.

With `--installation`, they keep their outputs and get only the cell that installs flylab anew (`SOURCE` in
`notebooks/export.py`).

The files in `docs/notebooks` are those of `notebooks/export.py`, run from top to bottom. The preset is `quick`; what
`docs/results` has of a study is loaded and not trained again, so that all of it takes minutes. Run it after a change
of a notebook; `tests/test_notebooks.py` tells which ones have changed.
"""

import base64
import hashlib
import importlib.util
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

import flylab

DOCS = Path(__file__).parent
FOLDER, SOURCES = DOCS / "notebooks", DOCS.parent / "notebooks"
MOST = 700_000  # bytes of a notebook
WIDEST = 1100  # pixels of a picture
_PNG = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


def exporter() -> Any:
    """Return the module `notebooks/export.py`."""
    spec = importlib.util.spec_from_file_location("export", SOURCES / "export.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digest(name: str) -> str:
    """Return a digest of what a notebook is made of."""
    return hashlib.sha256((SOURCES / f"{name}.py").read_bytes()).hexdigest()[:16]


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """Run the cells of a notebook in a new namespace, and put their outputs into it.

    Raises:
        RuntimeError: if a cell raises; the exception of the cell is its cause.
    """
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    shell.reset()
    results: list[dict[str, Any]] = []
    shell.displayhook.write_output_prompt = lambda: None
    shell.displayhook.write_format_data = lambda format_dict, md_dict=None: results.append(format_dict)
    for n, cell in enumerate((cell for cell in notebook["cells"] if cell["cell_type"] == "code"), 1):
        results.clear()
        with capture_output() as captured:
            done = shell.run_cell("".join(cell["source"]))
        if error := done.error_before_exec or done.error_in_exec:
            raise RuntimeError(f"cell {cell['id']}: {error}") from error
        printed = [{"output_type": "stream", "name": "stdout", "text": captured.stdout.splitlines(keepends=True)}]
        shown = [_output(data, n) for data in (*(output.data for output in captured.outputs), *results)]
        cell |= {"execution_count": n, "outputs": [*(printed if captured.stdout else []), *shown]}
    return notebook


def _output(data: dict[str, Any], n: int) -> dict[str, Any]:
    kept = {kind: _PNG.sub(_smaller, str(text)) for kind, text in data.items() if kind.startswith("text/")}
    if "text/html" in kept:
        kept["text/plain"] = "<HTML>"
    return {"output_type": "execute_result", "execution_count": n, "metadata": {}, "data": kept}


def _smaller(match: re.Match[str]) -> str:
    """Return a picture of 256 colours, no wider than a page, which has a fifth of the size and looks the same."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(match[1]))).convert("RGB")
    picture.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
    picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def with_stored(run: Any) -> Any:
    """Return `flylab.run`, which loads what `docs/results` has of an unchanged preset."""

    def stored(study: Any, preset: str = "quick", out: Any = "runs", **options: Any) -> Any:
        folder = DOCS / "results" / str(study) / preset
        is_stored = not options and (folder / "results.nc").exists()
        return flylab.load(folder) if is_stored else run(study, preset, out, **options)

    return stored


def renew_installation(export: Any) -> None:
    """Write the cell that installs flylab into all notebooks, and leave everything else."""
    for name in export.names():
        path = FOLDER / f"{name}.ipynb"
        notebook = json.loads(path.read_text())
        cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        cell["source"] = export.installation((SOURCES / f"{name}.py").read_text()).splitlines(keepends=True)
        path.write_text(_as_text(notebook))


def _as_text(notebook: dict[str, Any]) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the notebooks that the command line names, or all."""
    export = exporter()
    if sys.argv[1:] == ["--installation"]:
        renew_installation(export)
        return
    os.environ["FLYLAB_PRESET"] = "quick"
    flylab.run = with_stored(flylab.run)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # notebooks write into "runs"
        for name in sys.argv[1:] or export.names():
            notebook = executed(json.loads(export.exported(name)))
            notebook["metadata"]["flylab"] = digest(name)
            text = _as_text(notebook)
            if len(text.encode()) > MOST:
                raise ValueError(f"{name} has {len(text.encode())} bytes, more than {MOST}: show less")
            (FOLDER / f"{name}.ipynb").write_text(text)
            print(f"{name}: {len(text.encode()) / 1e3:.0f} kB", file=sys.__stdout__, flush=True)
        os.chdir(DOCS)  # the folder goes


if __name__ == "__main__":
    main()
