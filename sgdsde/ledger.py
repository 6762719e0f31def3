"""The ledger: plan the catalogue, run each measurement once on worker processes, judge the claims.

The confidence level of every interval is 1 − .05/R with R the rows of the *whole* catalogue at the profile, so that a claim run alone is judged
as in company. Measurements run in separate processes with one thread of linear algebra each; what one of them raises, or the death of
its process, becomes the reason why the claims that read it were not run.
"""

from __future__ import annotations

import multiprocessing
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sgdsde.archive import measure
from sgdsde.claim import LEVEL, Claim, Outcome, Plan, Verdict, as_claim, judge_plan, planned
from sgdsde.given import is_name, is_whole
from sgdsde.measurement import Finished, Measurement, carry_out
from sgdsde.runs.signals import Stop
from sgdsde.runs.workers import Borrowed, Processes, Serial
from sgdsde.types import InputError, suggest

#: cores that a run uses unless told otherwise
WORKERS = 2
#: the seed of a run unless told otherwise
SEED = 20240518

Report = Callable[[Measurement, Finished, int, int], None]


@dataclass(frozen=True)
class Entry:
    """One claim's line: its plan, its verdict, and the seconds of the measurements that it read."""

    claim: Claim
    plan: Plan
    verdict: Verdict
    seconds: float


@dataclass(frozen=True)
class Ledger:
    """A finished run. ``read`` of its measurements were made earlier, by the same code with the same seed and level; ``left_out`` are the claims of the
    catalogue that were not asked for or are not in the profile.
    """

    profile: str
    seed: int
    confidence: float
    catalogue_rows: int
    entries: tuple[Entry, ...]
    finished: Mapping[str, Finished]
    seconds: float
    environment: Mapping[str, str]
    read: int = 0
    left_out: tuple[Claim, ...] = ()

    @property
    def trustworthy(self) -> bool:
        """Whether every claim ran and none lost its control: the exit status. A contradicted claim is a result, not a failure."""
        return all(entry.verdict.outcome not in (Outcome.NOT_RUN, Outcome.CONTROL_FAILED) for entry in self.entries)

    def count(self, outcome: Outcome) -> int:
        """How many claims have this outcome."""
        return sum(entry.verdict.outcome is outcome for entry in self.entries)


def select(catalogue: Sequence[Claim], profile: str, *, ids: Sequence[str] = (), paper: str = "") -> tuple[Claim, ...]:
    """The claims of a profile, of those named, of those that cite an arXiv identifier (with or without version).

    Raises:
        InputError: an unknown profile, identifier or paper (with a suggestion), a claim that is not in the profile, or one that lacks an attribute.
    """
    catalogue = [as_claim(claim) for claim in catalogue]
    profiles = sorted({name for claim in catalogue for name in claim.scales})
    if not is_name(profile, profiles):
        raise InputError(f"{profile!r} is no profile." + suggest(profile, profiles))
    by_id = {claim.id: claim for claim in catalogue}
    for name in ids:
        if not is_name(name, by_id):
            raise InputError(f"{name!r} is no claim." + suggest(name, list(by_id)))
        if profile not in by_id[name].scales:
            raise InputError(f"claim {name} is not in profile {profile!r}; it runs in: {', '.join(by_id[name].scales)}.")
    chosen = [claim for claim in catalogue if profile in claim.scales and (not ids or claim.id in ids)]
    if paper:
        papers = sorted({citation.identifier for claim in catalogue for citation in claim.citations if citation.arxiv})
        if paper.split("v")[0] not in papers:
            raise InputError(f"No claim cites {paper!r}." + suggest(paper, papers))
        chosen = [claim for claim in chosen if any(citation.identifier == paper.split("v")[0] for citation in claim.citations)]
        if not chosen:
            raise InputError(f"None of the claims chosen cites {paper!r}.")
    return tuple(chosen)


def confidence_of(catalogue: Sequence[Claim], profile: str, seed: int) -> tuple[float, int]:
    """(1 − .05/R, R), R the rows of all claims of the catalogue at the profile.

    Raises:
        InputError: there is none, or a claim lacks an attribute.
    """
    rows = sum(len(planned(claim, profile, seed).rows) for claim in catalogue if profile in as_claim(claim).scales)
    if not rows:
        raise InputError(f"The {len(catalogue)} claims of the catalogue plan no row at the profile {profile!r}: nothing can be judged.")
    return 1 - LEVEL / rows, rows


def verify(
    catalogue: Sequence[Claim],
    chosen: Sequence[Claim],
    *,
    profile: str,
    seed: int = SEED,
    workers: int = WORKERS,
    report: Report | None = None,
    executor: Executor | None = None,
    folder: Path | None = None,
    stop: Stop | None = None,
) -> Ledger:
    """Run the chosen claims of a catalogue.

    Args:
        catalogue: all claims there are; it fixes the level.
        chosen: those to run, see :func:`select`.
        profile, seed: which sizes; where all random numbers come from.
        workers: processes (1 runs everything in this one).
        report: called after each measurement with it, its outcome, how many are done, how many there are.
        executor: any executor in place of the process pool.
        folder: keeps finished measurements; those that stand there, made by the same code with the same seed and level, are read and not made again.
        stop: where there is a folder: asked to stop, those under way are finished and kept.

    Raises:
        InputError: a claim lacks an attribute or is not in the profile, two measurements share a name and differ, ``workers`` < 1, or the seed is negative.
        Stopped: asked to stop before the end.
        FolderBusy, StorageError: another run works in the folder, or it cannot be written.
    """
    start = time.perf_counter()
    if workers < 1:
        raise InputError(f"workers = {workers}; wanted an integer ≥ 1.")
    if not is_whole(seed, 0):
        raise InputError(f"seed = {seed}; wanted a non-negative integer.")
    confidence, rows = confidence_of(catalogue, profile, seed)
    plans = {as_claim(claim).id: planned(claim, profile, seed) for claim in chosen}
    jobs = _distinct(plans.values())
    read = 0
    if folder is not None:
        finished, read = _kept(jobs, seed, confidence, folder, executor, workers, report, stop)
    elif executor is not None:
        finished = _run(jobs, seed, confidence, executor, report)
    elif workers == 1:
        finished = {}
        for job in jobs:
            finished[job.name] = carry_out(job, seed, confidence)
            _tell(report, job, finished, len(jobs))
    else:
        # spawn: a forked child of a process that has used torch's threads may hang
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            finished = _run(jobs, seed, confidence, pool, report)
    entries = []
    for claim in chosen:
        plan = plans[claim.id]
        verdict = judge_plan(claim.id, plan, finished, claim.scales[profile])
        entries.append(Entry(claim, plan, verdict, sum(finished[m.name].seconds for m in plan.measurements)))
    left_out = tuple(claim for claim in catalogue if claim.id not in plans)
    return Ledger(profile, seed, confidence, rows, tuple(entries), finished, time.perf_counter() - start, environment(), read, left_out)


def _kept(
    jobs: list[Measurement], seed: int, level: float, folder: Path, executor: Executor | None, workers: int, report: Report | None, stop: Stop | None
) -> tuple[dict[str, Finished], int]:
    """The measurements of ``folder`` and those that are missing there, on workers that are started anew where one dies."""
    told: dict[str, Finished] = {}

    def done(job: Measurement, finished: Finished) -> None:
        told[job.name] = finished
        _tell(report, job, told, len(jobs))

    crew = Borrowed(executor) if executor is not None else Serial() if workers == 1 else Processes(workers)
    complete = False
    try:
        result = measure(jobs, seed=seed, level=level, folder=folder, workers=crew, done=done, stop=stop)
        complete = True
        return result
    finally:
        crew.close(kill=not complete)


def environment() -> dict[str, str]:
    """Versions and machine, as far as they decide the numbers."""
    packages = ("sgdsde", "torch", "torchsde", "numpy", "scipy", "scikit-learn")
    found = {name: metadata.version(name) for name in packages}
    return found | {"python": platform.python_version(), "machine": platform.machine(), "system": sys.platform}


def _distinct(plans: Iterable[Plan]) -> list[Measurement]:
    """Each measurement once, the longest first."""
    jobs: dict[str, Measurement] = {}
    for plan in plans:
        for measurement in plan.measurements:
            known = jobs.setdefault(measurement.name, measurement)
            if known != measurement:
                raise InputError(f"Two different measurements are called {measurement.name!r}; give them different names.")
    return sorted(jobs.values(), key=lambda job: -job.seconds)


def _run(jobs: list[Measurement], seed: int, confidence: float, executor: Executor, report: Report | None) -> dict[str, Finished]:
    futures: dict[Future[Finished], Measurement] = {executor.submit(carry_out, job, seed, confidence): job for job in jobs}
    finished: dict[str, Finished] = {}
    try:
        for future in as_completed(futures):
            job = futures[future]
            try:
                finished[job.name] = future.result()
            except BrokenProcessPool:
                finished[job.name] = Finished(None, "a worker process died (out of memory?)", 0.0)
            _tell(report, job, finished, len(jobs))
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return finished


def _tell(report: Report | None, job: Measurement, finished: Mapping[str, Finished], total: int) -> None:
    if report is not None:
        report(job, finished[job.name], len(finished), total)
