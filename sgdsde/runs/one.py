"""One run: its folder, its blocks, its result. Running it again goes on where it stopped; another configuration is another folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sgdsde.runs import sessions
from sgdsde.runs.config import plain
from sgdsde.runs.driver import Driver
from sgdsde.runs.identity import code_digest, identity, surroundings
from sgdsde.runs.job import StudyJob, run_study_job
from sgdsde.runs.policy import Outcome, Policy
from sgdsde.runs.progress import Progress, duration
from sgdsde.runs.results import merge, write_result
from sgdsde.runs.signals import Stop
from sgdsde.runs.study import Layout, Study, StudyConfig, Summary, block_seed, key_of, layout_of
from sgdsde.runs.workers import Workers
from sgdsde.scripts import scripts
from sgdsde.store import BlockStore


@dataclass(frozen=True)
class Run:
    """A study with a configuration: everything that fixes its numbers, and where they go."""

    name: str
    study: Study
    config: StudyConfig
    folder_of_studies: Path
    out: Path

    @cached_property
    def layout(self) -> Layout:
        """How it is cut into blocks."""
        return layout_of(self.study, self.config)

    @cached_property
    def code(self) -> str:
        """The digest of the code that decides its numbers."""
        return code_digest(scripts(self.folder_of_studies)[self.name])

    @cached_property
    def identity(self) -> str:
        """What tells it from every other run."""
        return identity(self.name, plain(self.config), self.code)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.out / f"{self.name}-{self.identity}"

    def recipe(self) -> dict[str, Any]:
        """What ``run.json`` fixes."""
        layout = self.layout
        return {
            "kind": "study",
            "study": self.name,
            "title": self.study.title,
            "config": plain(self.config),
            "code": self.code,
            "cells": list(layout.cells),
            "blocks": layout.blocks,
            "blocks_a_cell": layout.per_cell,
            "conventions": str(self.study.conventions(self.config)),
        }

    def job(self, key: str) -> StudyJob:
        """The job of a block."""
        cell, part = self.layout.place(int(key))
        seed = block_seed(self.layout.seed, cell, part)
        return StudyJob(str(self.folder_of_studies), self.name, plain(self.config), self.code, cell, part, self.layout.paths_of(part), seed)


@dataclass(frozen=True)
class Ended:
    """How a run ended: ``summary`` where it is complete, else None; the blocks stored of all; the drive's outcome."""

    run: Run
    summary: Summary | None
    stored: int
    outcome: Outcome


def carry_out(run: Run, workers: Workers, *, policy: Policy, stop: Stop, options: Mapping[str, Any]) -> Ended:
    """Verify what is there, compute what is missing, write the result if nothing is missing then.

    Raises:
        FolderBusy, StorageError, WorkersLost: see there; whatever was acknowledged is safe.
    """
    layout = run.layout
    origin = {**surroundings(), "created": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    with BlockStore(run.folder, run.recipe(), origin) as store:
        progress = Progress(run.folder.name, total=layout.blocks, done=0, metrics=run.folder / "metrics.jsonl")
        sessions.began(run.folder, {"executor": workers.name, "options": dict(options), **surroundings()})
        how = "failed"
        try:
            _take_stock(store, progress, stop)
            missing = [key for key in map(key_of, range(layout.blocks)) if key not in store]
            outcome = Driver(run_study_job, run.job, store=store, workers=workers, policy=policy, watcher=progress, stop=stop).run(missing)
            complete = all(key_of(index) in store for index in range(layout.blocks))
            summary = write_result(run.folder, run.study, run.config, merge(layout, store.read)) if complete else None
            how = "complete" if complete else f"stopped by {stop.why}" if outcome.stopped else f"{len(outcome.failed)} block(s) failed"
            return Ended(run, summary, len(store), outcome)
        except KeyboardInterrupt:
            how = f"stopped at once by {stop.why}"
            raise
        except Exception as error:
            how = f"{type(error).__name__}: {error}"[:500]
            raise
        finally:
            progress.close()
            _last_line(run.folder, how, progress)


def _take_stock(store: BlockStore, progress: Progress, stop: Stop) -> None:
    """Hold what is there against its digests, and say what was found damaged."""
    held = len(store)
    if held:
        progress.say(f"{store.folder}: {held} of {progress.total} blocks are there; checking their digests")
    store.verify()
    for text in store.repairs:
        progress.say(text)
    progress.resume(len(store))


def _last_line(folder: Path, how: str, progress: Progress) -> None:
    from sgdsde.store import StorageError

    try:
        sessions.ended(folder, how, progress.session())
    except StorageError as error:  # the run's own error, if there is one, matters more
        progress.say(f"how this run ended could not be recorded: {error}")
    if how == "complete":
        progress.say(f"{folder.name} complete after {duration(progress.session()['wall_s'])}")
