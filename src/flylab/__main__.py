"""The command `flylab`, the same as `python -m flylab`."""

import os
import sys


def main() -> int:
    """Run a command, which Ctrl-C ends at any time, and return its exit code."""
    try:
        from flylab.cli import interrupts, streams

        interrupts.install()
        streams.install()
        os.environ["MPLBACKEND"] = "agg"  # figures go to files; matplotlib refuses to be imported with a wrong one
    except KeyboardInterrupt:
        return 130
    from flylab.cli.main import main as run

    return streams.finish(run())


if __name__ == "__main__":
    sys.exit(main())
