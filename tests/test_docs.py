"""What README and the pages of docs/ show runs, as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def programs(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.S)


WALKED = ("your-model.md", "your-study.md")  # files and commands, which `test_walk` writes and runs
# README's programs stand alone; a page's are read one after the other
PROGRAMS = {f"README {i}": text for i, text in enumerate(programs(ROOT / "README.md"))} | {
    page.name: "\n".join(programs(page)) for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in WALKED
}


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_python_examples(program, tmp_path):
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("page", WALKED)
def test_walk(page, tmp_path):
    """Every file of the page is written under the name in its first line, every command is run, with tiny settings."""
    text = (ROOT / "docs" / page).read_text()
    for name, content in re.findall(r"```\w+\n# (\S+\.(?:py|toml))\n(.*?)```", text, re.S):
        (tmp_path / name).write_text(content.replace('preset="quick"', 'preset="smoke", n_steps=20'))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    said = ""
    for line in "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S)).splitlines():
        command = line.replace("--preset quick", "--preset smoke").replace("pip install", PIP)
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode in ((0, 2) if "evaluate" in line else (0,)), done.stderr  # so short, it may be flagged
        assert "Traceback" not in done.stderr
        said += done.stdout
    for expected in EXPECTED[page]:
        assert expected in said


BIN = Path(sys.executable).parent
PIP = f"{sys.executable} -m pip install --quiet --no-deps --target site"  # not into the environment of the tests
EXPECTED = {
    "your-model.md": ("Spatial priors: Net among others", "equinox-net *", "trees *", "max-pooled *", '"own": true'),
    "your-study.md": ("Does a wider network learn faster?", "Last test accuracy", "faster"),
}


def test_there_are_two_set_up_commands():
    assert len(re.findall(r"^python3 -m venv .*$", README, re.M)) == 2


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} → {target}"
