"""Why HA-SME fails at barriers: rates at fixed temperature, crossing times against temperature and against dimension (claims F1, F2)."""

from __future__ import annotations

import re

import numpy as np

from sgdsde.figures import Curve, Figure, Sheet, Stored
from sgdsde.plots import Panel, Series, model_of

MODELS = ("SME-1", "HA-SME", "SPF", "SME-2")


def rates(stored: Stored) -> Panel:
    """Relative errors of the relaxation rate against η, over the three ladders of step sizes."""
    ladders = [curves for title, curves in stored.table("relaxation-rates-at-fixed-temperature-circle").items() if "drawn" not in title]
    series = []
    for name in (*MODELS, "HA-SME-3"):
        merged = {eta: error for curves in ladders for eta, error in zip(curves[name].x, curves[name].y, strict=True)}
        eta = np.array(sorted(merged))
        series.append(Series(model_of(name), name, eta, np.array([merged[value] for value in eta]), kind="band"))
    return Panel("Rate on the circle", "step size η", "relative error of the rate", tuple(series), log="xy")


def crossing(stored: Stored) -> Panel:
    """log(τ_model/τ_SGD) in the quartic double well against temperature, with the limits that theory gives."""
    curves = stored.table("barrier-crossing-on-the-line-quartic").first
    series = [curves[name].ascending().series(model_of(name), name, kind="band") for name in MODELS]
    series += [curves[f"{name}, T → 0"].series("SGD", "theory, T → 0" if name == "HA-SME" else "", kind="line") for name in ("HA-SME", "SME-1")]
    return Panel("Quartic well, η = 0.05", "temperature T", "log(τ / τ of SGD)", tuple(series), level=0.0)


def dimension(stored: Stored) -> Panel:
    """−log(τ/τ_SGD)/η at the smallest temperature against the dimension of a valley that stiffens."""
    found: dict[str, list[tuple[float, float]]] = {"HA-SME": [], "SPF": [], "HA-SME, T → 0": []}
    for slug, table in stored.tables("barrier-crossing-in-a-stiffening-well-d-*").items():
        ((title, curves),) = table.items()
        eta = float(re.findall(r"η = ([\d.]+)", title)[0])
        for name, points in found.items():
            points.append((float(slug.rpartition("-")[2]), -curves[name].ascending().y[0] / eta))
    hasme, spf, theory = (Curve(*np.array(sorted(points)).T) for points in found.values())
    series = (hasme.series("HASME", "HA-SME", kind="band"), spf.series("SPF", "SPF", kind="band"), theory.series("SGD", "theory, T → 0"))
    return Panel("Valley, T = 0.02", "dimension d", "−log(τ / τ of SGD) / η", series, level=0.0)


def draw(stored: Stored) -> Sheet:
    return Sheet(
        (rates(stored), crossing(stored), dimension(stored)),
        columns=3,
        height=2.1,
        caption="At fixed temperature T = ησ²/2 the first-order term of HA-SME's rates survives. Left: relative error of the relaxation rate on the circle, "
        "f = −cos θ, T = 0.4. Middle: log of the barrier-crossing time over SGD's in f = θ⁴/4 − θ²/2, with the limits −(η/2)[f″(−1) − f″(0)] and its like for "
        "SME-1 of the terms of order η; terms of order η²/T, all that SPF and SME-2 have, grow as T falls. Right: the same over −η in a valley whose d − 1 "
        "other directions stiffen from saddle to minimum. All numbers by deterministic oracles.",
    )


FIGURE = Figure(title="Rates and barrier crossing at fixed temperature", draw=draw, claims=("F1", "F2"))
