"""Extend Sphinx by the role `verdict` and by links from names in backticks to their documentation."""

import inspect
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python._object import PyObject
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from flylab.study.registry import get_study, list_studies

import stored

log = logging.getLogger(__name__)


class VerdictRole(SphinxRole):
    """Write {verdict}`study/claim` as effect, verdict and preset from the stored results, with a link to the table."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        study, _, claim = self.text.partition("/")
        if study not in list_studies() or claim not in {known.id for known in get_study(study).claims}:
            log.warning("there is no claim %s", self.text, location=self.get_location())
            return [nodes.literal(text=self.text)], []
        for preset in get_study(study).presets:  # the page is rebuilt when results appear, change or vanish
            self.env.note_dependency(str(stored.RESULTS / study / preset / "claims.json"))
        verdict = stored.verdict_of(study, claim)
        shown = nodes.inline(classes=["said"])
        if verdict is None:
            shown += nodes.literal(text=claim)
            shown += nodes.Text(": no run is stored yet")
            return [shown], []
        place = stored.anchor(study, claim, verdict.preset)
        up = "../" * self.env.docname.count("/")
        if self.env.app.builder.name == "revealjs":  # slides stand alone
            link = nodes.inline()
        else:
            link = nodes.reference(refuri=f"{up}generated/studies/{study}.html#{place}", internal=True)
        link += nodes.literal(text=claim)
        shown += link
        word, wide = verdict.word or "–", verdict.word_adjusted or "–"
        if verdict.effect is not None:
            shown += nodes.Text(f": {stored.with_minus(verdict.measured)} {verdict.unit}".rstrip())
        shown += nodes.Text(", ")
        shown += nodes.inline(text=word, classes=["verdict", stored.class_of(word)])
        more = f"study-wide {wide}; " if wide != word else ""
        kind = f"{verdict.kind}{', reduced' if verdict.reduced else ''}; " if verdict.kind else ""
        on = f" on {verdict.on}" if verdict.on else ""
        origin = f"{more}{kind}preset {verdict.preset}, {verdict.n_seeds} seeds{on}"
        origin = verdict.note if word == "not tested" else origin
        shown += nodes.Text(f" ({origin})")
        return [shown], []


def link_names(app: Sphinx, env: Any, node: Any, content: Any) -> Any:
    """Link `Plan`, in any docstring, to flylab.Plan."""
    target = node.get("reftarget", "")
    if node.get("refdomain") == "py" and target[:1].isupper() and target.isidentifier():
        domain = env.get_domain("py")
        if f"flylab.{target}" in domain.objects:
            entry = domain.objects[f"flylab.{target}"]
            uri = app.builder.get_relative_uri(node.get("refdoc", env.docname), entry.docname)
            return nodes.reference("", "", content, refuri=f"{uri}#{entry.node_id}", internal=True)
    return None


def escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape asterisks outside `code`, unless they mark *emphasis*: docstrings are plain text with backticks."""
    stop = next((i for i, line in enumerate(lines) if line.lstrip().startswith(">>>")), len(lines))
    parts = "\n".join(lines[:stop]).split("`")
    parts[::2] = [re.sub(r"(\*[^\s*][^*]*[^\s*,]\*)|\*", lambda m: m[1] or r"\*", part) for part in parts[::2]]
    lines[:stop] = "`".join(parts).split("\n")


def skip(app: Sphinx, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Skip the fields of named tuples, which the class describes, and methods that scikit-learn adds."""
    is_field = str(getattr(obj, "__doc__", "")).startswith("Alias for field number")
    return True if is_field or re.fullmatch(r"set_\w+_request", name) else None


def as_written(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Undo napoleon's reading of a property's docstring as "type: description"."""
    if what == "property" and getattr(obj, "fget", None) is not None:
        lines[:] = [*inspect.cleandoc(obj.fget.__doc__ or "").splitlines(), ""]


def readable(app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str) -> Any:
    """Replace defaults that do not parse in a signature."""
    return (re.sub(r"<[^<>]*(?:<[^<>]*>[^<>]*)*>", "...", signature), returns) if signature else None


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_role("verdict", VerdictRole())
    app.connect("missing-reference", link_names)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", as_written, priority=600)  # after it
    app.connect("autodoc-process-signature", readable)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    return {"parallel_read_safe": True}
