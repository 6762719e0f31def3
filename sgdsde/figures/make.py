"""What figures need and nobody has made yet: claims through the ledger, studies through the driver, both durable. Killed, the same call goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sgdsde.archive import Stopped
from sgdsde.ledger import Report
from sgdsde.runs.signals import Stop
from sgdsde.types import SgdsdeError

PROFILE = "quick"


class NotMade(SgdsdeError):
    """A study's block failed for good."""


def make_claims(ids: Sequence[str], folder: Path, *, workers: int, report: Report | None, stop: Stop) -> None:
    """``folder``/report.json and ``folder``/figures with these claims at the quick profile; measurements that the same code has made are read.

    Raises:
        InputError: there is no such claim.
        Stopped: ``stop`` asked for an end.
    """
    from sgdsde.claims import catalogue
    from sgdsde.ledger import select, verify
    from sgdsde.report.write import write_tables

    claims = catalogue()
    chosen = select(claims, PROFILE, ids=ids)
    write_tables(verify(claims, chosen, profile=PROFILE, workers=workers, report=report, folder=folder / "measurements", stop=stop), folder)


def make_studies(names: Sequence[str], folder: Path, *, workers: int, tell: Callable[[str], object], stop: Stop) -> dict[str, Path]:
    """The folders of these studies' runs at the quick profile, complete; a run that is complete is not touched.

    Raises:
        InputError: there is no such study.
        NotMade: a block failed for good.
        Stopped: ``stop`` asked for an end.
    """
    from sgdsde.runs.config import resolve
    from sgdsde.runs.listing import folder_of_studies, load
    from sgdsde.runs.one import Run, carry_out
    from sgdsde.runs.policy import Policy
    from sgdsde.runs.workers import Processes

    place = folder_of_studies()
    runs = {}
    for name in names:
        study = load(name, place)
        runs[name] = Run(name, study, resolve(study.config, [(f"profile {PROFILE}", study.profiles.get(PROFILE, {}))]), place, folder / "runs")
    missing = [run for run in runs.values() if not _complete(run.folder)]
    if missing:
        crew, clean = Processes(workers), False
        try:
            for number, run in enumerate(missing, 1):
                tell(f"study {number} of {len(missing)}: {run.name}")
                ended = carry_out(run, crew, policy=Policy(attempts=3), stop=stop, options={"made for": "figures"})
                if ended.outcome.stopped:
                    raise Stopped(f"{ended.stored} of {run.layout.blocks} blocks of {run.name} are stored; run the same command again to go on.")
                if ended.summary is None:
                    why = next(iter(ended.outcome.failed.values()), "no reason was told")
                    raise NotMade(f"{len(ended.outcome.failed)} block(s) of {run.name} failed for good ({why}).")
            clean = True
        finally:
            crew.close(kill=not clean)
    return {name: run.folder for name, run in runs.items()}


def _complete(folder: Path) -> bool:
    from sgdsde.runs import open_run
    from sgdsde.types import InputError

    try:
        return open_run(folder).state == "complete"
    except InputError:
        return False
