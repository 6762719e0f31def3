"""A block as it travels: plain values only. The worker looks the study up in its own checkout and refuses where its code is not the driver's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgdsde.runs.asked import refuse_other_counts
from sgdsde.runs.config import resolve
from sgdsde.runs.identity import code_digest
from sgdsde.runs.listing import load
from sgdsde.runs.product import Product, product_of, refuse_non_finite
from sgdsde.runs.reducers import Histogram, Moments
from sgdsde.runs.threads import single_threaded
from sgdsde.scripts import scripts
from sgdsde.types import InputError


@dataclass(frozen=True)
class StudyJob:
    """One block of a study: which study of which folder, its configuration, the code expected, and the block's cell, number, paths and seed."""

    folder: str
    study: str
    config: Mapping[str, Any]
    code: str
    cell: str
    part: int
    paths: int
    seed: int


def run_study_job(job: StudyJob) -> Product:
    """Compute one block.

    Raises:
        InputError: this worker's code differs from the driver's, the study refuses its input, or the block holds fewer or more paths than it was asked for.
        NotFinite: the block holds NaN or infinity.
    """
    start = time.perf_counter()
    folder = Path(job.folder)
    study = load(job.study, folder)
    found = code_digest(scripts(folder)[job.study])
    if found != job.code:
        raise InputError(f"This worker's code ({found}) is not the driver's ({job.code}); bring both to one version. Blocks of different code are never mixed.")
    config = resolve(study.config, [("the driver", job.config)])
    with single_threaded():
        reducers = study.block(config, job.cell, paths=job.paths, seed=job.seed)
    wanted = {name: study.samples(config, job.cell, name, paths=job.paths) for name in _checked(job, reducers)}
    refuse_other_counts(reducers, wanted, place=f"{job.study}, cell {job.cell!r}, block {job.part}", paths=job.paths)
    tree = {name: reducer.to_tree() for name, reducer in reducers.items()}
    refuse_non_finite(tree)
    return product_of(tree, seconds=time.perf_counter() - start, device=device_name(config.device))


def _checked(job: StudyJob, reducers: Any) -> Mapping[str, Moments | Histogram]:
    if isinstance(reducers, Mapping) and all(isinstance(part, Moments | Histogram) for part in reducers.values()):
        return reducers
    came = {name: type(part).__name__ for name, part in reducers.items()} if isinstance(reducers, Mapping) else type(reducers).__name__
    raise InputError(f"{job.study}'s block returned {came}; wanted reducers by name, for example {{'end': Moments.of(values)}}.")


def device_name(device: str) -> str:
    """The device in words; results are equal bit for bit on the same kind only."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name(0)
    return device
