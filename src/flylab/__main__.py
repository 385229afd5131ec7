"""The command `flylab`, the same as `python -m flylab`."""

import sys


def main() -> int:
    """Run a command, which Ctrl-C ends at any time, and return its exit code."""
    try:
        from flylab.cli import interrupts

        interrupts.install()
    except KeyboardInterrupt:
        return 130
    from flylab.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
