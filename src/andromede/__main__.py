"""`andromede` and `python -m andromede`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        from andromede.cli.entry import run

        return run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # before there was a command that could say so
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
