"""A ledger as plain data: what stands in ``report.json`` and what the page is made from.

JSON knows no infinity and no NaN: an infinite end of a region and an undefined number are ``null``.
"""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np

import sgdsde
from sgdsde.claim import Claim, Outcome, Role, RowVerdict
from sgdsde.ledger import SEED, Entry, Ledger
from sgdsde.measurement import Finished, Measurement, measurement_seed
from sgdsde.report.main_figure import main_caption
from sgdsde.report.papers import papers_of
from sgdsde.runs.identity import code_digest, git_state
from sgdsde.types import Estimate

#: raised when the meaning of a field changes
FORMAT = 1


def record_of(ledger: Ledger) -> dict[str, Any]:
    """Everything that was run, in the order of the catalogue, and what was not."""
    claims = [_claim(entry, ledger) for entry in ledger.entries]
    git = git_state(Path(sgdsde.__file__).resolve().parents[1]) or {}
    return {
        "format": FORMAT,
        "profile": ledger.profile,
        "seed": ledger.seed,
        "confidence_of_each_interval": ledger.confidence,
        "rows_in_catalogue": ledger.catalogue_rows,
        "seconds": round(ledger.seconds, 1),
        "trustworthy": ledger.trustworthy,
        "code": code_digest(),
        "commit": git.get("commit"),
        "uncommitted_changes": bool(git.get("changed")),
        "environment": dict(ledger.environment),
        "claims": claims,
        "not_run": [_without_verdict(claim) for claim in claims if claim["verdict"] == Outcome.NOT_RUN]
        + [_left_out(claim, ledger.profile) for claim in ledger.left_out],
        "papers": papers_of(claims),
        "controls": controls_of(claims),
        "caption": main_caption(ledger.finished),
    }


def controls_of(claims: list[dict[str, Any]]) -> dict[str, int]:
    """How many rows had to fail, how many did."""
    rows = [row for claim in claims for row in claim["rows"] if row["role"] == Role.CONTROL]
    return {"rows": len(rows), "failed_as_they_must": sum(row["verdict"] == Outcome.SUPPORTED for row in rows)}


def _without_verdict(claim: dict[str, Any]) -> dict[str, Any]:
    cited = {citation["arxiv"].split("v")[0] for citation in claim["citations"] if citation["arxiv"]}
    return {"id": claim["id"], "title": claim["title"], "why": claim["why"], "arxiv": sorted(cited)}


def _left_out(claim: Claim, profile: str) -> dict[str, Any]:
    why = "not asked for" if profile in claim.scales else f"not in the profile {profile}, only in {', '.join(claim.scales)}"
    cited = {citation.identifier for citation in claim.citations if citation.arxiv}
    return {"id": claim.id, "title": claim.title, "why": why, "arxiv": sorted(cited)}


def command_of(ledger: Ledger, claim: str) -> str:
    """The command that runs one claim again, with the same numbers."""
    words = ["sgdsde", "verify", "--profile", ledger.profile, "--claim", claim]
    if ledger.seed != SEED:
        words += ["--seed", str(ledger.seed)]
    return shlex.join(words)


def file_name(measurement: str) -> str:
    """A measurement's name as a file name."""
    return re.sub(r"[^a-z0-9]+", "-", measurement.lower()).strip("-")


def _claim(entry: Entry, ledger: Ledger) -> dict[str, Any]:
    claim, verdict = entry.claim, entry.verdict
    return {
        "id": claim.id,
        "title": claim.title,
        "statement": claim.statement,
        "citations": [{"arxiv": citation.arxiv, "where": citation.where} for citation in claim.citations],
        "conditions": [{"text": condition.text, "checked": condition.checked or None} for condition in claim.conditions],
        "not_shown": claim.not_shown,
        "size": claim.size_name,
        "verdict": str(verdict.outcome),
        "scale": str(verdict.scale),
        "why": verdict.why,
        "rows": [_row(row) for row in verdict.rows],
        "measurements": [_measurement(measurement, ledger) for measurement in entry.plan.measurements],
        "seconds": round(entry.seconds, 1),
        "command": command_of(ledger, claim.id),
    }


def _row(verdict: RowVerdict) -> dict[str, Any]:
    row = verdict.row
    return {
        "label": row.label,
        "role": str(row.role),
        "drawn": row.drawn,
        "size": _number(row.size),
        "parameters": {name: _plain(value) for name, value in row.parameters.items()},
        "measurement": row.measurement,
        "key": row.key,
        "region": {"text": str(row.zone), "low": _number(row.zone.low), "high": _number(row.zone.high)},
        "estimate": _estimate(verdict.estimate),
        "verdict": str(verdict.outcome),
        "why": verdict.why,
    }


def _measurement(measurement: Measurement, ledger: Ledger) -> dict[str, Any]:
    finished: Finished = ledger.finished[measurement.name]
    measured = finished.measured
    return {
        "name": measurement.name,
        "function": f"{measurement.run.__module__}.{measurement.run.__qualname__}",
        "parameters": {name: _plain(value) for name, value in measurement.parameters.items()},
        "seed": measurement_seed(ledger.seed, measurement.name),
        "seconds": round(finished.seconds, 2),
        "error": finished.error or None,
        "notes": list(measured.notes) if measured else [],
        "conventions": measured.conventions if measured else "",
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    parts = {name: _number(getattr(estimate, name)) for name in ("value", "stderr", "low", "high")}
    return {**parts, "n": int(estimate.n), "exact": estimate.n == 0}


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, str, int)) or value is None:
        return value
    if isinstance(value, (float, np.floating)):
        return _number(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return str(value)
