"""The command line. Help and lists do not import torch; names are looked up in listings; bad input is one sentence and exit status 2.

``sgdsde verify`` ends with 0 where every claim ran and none lost its control, with 1 where not, with 75 where it was stopped and can go on; a contradicted
claim is a result.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from sgdsde.columns import fill, listed
from sgdsde.completion import COMMANDS, script
from sgdsde.terminal import RESUME, Progress, say
from sgdsde.types import SgdsdeError, suggest
from sgdsde.words import parsed, whole

if TYPE_CHECKING:
    from sgdsde.ledger import Ledger

PROFILES = ("quick", "full")
WELCOME = """\
sgdsde: which SDE describes your SGD, how well, and where it breaks.
Next: sgdsde verify --claim A5 (half a minute), then open report/report.html.

  sgdsde verify            check the ledger of claims, write report/report.html
  sgdsde verify --help     its options
  sgdsde atlas --help      which SDE model to trust, for a problem and a point
  sgdsde run --help        studies: long runs that can be killed and resumed
  sgdsde figures --help    figures of the paper from stored results
  sgdsde report --help     the page again, several runs as one
  sgdsde list claims       what is claimed; also models, objectives, noises,
                           kernels, experiments, figures
  sgdsde completion bash   tab completion: eval "$(sgdsde completion bash)"
  sgdsde info              versions, device, threads, conventions
"""
ALSO = """\
Also, each with its own --help:
  sgdsde run       studies that can be killed and resumed
  sgdsde atlas     which SDE model to trust, for a problem and a point
  sgdsde figures   figures of the paper from stored results
  sgdsde report    the page of stored runs, several as one"""


@dataclass(frozen=True)
class Verify:
    """Run the ledger: measure every claim of a profile, write a report.

    Stopped or killed, the same command goes on from DIR/measurements.

    Exit status 0: everything ran and no control was lost.

    Exit status 1: something did not run or lost its control.

    Exit status 2: wrong usage. A contradicted claim is a result, not a failure.
    """

    profile: Annotated[str, tyro.conf.arg(metavar="{quick,full}")] = "quick"
    """quick: a few minutes on two cores. full: larger sizes, more paths."""
    claim: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="ID")] = ()
    """run this claim only; may be given again (see: sgdsde list claims)"""
    paper: Annotated[str | None, tyro.conf.arg(metavar="ARXIV", help_behavior_hint="")] = None
    """run the claims that cite this arXiv identifier only, for example 2405.18373"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("report")
    """where report.html, report.json and figures/ go"""
    seed: Annotated[str | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: 20240518)")] = None
    """where all random numbers and drawn parameters come from"""
    workers: Annotated[str | None, tyro.conf.arg(metavar="N", help_behavior_hint="(default: 2)")] = None
    """worker processes; the numbers do not depend on it"""


@dataclass(frozen=True)
class List:
    """List claims, models, objectives, noises, kernels, experiments or figures."""

    kind: Annotated[tyro.conf.Positional[Literal["claims", "models", "objectives", "noises", "kernels", "experiments", "figures"]], tyro.conf.arg(name="kind")]
    """what to list"""


@dataclass(frozen=True)
class Completion:
    """Tab completion: eval "$(sgdsde completion bash)"."""

    shell: Annotated[tyro.conf.Positional[Literal["bash", "zsh"]], tyro.conf.arg(name="shell")]
    """which shell"""


@dataclass(frozen=True)
class Info:
    """Versions, device, threads and the conventions behind every number."""


def _run(arguments: Sequence[str]) -> int:
    from sgdsde.runs import main_run

    return main_run(arguments)


def _figures(arguments: Sequence[str]) -> int:
    from sgdsde.figures.command import main_figures

    return main_figures(arguments)


def _report(arguments: Sequence[str]) -> int:
    from sgdsde.report.command import main_report

    return main_report(arguments)


def _atlas(arguments: Sequence[str]) -> int:
    from sgdsde.atlas_command import main_atlas

    return main_atlas(arguments)


#: commands that are modules of their own, imported when asked for
OWN = {"run": _run, "figures": _figures, "report": _report, "atlas": _atlas}


def run(arguments: Sequence[str]) -> int:
    """Parse and carry out; returns the exit status."""
    if not arguments:
        print(WELCOME, end="")
        return 0
    if arguments[0] in OWN:  # these read their words themselves
        return OWN[arguments[0]](arguments[1:])
    if arguments[0] not in COMMANDS and not arguments[0].startswith("-"):
        say(f"sgdsde: error: {arguments[0][:80]!r} is no command." + suggest(arguments[0][:80], list(COMMANDS)))
        return 2
    kinds: Any = Verify | List | Info | Completion
    try:
        command: Verify | List | Info | Completion = parsed(kinds, arguments, prog="sgdsde", description=ALSO, config=(tyro.conf.OmitSubcommandPrefixes,))
    except SystemExit as stop:  # tyro has printed help (0) or what was wrong with the arguments (2)
        return int(stop.code or 0)
    match command:
        case List(kind=kind):
            return _list(kind)
        case Info():
            return _info()
        case Completion(shell=shell):
            print(script(shell), end="")
            return 0
        case Verify():
            return _verify(command)


def _list(kind: str) -> int:
    from sgdsde.listing import Item, listing

    if kind in ("experiments", "figures"):
        from sgdsde.figures.listing import folder_of_figures
        from sgdsde.runs.listing import describe, folder_of_studies
        from sgdsde.types import InputError

        try:
            folder = folder_of_studies() if kind == "experiments" else folder_of_figures()
        except InputError as error:
            say(f"sgdsde: error: {error}")
            return 2
        items = [Item(name, text) for name, text in describe(folder).items()]
    else:
        items = listing(kind)
    indent = max((len(item.name) for item in items), default=0) + 2
    for item in items:
        print(listed(item.name, item.text, indent))
    return 0


def _info() -> int:
    import torch

    from sgdsde.ledger import environment

    device = f"cuda: {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else "cpu (no CUDA device)"
    facts = environment() | {"device": device, "threads": f"{torch.get_num_threads()} here; 1 in each worker of the ledger"}
    conventions = (
        "f mean loss; η step size; B batch size; Σ covariance of the stochastic gradient that SGD uses, batch size included; SDE time t = kη; "
        "Itô; Q = DDᵀ; x = ηλ per eigendirection; float64 unless the start point says otherwise; intervals of the ledger at 1 − .05/(rows of the catalogue)"
    )
    for name, text in (facts | {"conventions": conventions}).items():
        print(listed(name, text, 14))
    return 0


def _verify(command: Verify) -> int:
    from sgdsde.archive import Stopped
    from sgdsde.claims import catalogue
    from sgdsde.ledger import SEED, WORKERS, select, verify
    from sgdsde.report.write import prepare, write_report
    from sgdsde.runs import Stop, listening

    progress = Progress(sys.stderr)
    try:
        claims = catalogue()
        chosen = select(claims, command.profile, ids=command.claim, paper=command.paper or "")
        seed, workers = whole(command.seed, "--seed", low=0), whole(command.workers, "--workers", low=1)
        seed, workers = SEED if seed is None else seed, WORKERS if workers is None else workers
        prepare(command.out)
        progress.begin(f"sgdsde: {len(chosen)} claim{'s' * (len(chosen) != 1)}, profile {command.profile}, seed {seed}, {workers} workers")
        with listening(Stop()) as stop:
            ledger = verify(
                claims, chosen, profile=command.profile, seed=seed, workers=workers, report=progress, folder=command.out / "measurements", stop=stop
            )
    except Stopped as error:
        say(f"sgdsde: stopped: {error}")
        return RESUME
    except SgdsdeError as error:
        say(f"sgdsde: error: {error}")
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        say("sgdsde: stopped at once; finished measurements are kept. Run the same command again to go on.")
        return RESUME
    progress.end()
    page = write_report(ledger, command.out)
    print(summary(ledger))
    print(f"report: {page}")
    return 0 if ledger.trustworthy else 1


def summary(ledger: Ledger) -> str:
    """One line a claim, the counts, and what went wrong; at most 80 columns."""
    from sgdsde.claim import Outcome

    width = max((len(entry.claim.id) for entry in ledger.entries), default=0) + 2
    lines = []
    for entry in ledger.entries:
        head = f"{entry.claim.id:<{width}}{entry.verdict.outcome:<16}{entry.verdict.scale:<9}"
        lines.append(fill(entry.claim.title, first=head))
    counts = ", ".join(f"{ledger.count(outcome)} {outcome}" for outcome in Outcome if ledger.count(outcome))
    read = f" ({ledger.read} of {len(ledger.finished)} measurements were made earlier by the same code)" if ledger.read else ""
    lines += ["", fill(f"{counts}; {ledger.seconds:.0f} s{read}")]
    for entry in ledger.entries:
        if entry.verdict.outcome is not Outcome.SUPPORTED:
            lines.append(fill(f"{entry.claim.id} {entry.verdict.outcome}: {entry.verdict.why}", rest="  "))
    return "\n".join(lines)
