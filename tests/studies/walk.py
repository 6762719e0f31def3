"""A cheap study with faults on request: random walks by numpy alone, and blocks that hang, die, raise or return NaN."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sgdsde.plots import Panel, Series
from sgdsde.runs import Histogram, Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, InputError


@dataclass(frozen=True)
class Config(StudyConfig):
    """Size, slowness, and what goes wrong where."""

    paths: int = option(64, "paths a cell", low=1)
    block_paths: int = option(16, "paths a block", low=1)
    cells: int = option(4, "how many cells", low=1, high=100_000)
    steps: int = option(8, "steps a walk", low=1)
    pause: float = option(0.0, "seconds a block sleeps", low=0)
    fault: Literal["none", "nan", "inf", "hang", "die", "raise", "refuse", "big"] = option("none", "what goes wrong in the cell fault_cell")
    fault_cell: int = option(1, "where")
    once: str = option("", "a file: the fault happens only while it is not there, and makes it")
    growth: tuple[float, ...] = option((1.0, 2.0), "unused: a tuple for the tests of configurations", above=0)
    drift: float | None = option(None, "unused: may be none", low=-1, high=1)
    figure: bool = option(False, "whether to draw (matplotlib takes two seconds)")


class Walk(Study[Config]):
    """Ends of random walks."""

    title = "Random walks with faults"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {"quick": {}, "full": {"paths": 256}}

    def cells(self, config: Config) -> Sequence[str]:
        return [f"c{index}" for index in range(config.cells)]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Any]:
        time.sleep(config.pause)
        ends = np.random.default_rng(seed).standard_normal((paths, config.steps)).sum(1)
        result: dict[str, Any] = {"end": Moments.of(ends), "law": Histogram.of(ends, np.linspace(-10, 10, 21))}
        if config.fault != "none" and cell == f"c{config.fault_cell}" and _first(config.once):
            self._go_wrong(config.fault, result)
        return result

    def _go_wrong(self, fault: str, result: dict[str, Any]) -> None:
        if fault in ("nan", "inf"):
            whole = result["end"]
            result["end"] = Moments(whole.count, whole.lost, np.asarray(float(fault)), whole.m2, whole.m3, whole.m4)
        elif fault == "hang":
            time.sleep(600)
        elif fault == "die":
            os._exit(9)
        elif fault == "raise":
            raise RuntimeError("a passing trouble")
        elif fault == "refuse":
            raise InputError("this block cannot be")
        elif fault == "big":
            result["law"] = Histogram.of(np.zeros(result["law"].total), np.linspace(-1, 1, 20_001))

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines = tuple(Line(cell, "mean", parts["end"].mean_estimate()) for cell, parts in cells.items())
        if not config.figure:
            return Summary(lines, ())
        value = np.array([line.estimate.value for line in lines])
        return Summary(lines, (Panel("Ends", "cell", "mean", (Series("SGD", "mean", np.arange(len(lines)), value),)),))


def _first(once: str) -> bool:
    """Whether the fault happens: always, or the first time somebody asks."""
    if not once:
        return True
    try:
        os.close(os.open(Path(once), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


STUDY = Walk()
