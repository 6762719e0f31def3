"""Finished measurements on disk, so that a killed ``verify`` goes on where it stopped: each is a durable block, named by everything that decides it.

The key is a digest of the measurement's name, function and parameters, the ledger's seed and level, and the code with its libraries: another seed, another
catalogue (another level) or a changed line is another key, and nothing stale can be read. Failures are told and not kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sgdsde.measurement import Finished, Measured, Measurement, carry_out
from sgdsde.plots.image import Image
from sgdsde.plots.panel import Panel, Series
from sgdsde.runs.durable import durable_map
from sgdsde.runs.identity import code_digest
from sgdsde.runs.policy import Policy
from sgdsde.runs.signals import Stop
from sgdsde.runs.workers import Workers
from sgdsde.store import Tree
from sgdsde.types import Estimate, SgdsdeError

#: raised when the meaning of a stored field changes
FORMAT = 1
_PLAIN = (type(None), bool, int, float, str)


class Stopped(SgdsdeError):
    """Asked to stop before every measurement was made; those that are made are kept."""


def measure(
    jobs: Sequence[Measurement],
    *,
    seed: int,
    level: float,
    folder: Path,
    workers: Workers,
    done: Callable[[Measurement, Finished], object],
    stop: Stop | None = None,
) -> tuple[dict[str, Finished], int]:
    """Every measurement by name, and how many of them were read: from ``folder`` where it stands there, else made, and kept if it succeeded.

    Raises:
        Stopped: ``stop`` asked for an end.
        FolderBusy, StorageError: another ``verify`` works in the folder, or it cannot be written.
    """
    by_key = {key_of(job, seed, level): job for job in jobs}
    # a measurement may take hours where another takes a second: no deadline from the others' times, and no second start
    patience = max(3600.0, 100 * max((job.seconds for job in jobs), default=0.0))
    mapped = durable_map(
        _carry_out,
        {key: (job, seed, level) for key, job in by_key.items()},
        folder,
        recipe={"kind": "measurements", "format": FORMAT},
        workers=workers,
        encode=tree_of,
        decode_result=finished_of,
        keep=_succeeded,
        done=lambda key, finished, _: done(by_key[key], finished),
        policy=Policy(attempts=2, patience=patience, failures=len(jobs) + 1, straggler=None),
        stop=stop,
    )
    if mapped.stopped:
        raise Stopped(f"{len(mapped.results)} of {len(jobs)} measurements are made and kept in {folder}; run the same command again to go on.")
    lost = {key: Finished(None, why, 0.0) for key, why in mapped.failed.items()}
    for key, finished in lost.items():
        done(by_key[key], finished)
    return {by_key[key].name: finished for key, finished in (mapped.results | lost).items()}, len(mapped.stored_before)


def key_of(measurement: Measurement, seed: int, level: float) -> str:
    """40 hexadecimal digits over everything that decides the result.

    Raises:
        TypeError: a parameter is no plain value (None, bool, number, text, list, tuple or dictionary of them).
    """
    content = {
        "name": measurement.name,
        "run": f"{measurement.run.__module__}:{measurement.run.__qualname__}",
        "parameters": _plain(dict(measurement.parameters), measurement.name),
        "seed": seed,
        "level": level,
        "code": code_digest(),
        "format": FORMAT,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:40]


def tree_of(finished: Finished) -> Tree:
    """A finished measurement as plain values and arrays."""
    measured = finished.measured
    if measured is None:
        return {"error": finished.error, "seconds": finished.seconds}
    return {
        "estimates": {
            name: {part: getattr(estimate, part) for part in ("value", "stderr", "n", "low", "high")} for name, estimate in measured.estimates.items()
        },
        "panels": [_panel_tree(panel) for panel in measured.panels],
        "notes": list(measured.notes),
        "conventions": measured.conventions,
        "seconds": finished.seconds,
    }


def finished_of(tree: Tree) -> Finished:
    """What :func:`tree_of` wrote."""
    if "error" in tree:
        return Finished(None, tree["error"], tree["seconds"])
    estimates = {name: Estimate(**{**parts, "n": int(parts["n"])}) for name, parts in tree["estimates"].items()}
    panels = tuple(_panel_of(panel) for panel in tree["panels"])
    return Finished(Measured(estimates, panels, tuple(tree["notes"]), tree["conventions"]), "", tree["seconds"])


def _panel_tree(panel: Panel) -> Tree:
    image = None if panel.image is None else dict(vars(panel.image))
    return {**vars(panel), "series": [dict(vars(series)) for series in panel.series], "image": image}


def _panel_of(tree: Tree) -> Panel:
    image = None if tree["image"] is None else Image(**_tuples(tree["image"]))
    return Panel(**{**_tuples(tree), "series": tuple(Series(**series) for series in tree["series"]), "image": image})


def _tuples(tree: Tree) -> dict[str, Any]:
    """The file knows lists only."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in tree.items()}


def _carry_out(job: tuple[Measurement, int, float]) -> Finished:
    return carry_out(*job)


def _succeeded(finished: Finished) -> bool:
    return finished.measured is not None


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(part, name) for part in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(part, name) for key, part in value.items()}
    if isinstance(value, Mapping):  # keys that are numbers stay numbers: JSON would make 1 and "1" one key
        return [[_plain(key, name), _plain(part, name)] for key, part in value.items()]
    raise TypeError(f"measurement {name!r}: a parameter holds a {type(value).__name__}; parameters are plain values, so that they can name a result")
