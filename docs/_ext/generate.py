"""Write the generated pages into the git-ignored folder `docs/generated`, before Sphinx reads them."""

import re
from pathlib import Path

from flylab.study.registry import list_studies

import found
import pages
import reference
import stored

DOCS = Path(__file__).parents[1]
REPOSITORY = "https://github.com/flylab/flylab/blob/main"
ROOT_PAGES = ("DESIGN.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")


def everything() -> None:
    """Write every page whose text has changed, and delete pages that are no longer generated."""
    texts = {
        "studies/index.md": pages.studies_index(),
        "ledger.md": pages.ledger(),
        "found.md": found.lists(),
        "reference/index.md": reference.index(),
        "gallery.md": gallery(),
        "static/verdicts.css": stored.style_sheet(),
        **{f"studies/{name}.md": pages.study_page(name) for name in list_studies()},
        **{f"reference/{module}.md": reference.page(module) for module in reference.MODULES},
        **{name.lower(): root_page(name) for name in ROOT_PAGES},
    }
    folder = DOCS / "generated"
    for path in folder.rglob("*.md"):
        if str(path.relative_to(folder)) not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def root_page(name: str) -> str:
    """Return a page of the repository's root, its links turned to the site's pages or else to the repository."""

    def retarget(match: re.Match) -> str:
        target = match[1]
        if target.startswith(("http", "#")):
            return match[0]
        if target.startswith("docs/"):
            return f"](../{target.removeprefix('docs/')})"
        return f"]({target.lower()})" if target in ROOT_PAGES else f"]({REPOSITORY}/{target})"

    return re.sub(r"\]\(([^)]+)\)", retarget, (DOCS.parent / name).read_text())


def gallery() -> str:
    """Return the gallery: thumbnails, then every script of `docs/gallery`, folded, with its picture."""
    text = (
        "# Gallery\n\nEach figure has one short script, which trains in seconds, just enough to show the point; the\n"
        "studies have the numbers. `python docs/make_gallery.py` runs all scripts and redraws the pictures.\n\n"
        "::::{grid} 2 2 3 4\n:gutter: 2\n\n"
    )
    titles = {path.stem: path.read_text().partition("\n")[0].strip('" .')
              for path in sorted((DOCS / "gallery").glob("*.py"))}  # fmt: skip
    for name, title in titles.items():
        text += (
            f":::{{grid-item-card}} {title}\n:link: {name}\n:link-type: ref\n:img-top: ../gallery/{name}.png\n"
            f":img-alt: {title}\n:class-item: thumbnail\n:::\n\n"
        )
    text += "::::\n"
    for name, title in titles.items():
        text += (
            f"\n({name})=\n\n## {title}\n\n![{title}](../gallery/{name}.png)\n\n"
            f":::{{dropdown}} The script\n\n```{{literalinclude}} ../gallery/{name}.py\n"
            f":caption: docs/gallery/{name}.py\n```\n:::\n"
        )
    return text
