"""The browser app, `flylab app`: pages are marimo notebooks in `pages/`, and modules beside it make what they show."""
