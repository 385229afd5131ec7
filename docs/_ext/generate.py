"""Makes the pages that nobody writes, in the git-ignored folder `docs/generated`, before Sphinx reads them."""

import json
import re
from pathlib import Path

from flylab.study.registry import list_studies

import pages
import reference
import stored

DOCS = Path(__file__).parents[1]
REPOSITORY = "https://github.com/flylab/flylab/blob/main"
ROOT_PAGES = ("DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


def everything() -> None:
    """Write every page whose text has changed, and delete those that are made no longer."""
    made = {
        "studies/index.md": pages.studies_index(),
        "ledger.md": pages.ledger(),
        "reference/index.md": reference.index(),
        "gallery.md": gallery(),
        "static/verdicts.css": stored.style_sheet(),
        "benchmarks.md": benchmarks(),
        **{f"studies/{name}.md": pages.study_page(name) for name in list_studies()},
        **{f"reference/{module}.md": reference.page(module) for module in reference.MODULES},
        **{name.lower(): root_page(name) for name in ROOT_PAGES},
    }
    folder = DOCS / "generated"
    for path in folder.rglob("*.md"):
        if str(path.relative_to(folder)) not in made:
            path.unlink()
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def root_page(name: str) -> str:
    """A page of the repository's root, with its links turned to the site's pages, or else to the repository."""

    def turned(match: re.Match) -> str:
        target = match[1]
        if target.startswith(("http", "#")):
            return match[0]
        if target.startswith("docs/"):
            return f"](../{target.removeprefix('docs/')})"
        return f"]({target.lower()})" if target in ROOT_PAGES else f"]({REPOSITORY}/{target})"

    return re.sub(r"\]\(([^)]+)\)", turned, (DOCS.parent / name).read_text())


def gallery() -> str:
    """Every script of `docs/gallery` with its picture."""
    text = (
        "# Gallery\n\nOne short script for each figure. They train as little as shows the point, in seconds; the\n"
        "studies have the numbers. `python docs/make_gallery.py` runs them all and renews the pictures.\n"
    )
    for path in sorted((DOCS / "gallery").glob("*.py")):
        title = path.read_text().partition("\n")[0].strip('" .')
        text += (
            f"\n## {title}\n\n![{title}](../gallery/{path.stem}.png)\n\n"
            f"```{{literalinclude}} ../gallery/{path.name}\n:caption: docs/gallery/{path.name}\n```\n"
        )
    return text


def _rounded(value: float) -> str:
    return f"{float(f'{value:.4g}'):,}".removesuffix(".0").replace(",", " ")


def benchmarks() -> str:
    """The stored measurement of `bench/run.py`."""
    found = json.loads((DOCS.parent / "bench" / "results.json").read_text())
    machine = found["machine"]
    rows = [
        [row["what"], f"{_rounded(row['flylab'])} {row['unit']}", _rounded(row["torch"]), f"**{row['ratio']:.1f}×**"]
        for row in found["rows"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        "# How fast, measured\n\n```sh\npython bench/run.py --rounds 3\n```\n\n"
        f"on {machine['processor']}, {machine['cores']} cores, {machine['finished'][:10]}, commit {machine['commit']}; "
        f"Python {machine['python']}, {versions}. An earlier measurement, as the script stored it; the last one "
        "and what each row is: [benchmarks](../benchmarks.md). Why it is fast: "
        "[how the engine is fast](../explanation/speed.md).\n\n"
        + pages.table(["", "flylab", "PyTorch loop (generators: the reference package)", "ratio"], rows)
    )
