"""The mutants of `bench/mutants.py`: each kind changes the code, and only there."""

import ast
import importlib.util
import random
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "mutants.py"
CODE = "def f(a, b):\n    if a < b:\n        a = g(a, b)\n    return a + 1\n"
EXPECTED = {
    "constant": {"return a + 2", "return a + 0", "return a + 5"},
    "operator": {"return a - 1", "if a <= b:"},
    "statement": {"pass"},
    "condition": {"if not a < b:"},
    "arguments": {"a = g(b, a)"},
}


@pytest.fixture(scope="module")
def mutants():
    spec = importlib.util.spec_from_file_location("mutants", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_mutant_changes_one_place(mutants, kind):
    seen = set()
    for seed in range(20):
        tree, rng = ast.parse(CODE), random.Random(seed)
        mutants.change(tree, rng.choice(mutants.sites(tree, kind)), kind, rng)
        lines = ast.unparse(ast.fix_missing_locations(tree)).splitlines()
        new = {line.strip() for line in lines} - {line.strip() for line in CODE.splitlines()}
        assert len(new) == 1
        seen |= new
    assert seen == EXPECTED[kind]


def test_mutants_are_programs(mutants):
    made = mutants.mutants(BENCH.parent, ["mutants.py"], random.Random(0))
    for mutant in (next(made) for _ in range(10)):
        assert ast.dump(ast.parse(mutant.text)) != ast.dump(ast.parse(BENCH.read_text()))
        assert 0 < mutant.line <= len(BENCH.read_text().splitlines())
