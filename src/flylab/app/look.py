"""The look of all pages: style, navigation and layout; and the one place where text becomes markup.

Names, attributes and labels of results may come from anywhere. Whatever a page says of them goes through `text`, `code`
or `label`, never through marimo's Markdown.
"""

import html

PAGES = {"playground": "Playground", "studies": "Studies", "quiz": "Human quiz", "leaderboard": "Leaderboard"}

# Vega's own interpreter evaluates a chart's expressions: the app's Content-Security-Policy forbids to compile them
CHART = {"embedOptions": {"ast": True}}
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
.flylab-code { overflow-x: auto; white-space: pre-wrap; font-size: .9rem; background: #8881; padding: .6rem 1rem; }
.flylab-muted { color: color-mix(in srgb, currentColor 70%, transparent); font-size: .875rem; margin: 0 0 .25rem; }
.flylab-scroll { overflow-x: auto; }
.flylab-fit { container-type: inline-size; }
.flylab-narrow { display: none; }
.flylab-scroll > img, .flylab-scroll > picture > img { min-width: 40rem; }
.flylab-swatch { display: inline-block; width: 34px; margin-right: .5rem; vertical-align: middle; }
.flylab-notice { background: #0262c222; border-left: 3px solid #0262c2; padding: .3rem .6rem; border-radius: 4px; }
.flylab-stale { opacity: .5; filter: grayscale(.7); }
.flylab-verdict { font-size: 1.05rem; margin: .25rem 0; }
@media (prefers-color-scheme: dark) { .flylab-light-only { filter: invert(.9) hue-rotate(180deg); } }
.flylab-rail { background: color-mix(in srgb, var(--background, Canvas) 96%, currentColor); }
@media (min-width: 861px) {
  .flylab-rail { position: fixed; inset: 0 auto 0 0; width: 19rem; z-index: 10; border-right: 1px solid #8885; }
  .flylab-rail > *, .flylab-rail marimo-ui-element > * { display: block; height: 100%; }
  body:has(.flylab-rail) #App { padding-left: 19rem; }
}
@media (max-width: 860px) {
  body:has(.flylab-rail) #App { padding-bottom: 8rem; }
  .flylab-results { min-height: 80vh; }
}
/* marimo raises the cell under the mouse or finger to 30, above buttons that stand still */
.marimo-cell:has(.flylab-rail, .flylab-keys) { z-index: 40 !important; }
@container (max-width: 419px) { .flylab-wide { display: none; } .flylab-narrow { display: block; } }
@container (max-width: 799px) {
  .flylab-800 > .flylab-wide { display: none; }
  .flylab-800 > .flylab-narrow { display: block; }
}
body:has(.flylab-rail) #App [class*="px-24"] { padding-left: 1.25rem; padding-right: 1.25rem; }
@media (max-width: 600px) {
  #App .mx-auto, main { padding-left: .5rem !important; padding-right: .5rem !important; }
}
/* marimo's menu would have the server export the page, which the app's door refuses */
[data-testid="notebook-action-download-html"], [data-testid="notebook-action-download-html"] + [role="separator"] {
  display: none; }
/* a skeleton until the first cell is there */
body:not(:has(.flylab-nav))::before { content: "flylab"; position: fixed; inset: 0; z-index: 99; padding: .6rem 1rem;
  font: 700 1.25rem sans-serif; background:
  linear-gradient(#8882 0 0) 1rem 3.5rem / 17rem calc(100% - 4.5rem) no-repeat,
  linear-gradient(#8882 0 0) 20rem 3.5rem / calc(100% - 21rem) 8rem no-repeat,
  linear-gradient(#8882 0 0) 20rem 12.5rem / calc(100% - 21rem) calc(100% - 13.5rem) no-repeat, Canvas; }
:root { color-scheme: light dark; }
</style>"""


def navigation(current: str) -> str:
    """Return links to all pages, the current one marked; the page of a class is known to its teacher only."""
    pages = {"class": "Class", **PAGES} if current == "class" else PAGES
    links = "".join(
        f'<a href="../{name}/"{" aria-current=page" if name == current else ""}>{title}</a>'
        for name, title in pages.items()
    )
    return f'<nav class="flylab-nav" aria-label="pages"><b>flylab</b>{links}</nav>'


def text(words: object) -> str:
    """Return words as HTML, without markup of their own; control characters become visible."""
    return html.escape("".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in str(words)))


def code(words: object) -> str:
    """Return HTML that shows words as they are, such as a command or JSON."""
    return f'<pre class="flylab-code"><code>{text(words)}</code></pre>'


def label(words: object) -> str:
    """Return words for the label of one of marimo's controls, which is Markdown: only letters and digits stay.

    >>> label("n_train")
    'n&#95;train'
    """
    return "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in str(words) if c.isprintable())


def row(*parts: str) -> str:
    """Put parts side by side where there is room, else below one another."""
    return f'<div class="flylab-row">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def titled(title: str, part: str, explanation: str = "") -> str:
    """Put a title, and perhaps a line of explanation, above a part."""
    more = f'<p class="flylab-muted">{text(explanation)}</p>' if explanation else ""
    head = f'<div class="flylab-title" role="heading" aria-level="4">{text(title)}</div>' if title else ""
    return f"{head}{more}{part}"
