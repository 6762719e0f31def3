"""``python -m sgdsde`` and the ``sgdsde`` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; the exit status is its answer."""
    from sgdsde.cli import run

    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) has gone: as any filter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)


if __name__ == "__main__":
    main()
