"""Positivity of HA-SME's Q along SGD on a small network: the mean defect against the largest ηλ, and how often Q is indefinite, by samples n.

Reads a report that holds claim A10 (``sgdsde verify --claim A10 --out REPORT``), simulates nothing:
    python paper_figs/positivity.py REPORT [OUT]
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from sgdsde.plots import Panel, Series, panel_figure, save_figure


def missing(file: Path) -> SystemExit:
    return SystemExit(f"{file} is missing; run: sgdsde verify --claim A10 --out REPORT")


def defects(report: Path) -> Panel:
    """Mean negative over positive mass at the last mark, as the measurement stored it."""
    file = report / "figures" / "positivity-along-sgd.csv"
    if not file.exists():
        raise missing(file)
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        points[row["series"]].append((float(row["x"]), float(row["y"])))
    series = tuple(Series(name, name.removeprefix("network, "), *np.array(sorted(xy)).T, kind="band") for name, xy in points.items())
    return Panel(rows[0]["panel"], "largest ηλ", "negative / positive mass, mean", series, log="xy")


def shares(report: Path) -> Panel:
    """Share of points with an indefinite Q after the last mark, with the ledger's intervals."""
    file = report / "report.json"
    if not file.exists():
        raise missing(file)
    (claim,) = (claim for claim in json.loads(file.read_text(encoding="utf-8"))["claims"] if claim["id"] == "A10")
    last = max(row["parameters"]["k"] for row in claim["rows"])
    # looks that the left panel does not use; a shift so that points of one n do not hide each other
    kinds = (("HASME", "ηλ = .9", 0.9, "claim", -4), ("HASMEProduct", "ηλ = .01", 0.01, "claim", 0), ("SGD", "logistic, ηλ = .9", 0.9, "control", 4))
    series = []
    for look, label, x, role, shift in kinds:
        chosen = [row for row in claim["rows"] if row["parameters"]["x"] == x and row["role"] == role and row["parameters"]["k"] == last]
        chosen.sort(key=lambda row: row["size"])
        bars = (_column([row["estimate"] for row in chosen], key) for key in ("value", "low", "high"))
        series.append(Series(look, label, _column(chosen, "size") + shift, *bars, kind="points"))
    return Panel(f"Q indefinite after {last} steps", "samples n (points of one n stand 4 apart)", "share of points", tuple(series), level=0.5)


def _column(rows: list[dict[str, Any]], key: str) -> np.ndarray:
    return np.array([row[key] for row in rows], dtype=float)


def main() -> None:
    report, out = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path("figures")
    panels = (defects(report), shares(report))
    for path in save_figure(panel_figure(panels, columns=2, width=11.0, height=4.0), panels, out / "positivity"):
        print(path)


if __name__ == "__main__":
    main()
