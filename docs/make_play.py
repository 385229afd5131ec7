"""Write what the page `docs/play` shares with flylab: `python docs/make_play.py`.

Templates, defaults, bounds of the controls, colours and the quantiles of Student's t are flylab's own, never retyped.
"""

import dataclasses
import hashlib
import json
from pathlib import Path

from scipy import stats

from flylab.app.settings import DATA_PARAMS, TRAINING
from flylab.app.svg import CLASSES, ink
from flylab.data import MNIST1D, digits
from flylab.models import model_title
from flylab.results.statistics import MANY
from flylab.results.styles import COLOURS

PATH = Path(__file__).parent / "play" / "constants.js"
MODELS = ("logistic", "mlp", "cnn")


def constants() -> str:
    """Return the text of `constants.js`."""
    templates = digits()
    values = {
        "TEMPLATES": {"x": templates.x, "t": templates.t, "y": templates.y},
        "DEFAULTS": {field.name: getattr(MNIST1D(), field.name) for field in dataclasses.fields(MNIST1D)},
        "STREAMS": {"init": int.from_bytes(hashlib.sha256(b"init").digest()[:4], "little")},  # flylab.base.rng.stream
        "CONTROLS": {name: control._asdict() for name, control in (DATA_PARAMS | TRAINING).items()},
        "MODELS": {name: {"title": model_title(name), "colour": ink(name)} for name in MODELS},
        "COLOURS": COLOURS,
        "CLASSES": CLASSES,
        # the intervals of `flylab.results.statistics.interval`: quantile of n seeds, from 2 on
        "QUANTILES": [round(float(stats.t.ppf(0.975, n - 1)), 6) for n in range(2, MANY)],
    }
    lines = [f"export const {name} = {json.dumps(value, ensure_ascii=False)};" for name, value in values.items()]
    return "\n".join(["// Written by docs/make_play.py from flylab: do not edit.", *lines, ""])


if __name__ == "__main__":
    PATH.write_text(constants())
