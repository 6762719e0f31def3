"""A figure as files: NAME.pdf, .png, .csv and .json, equal byte for byte where what is stored is equal.

NAME.json   title, caption, verdicts of the claims, runs of the studies, a hash of every configuration behind it, the code that made the numbers,
            the commands that make it again
"""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

import sgdsde
from sgdsde.figures.figure import Figure, Sheet, Width
from sgdsde.figures.stored import Stored
from sgdsde.plots import PRINT, csv_of, panel_figure
from sgdsde.types import InputError

#: raised when the meaning of a field changes
FORMAT = 1


def write_figure(name: str, figure: Figure, script: Path, stored: Stored, *, width: Width, out: Path) -> list[Path]:
    """Draw from what is stored and write all four files; returns their paths.

    Raises:
        InputError: something that it reads is not stored, or it draws nothing.
    """
    import matplotlib

    sheet = figure.draw(stored)
    if not sheet.panels:
        raise InputError(f"{name} draws no panel.")
    facts = facts_of(name, figure, script, stored, sheet, width)
    wide, high = sheet.size(width)
    drawn = panel_figure(sheet.panels, columns=sheet.columns, width=wide, height=high, style=PRINT)
    out.mkdir(parents=True, exist_ok=True)
    stem = name.replace("-", "_")
    pdf, png, table, record = (out / f"{stem}{suffix}" for suffix in (".pdf", ".png", ".csv", ".json"))
    with matplotlib.rc_context(PRINT):
        drawn.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
        drawn.savefig(png, format="png", metadata={"Software": None})
    table.write_text(csv_of(sheet.panels), encoding="utf-8")
    record.write_text(json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return [pdf, png, table, record]


def facts_of(name: str, figure: Figure, script: Path, stored: Stored, sheet: Sheet, width: Width) -> dict[str, Any]:
    """What NAME.json holds."""
    claims = [_claim(stored, claim) for claim in figure.claims]
    studies = [_study(stored, study) for study in figure.studies]
    origins = [{key: claim[key] for key in ("id", "profile", "seed", "code", "measurements")} for claim in claims] + [
        {key: study[key] for key in ("name", "identity")} for study in studies
    ]
    commands = [f"sgdsde verify --profile {claim['profile']} --claim {claim['id']} --seed {claim['seed']}" for claim in claims]
    return {
        "format": FORMAT,
        "figure": name,
        "title": figure.title,
        "caption": sheet.caption,
        "width": width,
        "inches": list(sheet.size(width)),
        "config_hash": _hash(origins),
        "script_hash": hashlib.sha256(script.read_bytes()).hexdigest()[:12],
        "sgdsde": sgdsde.__version__,
        "claims": [{key: value for key, value in claim.items() if key != "measurements"} for claim in claims],
        "studies": studies,
        "commands": [*commands, *(study["command"] for study in studies), f"sgdsde figures {name} --from REPORT --from RUNS --width {width}"],
    }


def _claim(stored: Stored, claim: str) -> dict[str, Any]:
    _, record, entry = stored.record(claim)
    return {
        **{key: entry[key] for key in ("id", "title", "verdict", "scale", "why")},
        **{key: record.get(key) for key in ("profile", "seed", "code", "commit", "uncommitted_changes")},
        "measurements": [{key: part[key] for key in ("function", "name", "parameters", "seed")} for part in entry["measurements"]],
    }


def _study(stored: Stored, name: str) -> dict[str, Any]:
    run = stored.study(name).run
    git = run.origin.get("git") or {}
    settings = " ".join(f"--{key.replace('_', '-')} {_setting(value)}" for key, value in run.config.items())
    return {
        "name": name,
        "title": run.title,
        "identity": run.identity,
        "config": run.config,
        "commit": git.get("commit"),
        "uncommitted_changes": bool(git.get("changed")),
        "versions": run.origin.get("versions"),
        "command": f"sgdsde run {name} {settings}",
    }


def _setting(value: Any) -> str:
    """As the shell takes it: an empty text is two quotes."""
    return shlex.quote(",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()[:12]
