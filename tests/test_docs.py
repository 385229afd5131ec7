"""The programs and commands of README and docs/ run as they are printed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MADE = ("_build", "generated")  # by Sphinx, not by hand
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if page.relative_to(ROOT / "docs").parts[0] not in MADE)
GALLERY = sorted((ROOT / "docs" / "gallery").glob("*.py"))


def programs(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.S)


WALKED = (
    "getting-started.md",
    "your-model.md",
    "your-study.md",
    "your-optimizer.md",
)  # `test_walk` writes their files and runs their commands
# README's programs stand alone; those of a page follow one another
PROGRAMS = {f"README {i}": text for i, text in enumerate(programs(ROOT / "README.md"))} | {
    page.name: "\n".join(found) for page in PAGES if page.name not in WALKED and (found := programs(page))
}


@pytest.mark.long
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_python_examples(program, tmp_path):
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.long
@pytest.mark.parametrize("page", WALKED)
def test_walk(page, tmp_path):
    """Write every file of the page under the name in its first line, and run every command, with tiny settings."""
    text = (ROOT / "docs" / page).read_text()
    for name, content in re.findall(r"```\w+\n# (\S+\.(?:py|toml))\n(.*?)```", text, re.S):
        (tmp_path / name).write_text(content.replace('preset="quick"', 'preset="smoke", n_steps=20'))
    path = os.pathsep.join(filter(None, (str(tmp_path / "site"), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("COLUMNS", None)  # pytest-xdist sets it, and at 80 columns names are folded
    printed = ""
    for line in "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)).splitlines():
        command = line.replace(" quick", " smoke").replace("pip install", PIP)
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode in ((0, 2) if "evaluate" in line else (0,)), (
            done.stderr
        )  # a run this short may be flagged
        assert "Traceback" not in done.stderr
        printed += done.stdout
    for expected in EXPECTED[page]:
        assert expected in printed


BIN = Path(sys.executable).parent
PIP = f"{sys.executable} -m pip install --quiet --no-deps --target site"  # not into the environment of the tests
EXPECTED = {
    "getting-started.md": ("self-supervised", "members; figure", "mlp.paper", "mnist1d.png", "Interval(mean="),
    "your-model.md": (
        "Spatial priors: Net among others",
        "equinox-net *",
        "trees *",
        "max-pooled *",
        '"own": true',
        "max-pooled:",
        "with dropout:",
    ),
    "your-study.md": (
        "Does a wider network learn more?",
        "test accuracy (%)",
        "wider-is-better",
        "movement",
        "geometric",
    ),
    "your-optimizer.md": ("SignDescent", "damped", "warmed_up", "sharpened"),
}


@pytest.mark.slow
def test_a_users_layer_with_dropout(tmp_path):
    """A program as users write it, with a tiny budget; the others are among the slow tests above."""
    (program,) = re.findall(r"```python\n# my_dropout.py\n(.*?)```", (ROOT / "docs/your-model.md").read_text(), re.S)
    program = re.sub(r"(n_steps|eval_every)=\d+", r"\1=4", program)
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "with dropout: [" in done.stdout


def test_the_page_on_studies_shows_the_file_that_flylab_new_study_writes():
    template = (ROOT / "src" / "flylab" / "template.py").read_text()
    assert f"```python\n{template}```" in (ROOT / "docs" / "your-study.md").read_text()


def test_there_are_two_set_up_commands():
    assert len(re.findall(r"^python3 -m venv .*$", README, re.M)) == 2


def test_links_lead_somewhere():
    for page in (*ROOT.glob("*.md"), *PAGES):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http") and "generated/" not in target:  # those Sphinx checks
                assert (page.parent / target).exists(), f"{page.name} → {target}"


def test_the_gallery_is_short_and_whole():
    assert GALLERY
    for script in GALLERY:
        assert len(script.read_text().splitlines()) <= 30, script.name
        assert script.with_suffix(".png").stat().st_size < 300_000, script.name


@pytest.mark.long
@pytest.mark.parametrize("script", GALLERY, ids=lambda path: path.stem)
def test_gallery(script, tmp_path):
    """Each script draws one picture, which matches the committed one in size and in the share of inked pixels."""
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (drawn,) = tmp_path.iterdir()
    new, old = (np.asarray(Image.open(path).convert("L"), float) for path in (drawn, script.with_suffix(".png")))
    assert drawn.name == script.with_suffix(".png").name
    assert new.shape == old.shape
    assert abs((new < 250).mean() - (old < 250).mean()) < 0.05


def test_the_ratios_of_readme_are_those_of_the_stored_bench():
    peers = json.loads((ROOT / "bench" / "results.json").read_text())["peers"].values()
    others = [{name: one["us"] / row["flylab"]["us"] for name, one in row.items() if name not in ("flylab", "floor")}
              for row in peers]  # fmt: skip
    best, loop = ([min(ratios.values()) for ratios in others], [ratios["PyTorch loop"] for ratios in others])
    assert f"{min(best):.1f} to {max(best):.1f} times as fast as the best" in README
    assert f"{min(loop):.1f} to {max(loop):.0f} times as fast as a plain PyTorch loop" in README
