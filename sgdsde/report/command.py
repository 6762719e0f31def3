"""``sgdsde report``: a page from stored reports, without measuring anything: run apart, read together. Help does not import torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sgdsde.terminal import say
from sgdsde.words import carried_out


@dataclass(frozen=True)
class Arguments:
    """Write the page of stored reports again, several as one; nothing is run.

    Reports go together if profile, seed, catalogue and code are the same.
    """

    folder: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="[DIR …]")] = (Path("report"),)
    """what sgdsde verify wrote"""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: the first DIR)")] = None
    """where the page, report.json, claims.csv and sources.bib go"""


def main_report(arguments: Sequence[str]) -> int:
    """Parse and carry out; returns the exit status: 0, 1 if something in it is not to be relied on, 2 for wrong usage."""
    return carried_out(Arguments, arguments, _carry_out, prog="sgdsde report")


def _carry_out(command: Arguments) -> int:
    from sgdsde.report.merge import merged, read_record, stored_figures
    from sgdsde.report.write import write_again
    from sgdsde.types import InputError

    folders = command.folder or (Path("report"),)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; wanted what sgdsde verify wrote.")
    record = merged([read_record(folder) for folder in folders])
    figures = stored_figures(folders)
    page = write_again(record, figures, command.out or folders[0])
    counts = [claim["verdict"] for claim in record["claims"]]
    say(", ".join(f"{counts.count(verdict)} {verdict}" for verdict in dict.fromkeys(counts)) or "no claims")
    print(f"report: {page}")
    return 0 if record["trustworthy"] else 1
