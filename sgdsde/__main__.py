"""``python -m sgdsde`` and the ``sgdsde`` command."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run the command line; the exit status is its answer. A terminal that knows no η gets a question mark, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from sgdsde.cli import run

        status = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:  # where nothing is under way that could go on: commands that can, say so themselves
        print("\nsgdsde: stopped.", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # the reader (head, less) has gone: as any filter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)


if __name__ == "__main__":
    main()
