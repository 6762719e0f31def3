"""``sgdsde figures``: make what is missing, then draw; with ``--from`` only draw. Help does not import torch.

Exit status 0: every figure was drawn. 1: something that a figure reads is missing or failed. 2: wrong usage. 75: stopped, the same command goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from sgdsde.columns import fill
from sgdsde.terminal import RESUME, Progress, say
from sgdsde.words import carried_out

if TYPE_CHECKING:
    from sgdsde.figures.figure import Figure

ABOUT = """\
Draw figures of the paper from stored results: PDF, PNG, CSV and JSON.

Without --from, what they need is made first, at the quick profile.

It is kept in DIR/stored; killed, the same command goes on.

  sgdsde figures                             the whole set
  sgdsde figures positivity                  one, see: sgdsde list figures
  sgdsde figures --from report --from runs   read only"""


@dataclass(frozen=True)
class Arguments:
    """Draw figures of the paper from stored results: PDF, PNG, CSV and JSON."""

    name: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[NAME …]", help_behavior_hint="(default: all)")] = ()
    """see: sgdsde list figures"""
    source: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction, tyro.conf.arg(name="from", metavar="DIR")] = ()
    """a report of sgdsde verify, a run, or a folder that holds runs; nothing is computed then; may be given again"""
    width: Literal["neurips", "icml", "jmlr"] = "neurips"
    """text width: 5.5 in; 3.25 in (one panel) or 6.75 in; 6.0 in"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("figures")
    """where they go"""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    """worker processes for what is made; the numbers do not depend on it"""


def main_figures(arguments: Sequence[str]) -> int:
    """Parse and carry out; returns the exit status."""
    return carried_out(Arguments, arguments, _carry_out, prog="sgdsde figures", description=ABOUT)


def _carry_out(command: Arguments) -> int:
    from sgdsde.figures.listing import folder_of_figures, load_figures
    from sgdsde.report.write import prepare
    from sgdsde.types import InputError

    chosen = load_figures(command.name, folder_of_figures())
    if command.workers < 1:
        raise InputError(f"--workers {command.workers}: wanted an integer ≥ 1.")
    for folder in command.source:
        if not folder.is_dir():
            raise InputError(f"--from {folder} is no folder; wanted what sgdsde verify or sgdsde run wrote.")
    prepare(command.out)
    runs: dict[str, Path] = {}
    if not command.source:
        made = _make({name: figure for name, (figure, _) in chosen.items()}, command)
        if isinstance(made, int):
            return made
        runs = made
    return _draw(chosen, command, runs)


def _draw(chosen: dict[str, tuple[Figure, Path]], command: Arguments, runs: dict[str, Path]) -> int:
    from sgdsde.figures.stored import Stored
    from sgdsde.figures.write import write_figure
    from sgdsde.types import InputError

    status = 0
    for name, (figure, script) in chosen.items():
        folders = command.source or (command.out / "stored", *(runs[study] for study in figure.studies))
        try:
            paths = write_figure(name, figure, script, Stored(figure.claims, figure.studies, folders), width=command.width, out=command.out)
        except InputError as error:
            say(f"sgdsde: {name} is not drawn: {error}")
            status = 1
        else:
            print(fill(f"{paths[0]}, .png, .csv, .json", rest="  "))
    return status


def _make(figures: dict[str, Figure], command: Arguments) -> int | dict[str, Path]:
    """The studies' folders, or the exit status of what stopped it."""
    from sgdsde.archive import Stopped
    from sgdsde.figures.make import NotMade, make_claims, make_studies
    from sgdsde.runs.signals import Stop, listening

    claims = sorted({claim for figure in figures.values() for claim in figure.claims})
    studies = sorted({study for figure in figures.values() for study in figure.studies})
    folder, progress = command.out / "stored", Progress(sys.stderr)
    runs: dict[str, Path] = {}
    try:
        with listening(Stop()) as stop:
            if claims:
                progress.begin(f"sgdsde: claims {', '.join(claims)}, {command.workers} workers")
                make_claims(claims, folder, workers=command.workers, report=progress, stop=stop)
                progress.end()
            if studies:
                runs = make_studies(studies, folder, workers=command.workers, tell=lambda text: say(f"sgdsde: {text}"), stop=stop)
    except Stopped as error:
        say(f"sgdsde: stopped: {error}")
        return RESUME
    except NotMade as error:
        say(f"sgdsde: {error}")
        return 1
    except KeyboardInterrupt:
        say("sgdsde: stopped at once; what was finished is kept. Run the same command again to go on.")
        return RESUME
    return runs
