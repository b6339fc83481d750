"""The command line: ``tule up``, ``exec``, ``sql`` and the rest, over the same services as the doors."""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``tule`` program. An error is one line on standard error and exit code 1; wrong usage is 2."""
    import sys

    from tule.cli.commands import program
    from tule.kernel.errors import TuleError

    try:
        program(prog_name="tule")
    except TuleError as error:
        print(f"tule: {error.message}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
