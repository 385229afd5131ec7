"""The look of all pages: style, navigation and layout."""

import html

PAGES = {"playground": "Playground", "studies": "Studies", "quiz": "Human quiz", "leaderboard": "Leaderboard"}

# marimo's own theme follows the system's, light or dark: colours here are its variables
HEAD = """<style>
.flylab-nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; align-items: baseline;
  border-bottom: 1px solid var(--border, #8884); padding: .25rem 3rem .6rem 0; }
.flylab-nav b { font-size: 1.25rem; margin-right: .5rem; }
.flylab-nav a { color: inherit; text-decoration: none; padding: .2rem .1rem; border-bottom: 3px solid transparent; }
.flylab-nav a:hover, .flylab-nav a:focus-visible { border-bottom-color: #56B4E9; }
.flylab-nav a[aria-current] { border-bottom-color: #0072B2; font-weight: 600; }
.flylab-row { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; }
.flylab-row > * { flex: 1 1 18rem; min-width: 0; }
.flylab-title { font-weight: 600; margin: .75rem 0 .25rem; }
.flylab-muted { opacity: .75; font-size: .9rem; }
@media (max-width: 480px) { #App .mx-auto, main { padding-left: .5rem !important; padding-right: .5rem !important; } }
</style>"""


def navigation(current: str) -> str:
    """Return links to all pages, the current one marked."""
    links = "".join(
        f'<a href="/{name}"{" aria-current=page" if name == current else ""}>{title}</a>'
        for name, title in PAGES.items()
    )
    return f'<nav class="flylab-nav" aria-label="pages"><b>flylab</b>{links}</nav>'


def row(*parts: str) -> str:
    """Put parts side by side where there is room, else below one another."""
    return f'<div class="flylab-row">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def titled(title: str, part: str, explanation: str = "") -> str:
    """Put a title, and perhaps a line of explanation, above a part."""
    more = f'<p class="flylab-muted">{html.escape(explanation)}</p>' if explanation else ""
    head = f'<div class="flylab-title" role="heading" aria-level="4">{html.escape(title)}</div>' if title else ""
    return f"{head}{more}{part}"
