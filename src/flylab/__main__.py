"""The command `flylab`, the same as `python -m flylab`."""

import sys

from flylab.cli import interrupts


def main() -> int:
    """Run a command, which Ctrl-C ends at any time, and return its exit code."""
    try:
        interrupts.install()
        from flylab.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        return interrupts.say()


if __name__ == "__main__":
    sys.exit(main())
