"""A measurement: a named, costly, possibly random function that runs once and is read by any number of claims and figures.

It receives a seed and a level and returns estimates whose intervals have that error probability. Its seed depends on the ledger's seed and
on the measurement's name only, so that a claim run alone reads the same numbers as in the whole ledger.
"""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sgdsde.plots.panel import Panel
from sgdsde.types import Estimate, expected


@dataclass(frozen=True)
class Measured:
    """What a measurement returns.

    ``estimates`` by key, scalars with intervals at the level asked for; ``panels`` draw them; ``notes`` say what a reader must know
    (paths that diverged, steps used); ``conventions`` what all numbers presuppose.
    """

    estimates: Mapping[str, Estimate]
    panels: tuple[Panel, ...] = ()
    notes: tuple[str, ...] = ()
    conventions: str = ""


@dataclass(frozen=True)
class Measurement:
    """A planned measurement. Two with the same name must be equal; the ledger refuses otherwise.

    Attributes:
        name: unique; also names the random stream.
        run: a module-level function ``(*, seed, level, **parameters) -> Measured``.
        parameters: its keyword arguments, plain values that travel to a worker.
        seconds: a rough cost on one core; the longest start first.
        population: it draws its problems itself from its seed (data, initialisations): what it returns is about their population.
    """

    name: str
    run: Callable[..., Measured]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 1.0
    population: bool = False


@dataclass(frozen=True)
class Finished:
    """A finished measurement: what it returned or why it did not, and how long it took."""

    measured: Measured | None
    error: str
    seconds: float


def measurement_seed(seed: int, name: str) -> int:
    """The seed of one measurement: 63 bits of a digest of the ledger's seed and the measurement's name."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") >> 1


def carry_out(measurement: Measurement, seed: int, level: float) -> Finished:
    """Run one measurement here, on one thread of linear algebra; an exception becomes a reason, not a crash of the ledger."""
    import torch

    from sgdsde.loop import one_thread

    start = time.perf_counter()
    try:
        with one_thread(), torch.no_grad():
            measured = measurement.run(seed=measurement_seed(seed, measurement.name), level=level, **measurement.parameters)
            expected(measured, Measured, f"what {measurement.name!r} returned", "Measured(estimates, panels, notes, conventions)")
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
        return Finished(None, f"{type(error).__name__} at {place}: {error}", time.perf_counter() - start)
    return Finished(measured, "", time.perf_counter() - start)


def exactly(value: float, accuracy: float) -> Estimate:
    """A number without sampling: its interval is value ± the accuracy that its oracle states."""
    return Estimate(float(value), 0.0, 0, float(value) - accuracy, float(value) + accuracy)
