"""The site: every public name has a docstring and a page, and stored results are of the claims in the code."""

import ast
import importlib
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from flylab.results.tables import VERDICT_COLOURS
from flylab.study.registry import get_study

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
reference = importlib.import_module("reference")
stored = importlib.import_module("stored")

SOURCE = ROOT / "src"
EVERY = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}
RUNS = sorted((ROOT / "docs" / "results").glob("*/*"))


def test_every_module_has_a_page_or_is_internal():
    """A new folder: put it into `FOLDERS`, or into `INTERNAL`, of docs/_ext/reference.py."""
    internal = {name for name in EVERY if name.startswith(reference.INTERNAL)}
    assert set(EVERY) == set(reference.MODULES) | internal
    assert not set(reference.MODULES) & internal
    assert len(reference.MODULES) == len(set(reference.MODULES))


@pytest.mark.parametrize("name", reference.MODULES)
def test_every_public_name_has_a_docstring_and_a_page(name):
    module = importlib.import_module(name)
    assert module.__doc__, name
    own = reference.page(name)
    for entry, value, home in reference.entries(name) if name != reference.ALIASES else ():
        path = f"{name}.{entry}"
        assert reference.has_docstring(value), f"{path} has no docstring"
        if home == name:
            assert re.search(rf"^\.\. auto\w+:: {re.escape(path)}$", own, re.M), f"{path} is on no page"
        else:
            assert re.search(rf"^\.\. auto\w+:: {re.escape(home)}\.\w+$", reference.page(home), re.M)
            assert f"[`{entry}`](#{home}." in own
        if isinstance(value, type) and value.__module__.startswith("flylab"):
            for method, found in reference.own_methods(value).items():
                assert reference.has_docstring(found), f"{path}.{method} has no docstring"


def test_names_of_the_package_are_all_on_its_page():
    import flylab

    assert {entry for entry, _, home in reference.entries("flylab") if home == "flylab"} == set(flylab.__all__)


def test_what_pages_import_is_in_the_reference():
    """Whatever README and the pages of docs/ import from flylab, a reader can look up."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "explanation").glob("*.md")]
    for page in pages:
        for program in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
            for node in ast.walk(ast.parse(program)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "flylab":
                    for alias in node.names:
                        is_module = f"{node.module}.{alias.name}" in reference.MODULES
                        assert is_module or node.module in reference.MODULES, f"{page.name}: {node.module}.{alias.name}"


def test_a_name_without_docstring_would_be_found():
    class Bare(NamedTuple):
        field: int = 0

        def method(self): ...

    assert not reference.has_docstring(Bare)
    assert list(reference.own_methods(Bare)) == ["method"]
    assert not reference.has_docstring(Bare.method)
    assert reference.has_docstring(stored.plain)


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: "-".join(path.parts[-2:]))
def test_stored_results_are_of_the_claims_in_the_code(folder):
    """Where this fails: run the study again, then `python docs/make_results.py runs`."""
    info, said = (json.loads((folder / name).read_text()) for name in ("run.json", "claims.json"))
    study = get_study(info["study"])
    assert info["preset"] in study.presets
    assert (folder.parent.name, folder.name) == (info["study"], info["preset"])
    assert [(one["id"], one["region"]) for one in said] == [(claim.id, claim.region) for claim in study.claims]
    assert {one["verdict"] for one in said} <= set(VERDICT_COLOURS)
    assert (folder / "figure.png").stat().st_size < 300_000


def test_the_largest_preset_that_tested_a_claim_speaks():
    assert RUNS
    said = stored.verdict_of("architectures", "mlp.paper")
    assert said is not None
    assert said.effect is not None
    assert stored.verdict_of("architectures", "no-such-claim") is None


def test_text_shows_as_it_is():
    assert stored.plain("a|b *c* `d` [e] <f>") == r"a\|b \*c\* \`d\` \[e\] \<f\>"
    assert stored.with_minus("-1.00 (-2.00 … 3.00) log-odds") == "−1.00 (−2.00 … 3.00) log-odds"
