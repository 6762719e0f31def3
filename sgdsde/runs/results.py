"""From blocks to a result: cells merged in the order of their blocks, one block in memory at a time; a table, the merged reducers and a figure in the folder.

    result.json           lines with error bars, conventions, notes; written last, so its presence says that the rest is there
    merged.safetensors    the merged reducers of every cell
    figure.svg/pdf/png/csv

All of it follows from the blocks alone: equal blocks give equal files, and whoever loses them runs the same command again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sgdsde.plots import panel_figure, save_figure
from sgdsde.runs.reducers import Histogram, Moments, from_tree
from sgdsde.runs.study import Layout, Study, Summary, key_of
from sgdsde.store import Tree, encode, write_durably
from sgdsde.types import Conventions, Estimate, InputError

RESULT, MERGED = "result.json", "merged.safetensors"
Merged = dict[str, dict[str, Moments | Histogram]]


def merge(layout: Layout, read: Callable[[str], Tree], have: Callable[[str], bool] = lambda key: True) -> Merged:
    """The reducers of each cell, over the blocks that ``have`` accepts; cells without a block are left out.

    Raises:
        InputError: two blocks of a cell hold other names, or reducers that do not go together.
    """
    merged: Merged = {}
    for index in range(layout.blocks):
        key = key_of(index)
        if not have(key):
            continue
        cell, _ = layout.place(index)
        block = {name: from_tree(tree) for name, tree in read(key).items()}
        known = merged.get(cell)
        if known is not None and set(known) != set(block):
            raise InputError(f"Block {key} of cell {cell!r} holds {sorted(block)}, those before it {sorted(known)}; wanted the same names in every block.")
        merged[cell] = block if known is None else {name: _merged(known[name], part) for name, part in block.items()}
    return merged


def write_result(folder: Path, study: Study, config: Any, merged: Merged) -> Summary:
    """Draw the summary, write everything, the table last.

    Raises:
        InputError: the study's summary is none.
        StorageError: the file system refuses.
    """
    summary = study.summary(config, merged)
    if not isinstance(summary, Summary):
        raise InputError(f"{type(study).__name__}.summary returned {type(summary).__name__}; wanted Summary(lines, panels).")
    write_durably(folder / MERGED, encode({cell: {name: part.to_tree() for name, part in parts.items()} for cell, parts in merged.items()}))
    if summary.panels:
        save_figure(panel_figure(summary.panels), summary.panels, folder / "figure")
    write_durably(folder / RESULT, json.dumps(table(summary, study.conventions(config)), indent=1, ensure_ascii=False, allow_nan=False).encode())
    return summary


def table(summary: Summary, conventions: Conventions) -> dict[str, Any]:
    """The summary as JSON; undefined and infinite numbers are null."""
    return {
        "conventions": str(conventions),
        "notes": list(summary.notes),
        "lines": [{"cell": line.cell, "quantity": line.quantity, **_numbers(line.estimate)} for line in summary.lines],
    }


def _merged(first: Moments | Histogram, second: Moments | Histogram) -> Moments | Histogram:
    if isinstance(first, Moments) and isinstance(second, Moments):
        return first.merge(second)
    if isinstance(first, Histogram) and isinstance(second, Histogram):
        return first.merge(second)
    raise TypeError(f"a {type(first).__name__} and a {type(second).__name__} stand under one name")


def _numbers(estimate: Estimate) -> Mapping[str, Any]:
    parts = {name: getattr(estimate, name) for name in ("value", "stderr", "low", "high")}
    return {name: _json(part) for name, part in parts.items()} | {"n": estimate.n}


def _json(value: Any) -> Any:
    if np.ndim(value):
        return [_json(part) for part in value]
    return float(value) if math.isfinite(value) else None
