"""Why HA-SME fails at barriers: rates at fixed temperature, crossing times against temperature, and against dimension.

Reads a report that holds claims F1 and F2 (``sgdsde verify --claim F1 --claim F2 --out REPORT``), simulates nothing:
    python paper_figs/fixed_temperature.py REPORT [OUT]
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from sgdsde.plots import Panel, Series, panel_figure, save_figure

#: theory is drawn in black, the look of the reference
NAMES = {"SME-1": "SME1", "SME-2": "SME2", "SPF": "SPF", "HA-SME": "HASME", "SME-3": "SME3", "HA-SME-3": "HASME3"}
ORDER = {"SME-1": 1, "HA-SME": 1, "SPF": 2, "SME-2": 2, "HA-SME-3": 2}
Curves = dict[str, tuple[np.ndarray, np.ndarray]]


def stored(file: Path) -> dict[str, Curves]:
    """Panel → series → (x, y), x ascending, of one stored table."""
    if not file.exists():
        raise SystemExit(f"{file} is missing; run: sgdsde verify --claim F1 --claim F2 --out {file.parent.parent}")
    points: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            points[row["panel"]][row["series"]].append((float(row["x"]), float(row["y"])))
    return {panel: {name: tuple(np.array(sorted(xy)).T) for name, xy in curves.items()} for panel, curves in points.items()}  # type: ignore[misc]


def rates(report: Path) -> Panel:
    """Relative errors of the relaxation rate against η, over the three ladders of step sizes."""
    panels = stored(report / "figures" / "relaxation-rates-at-fixed-temperature-circle.csv")
    merged: dict[str, dict[float, float]] = defaultdict(dict)
    for panel, curves in panels.items():
        if "drawn" not in panel:
            for name, (x, y) in curves.items():
                merged[name].update(zip(x, y, strict=True))
    series = []
    for name in ORDER:
        x = np.array(sorted(merged[name]))
        series.append(Series(NAMES[name], name, x, np.array([merged[name][eta] for eta in x]), kind="band"))
    return Panel("Relaxation rate at fixed temperature", "step size η", "relative error", tuple(series), log="xy")


def crossing(report: Path) -> Panel:
    """log(τ_model/τ_SGD) in the quartic double well against temperature, with the limits that theory gives."""
    (curves,) = stored(report / "figures" / "barrier-crossing-on-the-line-quartic.csv").values()
    series = [Series(NAMES[name], name, *curves[name], kind="band") for name in ("SME-1", "HA-SME", "SPF", "SME-2")]
    series += [Series("SGD", "theory, T → 0" if name == "HA-SME" else "", *curves[f"{name}, T → 0"]) for name in ("HA-SME", "SME-1")]
    return Panel("Quartic double well, η = 0.05", "temperature T", "log(τ / τ of SGD)", tuple(series), level=0.0)


def dimension(report: Path) -> Panel:
    """−log(τ/τ_SGD)/η at the smallest temperature against the dimension of a valley that stiffens."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for file in sorted((report / "figures").glob("barrier-crossing-in-a-stiffening-well-d-*.csv")):
        ((title, curves),) = stored(file).items()
        dim, eta = float(re.fullmatch(r".*-d-(\d+)", file.stem)[1]), float(re.search(r"η = ([\d.]+)", title)[1])  # type: ignore[index]
        for name in ("HA-SME", "SPF", "HA-SME, T → 0"):
            found[name].append((dim, -curves[name][1][0] / eta))
    hasme, spf, theory = (np.array(sorted(found[name])).T for name in ("HA-SME", "SPF", "HA-SME, T → 0"))
    series = (Series("HASME", "HA-SME", *hasme, kind="band"), Series("SPF", "SPF", *spf, kind="band"), Series("SGD", "theory, T → 0", *theory))
    return Panel("Valley that stiffens, T = 0.02", "dimension d", "−log(τ / τ of SGD) / η", series, level=0.0)


def main() -> None:
    report, out = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path("figures")
    panels = (rates(report), crossing(report), dimension(report))
    for path in save_figure(panel_figure(panels, columns=3, width=13.0, height=3.9), panels, out / "fixed_temperature"):
        print(path)


if __name__ == "__main__":
    main()
