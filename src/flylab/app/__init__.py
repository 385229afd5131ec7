"""The browser app, `flylab app`: the pages are marimo notebooks in `pages/`, and these modules make their contents."""
