"""``python -m sgdsde`` and the ``sgdsde`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; the exit status is its answer."""
    from sgdsde.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
