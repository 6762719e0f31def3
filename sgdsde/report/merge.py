"""Stored reports put together: parts of the catalogue that were run apart, on one page. Nothing is measured; verdicts stand as they were judged.

Reports go together only if the same level judged them: one profile, one seed, one number of rows in the catalogue, one digest of the code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sgdsde.report.page import Figure
from sgdsde.report.papers import papers_of
from sgdsde.report.record import FORMAT, controls_of
from sgdsde.types import InputError

_ONE = ("format", "profile", "seed", "rows_in_catalogue", "confidence_of_each_interval", "code")


def read_record(folder: Path) -> dict[str, Any]:
    """``folder``/report.json.

    Raises:
        InputError: there is none, it is damaged, or of another format.
    """
    path = folder / "report.json"
    if not path.is_file():
        raise InputError(f"{folder} holds no report.json; wanted a folder that sgdsde verify wrote.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); run sgdsde verify again.") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT or "uncommitted_changes" not in record:
        raise InputError(f"{path} is not of format {FORMAT}; it was written by another version. Run sgdsde verify again.")
    return record


def merged(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One record of several; where two hold a claim, the first one's stands.

    Raises:
        InputError: they were not judged alike.
    """
    first = records[0]
    for other in records[1:]:
        for name in _ONE:
            if other[name] != first[name]:
                raise InputError(f"The reports differ in {name}: {first[name]} and {other[name]}; only reports that were judged alike go together.")
    claims: dict[str, dict[str, Any]] = {}
    for record in records:
        for claim in record["claims"]:
            claims.setdefault(claim["id"], claim)
    ordered = sorted(claims.values(), key=lambda claim: _order(claim["id"]))
    left = {entry["id"]: entry for record in records for entry in record["not_run"]}
    lost = {"not run", "control failed"}
    return {
        **first,
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "trustworthy": all(claim["verdict"] not in lost for claim in ordered),
        "claims": ordered,
        "not_run": [entry for name, entry in left.items() if name not in claims or claims[name]["verdict"] == "not run"],
        "papers": papers_of(ordered),
        "controls": controls_of(ordered),
    }


def stored_figures(folders: Sequence[Path]) -> dict[str, Figure]:
    """The SVG figures of reports by file name; the first folder's stands."""
    found: dict[str, Figure] = {}
    for folder in folders:
        for path in sorted((folder / "figures").glob("*.svg")):
            text = path.read_text(encoding="utf-8")
            found.setdefault(path.stem, Figure(text[text.index("<svg") :], path.stem.replace("-", " ")))
    return found


def _order(identifier: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", identifier)]
