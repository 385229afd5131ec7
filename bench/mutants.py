"""Mutants of flylab: does each change of the code that changes a result change the name under which it is stored?

    python bench/mutants.py --names 300 --runs 40 --seed 0

A mutant is a copy of flylab with one random change: another constant or operator, a statement left out, a condition
negated, two arguments exchanged. Where a study keeps its names, it is trained, and its results must be the same bit for
bit.
"""

import argparse
import ast
import collections
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Mod: ast.Mult, ast.MatMult: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
KINDS = ("constant", "operator", "statement", "condition", "arguments")
N_CONDITIONS = 2  # to train for each mutant


class Mutant(NamedTuple):
    """A changed file: its path below the folder of the sources, what changed where, and its new text."""

    path: str
    kind: str
    line: int
    text: str


def sites(tree: ast.AST, kind: str) -> list[ast.AST]:
    """Return the nodes that a kind of mutation can change."""
    return [node for node in ast.walk(tree) if _fits(node, kind)]


def _fits(node: ast.AST, kind: str) -> bool:
    if kind == "constant":
        return isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float)
    if kind == "operator":
        operators = [getattr(node, "op", None), *getattr(node, "ops", ())[:1]]
        return any(type(operator) in OPERATORS for operator in operators)
    if kind == "statement":
        return isinstance(node, ast.Assign | ast.AugAssign | ast.Raise | ast.Return) or (
            isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        )
    if kind == "condition":
        return isinstance(node, ast.If | ast.IfExp | ast.While)
    return isinstance(node, ast.Call) and len(node.args) > 1 and ast.dump(node.args[0]) != ast.dump(node.args[1])


def change(tree: ast.AST, node: Any, kind: str, rng: random.Random) -> None:
    """Change a node of a syntax tree."""
    if kind == "constant":
        value = node.value
        node.value = (not value) if isinstance(value, bool) else rng.choice((value + 1, value - 1, 2 * value + 3))
    elif kind == "operator":
        if hasattr(node, "ops"):
            node.ops[0] = OPERATORS[type(node.ops[0])]()
        else:
            node.op = OPERATORS[type(node.op)]()
    elif kind == "statement":
        for parent in ast.walk(tree):
            for body in (getattr(parent, name, None) for name in ("body", "orelse", "finalbody")):
                if isinstance(body, list) and node in body:
                    body[body.index(node)] = ast.copy_location(ast.Pass(), node)
    elif kind == "condition":
        node.test = ast.UnaryOp(ast.Not(), node.test)
    else:
        node.args[0], node.args[1] = node.args[1], node.args[0]


def mutants(sources: Path, paths: list[str], rng: random.Random) -> Iterator[Mutant]:
    """Yield random mutants of some files of the sources, without end."""
    while True:
        path, kind = rng.choice(paths), rng.choice(KINDS)
        tree = ast.parse((sources / path).read_text())
        if nodes := sites(tree, kind):
            node = rng.choice(nodes)
            change(tree, node, kind, rng)
            yield Mutant(path, kind, getattr(node, "lineno", 0), ast.unparse(ast.fix_missing_locations(tree)))


def results_of(name: str) -> dict[str, str]:
    """Train some conditions of a study's smoke preset, and return a digest of each one's results by its name."""
    import jax

    from flylab.runs.plan import plan_of_study
    from flylab.study import get_study, protocol_of

    study = get_study(name)
    protocol, digests = protocol_of(study, "smoke", n_seeds=1), {}
    groups = list(plan_of_study(study, "smoke", protocol).groups())
    for group in groups[:: -(-len(groups) // N_CONDITIONS)]:
        results = study.run(protocol, group.condition, [0], key=jax.random.key(0), artifacts=dict(study.artifacts))
        digest = hashlib.sha256()
        for variable in sorted(map(str, results.variables)):
            values = results[variable].values
            digest.update(f"{variable} {results[variable].dims} {values.dtype} {values.shape}".encode())
            digest.update(repr(values.tolist()).encode() if values.dtype == object else values.tobytes())
        digests[group.names[0]] = digest.hexdigest()
    return digests


def trained(sources: Path, name: str) -> dict[str, str] | None:
    """Return `results_of` in a fresh process on these sources, or None if it fails."""
    environment = os.environ | {"PYTHONPATH": str(sources), "JAX_COMPILATION_CACHE_DIR": str(sources.parent / "jax")}
    command = [sys.executable, "-W", "ignore", __file__, "--train", name]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def check(sources: Path, n_names: int, n_runs: int, seed: int) -> collections.Counter[tuple[str, str]]:
    """Make mutants of a copy of flylab that this process has imported, and count what becomes of them."""
    from flylab.runs import reach
    from flylab.runs.fingerprint import code_fingerprint, reached_by
    from flylab.study import get_study, list_studies

    reach.is_current = lambda module: True  # ask for the name in a process that would import the mutant
    rng, counts = random.Random(seed), collections.Counter()
    studies = {name: get_study(name) for name in list_studies()}
    paths = sorted(str(path.relative_to(sources)) for path in (sources / "flylab").rglob("*.py"))
    usual: dict[str, dict[str, str] | None] = {}
    n_named = n_trained = 0
    while n_named < n_names or n_trained < n_runs:
        name = rng.choice(sorted(studies))
        run, own = studies[name].run, [path for path in paths if path.split("/")[2:3] in ([name], [f"{name}.py"])]
        parts = {Path(part.path): part for part in reached_by(run).parts.values()}
        before = code_fingerprint(run)
        mutant = next(mutants(sources, own if rng.random() < 0.4 else paths, rng))
        file = sources / mutant.path
        counts_here = file in parts and parts[file].counts(mutant.line)
        if n_named >= n_names and counts_here:
            continue
        n_named += 1
        original = file.read_text()
        try:
            file.write_text(mutant.text)
            if code_fingerprint(run) != before:
                outcome = "renamed"
            elif counts_here:
                outcome = "NOT RENAMED"
            elif n_trained >= n_runs:
                outcome = "same name, not trained"
            else:
                n_trained += 1
                outcome = _compared(sources, name, file, mutant, original, usual)
        finally:
            file.write_text(original)
        counts[mutant.kind, outcome] += 1
        if outcome.isupper():
            print(f"{outcome}: {name}, {mutant.path}, line {mutant.line} ({mutant.kind})", flush=True)
    return counts


def _compared(sources: Path, name: str, file: Path, mutant: Mutant, original: str, usual: dict) -> str:
    """Train a study with a mutant and without it, and say how the results compare."""
    if name not in usual:
        file.write_text(original)
        usual[name] = trained(sources, name)
        file.write_text(mutant.text)
    before, after = usual[name], trained(sources, name)
    assert before is not None, f"{name} fails without any mutant"
    if after is None:
        return "same name, fails"
    if not before.keys() & after.keys():
        return "renamed by condition or protocol"
    same = all(after[member] == before[member] for member in before.keys() & after.keys())
    return "same name, same bits" if same else "SAME NAME, OTHER RESULTS"


def main() -> None:
    """Check mutants, print a table, and exit with 1 if a result changes under its name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=300, help="mutants whose names are checked")
    parser.add_argument("--runs", type=int, default=40, help="mutants that are trained, among those of the same name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="sources", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        print(json.dumps(results_of(arguments.train)))
        return
    if arguments.sources is None:  # start again on a copy
        import flylab

        with tempfile.TemporaryDirectory() as folder:
            sources = Path(folder).resolve() / "src"
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(Path(flylab.__file__).parent, sources / "flylab", ignore=ignored)
            environment = os.environ | {"PYTHONPATH": str(sources), "PYTHONDONTWRITEBYTECODE": "1"}
            command = [sys.executable, __file__, *sys.argv[1:], "--in", str(sources)]
            raise SystemExit(subprocess.run(command, env=environment).returncode)
    counts = check(arguments.sources, arguments.names, arguments.runs, arguments.seed)
    outcomes = sorted({outcome for _, outcome in counts})
    print(f"{'':12}" + "".join(f"{outcome:>34}" for outcome in outcomes))
    for kind in (*KINDS, "all"):
        cells = (sum(n for (k, o), n in counts.items() if o == outcome and kind in (k, "all")) for outcome in outcomes)
        print(f"{kind:12}" + "".join(f"{n:34}" for n in cells))
    raise SystemExit(any(outcome.isupper() for outcome in outcomes))


if __name__ == "__main__":
    main()
