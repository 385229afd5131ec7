"""The command line that repeats a run."""

import json
import shlex
from typing import Any

from flylab.base.config import plain
from flylab.results.protocols import flat
from flylab.study.registry import study_in


def repeat_command(attrs: dict[str, Any]) -> str:
    """Return the command line that makes results with these attributes; its flags are what differs from the preset.

    Raises:
        ValueError: if a word has control characters, which a terminal would obey when the line is pasted.
    """
    study = study_in(attrs)
    protocol, preset = json.loads(attrs["protocol"]), plain(study.presets[attrs["preset"]])
    words = ["flylab", "run", study.place or study.name.replace("_", "-"), attrs["preset"]]
    for name, value in flat(protocol).items():
        if value != flat(preset).get(name):
            flag = name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{flag}" if value else f"--no-{flag}")
            else:
                words += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    for slot, functions in json.loads(attrs.get("filled", "{}")).items():
        words += [f"--{slot.replace('_', '-')}", *functions]
    if refused := [word for word in words if not word.isprintable()]:
        raise ValueError(f"the results name {refused[0]!r}, which has control characters: no command line repeats them")
    return shlex.join(words)
