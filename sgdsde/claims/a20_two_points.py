"""A20: stochastic modified flows match the two-point statistics of SGD: two starts, the same minibatches, the same normals."""

from __future__ import annotations

from typing import Any

import numpy as np

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.claims.a06_weak_orders import zone_of
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.two_points import circle_orders, least_squares_orders
from sgdsde.zone import AtLeast

LADDERS = {"coarse": (0.2, 0.1, 0.05), "middle": (0.1, 0.05, 0.025), "fine": (0.05, 0.025, 0.0125)}
STEPS, HORIZON = (0.1, 0.05, 0.025, 0.0125), 0.8
DIMS = {"quick": (1, 2, 3), "full": (1, 2, 3, 4, 5)}
LISTED: dict[str, Any] = {"amplitudes": (1.0, 0.6, 1.4, 0.9, 1.2, 0.7), "phases": (0.1, 0.9, 2.3, 3.1, 4.0, 5.5), "batch": 2, "start": (0.7, 4.0)}
#: an error of order 2 or smaller (a leading coefficient may nearly vanish); an error of order 1
FIRST, SECOND = zone_of(1), AtLeast(1.75)


class TwoPointStatistics(Claim):
    """Joint laws of two points."""

    id = "A20"
    title = "Stochastic modified flows match SGD's two-point statistics; a symmetric root does not"
    statement = (
        "Two points moved by the same minibatches, and two points moved by SME-2 with the noise's root and the same normals, agree in joint statistics to "
        "order 2. Driven by one d-dimensional Brownian motion through the symmetric root, SME-2 has the same law at each single point and only order 1 jointly."
    )
    citations = (
        Citation("2302.07125v1", "stochastic modified flows: multi-point motions of SGD"),
        Citation("", "orders of two-point statistics by exact moments and by the torus oracle: this project's own"),
    )
    conditions = (
        Condition("errors in their asymptotic regime", "one sign, ten accuracies away from zero, settled slopes; functions outside it are left out and noted"),
        Condition("batches with replacement", "by construction"),
        Condition("on the circle: SGD's Gaussian surrogate with the same normals at both points", "by construction; on least squares true minibatches"),
    )
    not_shown = "More than two points, and sample paths: these are weak errors. One point at a time both drivings are the same model."
    size_name = "smallest η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        lines = {f"d = {dim}": {"dim": dim, "samples": 20, "batch": 2, "draw": dim} for dim in DIMS[profile]}
        drawn_dim = int(rng.integers(1, 4))
        drawn = {f"d = {drawn_dim}, drawn": {"dim": drawn_dim, "samples": 20, "batch": int(rng.integers(1, 9)), "draw": int(rng.integers(2**31))}}
        squares = Measurement(
            "two points on least squares", least_squares_orders, {"problems": lines | drawn, "etas": STEPS, "horizon": HORIZON}, seconds=0.15 * len(lines) + 0.3
        )
        rows = [
            row for name, case in (lines | drawn).items() for row in _rows(squares.name, name, "nothing shared", STEPS[-1], drawn=name in drawn, where=case)
        ]
        circles = []
        for name, etas in LADDERS.items():
            problems: dict[str, dict[str, Any]] = {"listed": LISTED}
            if name == "fine":
                problems |= {f"drawn {i + 1}": _wave(rng) for i in range(2 if profile == "quick" else 6)}
            options = {"problems": problems, "etas": etas, "horizon": HORIZON}
            circles.append(Measurement(f"two points on the circle, {name} steps", circle_orders, options, seconds=0.6 * len(problems)))
            for problem, case in problems.items():
                where = {"batch": case["batch"], "start": str(case["start"])}
                rows += _rows(circles[-1].name, problem, "shared root", etas[-1], drawn=problem != "listed", where=where)
        return Plan((squares, *circles), tuple(rows))


def _rows(measurement: str, name: str, wrong: str, size: float, *, drawn: bool, where: dict[str, Any]) -> list[Row]:
    label = {"shared root": "one motion through the symmetric root", "nothing shared": "independent motions"}[wrong]
    return [
        Row("SME-2 with the noise's root, order", measurement, f"{name}/SME2", SECOND, size, drawn=drawn, parameters=where),
        Row(f"{label}, order", measurement, f"{name}/{wrong}", FIRST, size, drawn=drawn, parameters=where),
        Row(f"{label}, held to order 2", measurement, f"{name}/{wrong}", SECOND, size, Role.CONTROL, drawn, where),
    ]


def _wave(rng: np.random.Generator) -> dict[str, Any]:
    """Six waves with phases spread around the circle, so that Σ vanishes nowhere."""
    amplitudes = tuple(round(float(a), 3) for a in rng.uniform(0.5, 1.5, 6))
    phases = tuple(round(float(c), 3) for c in np.arange(6) * np.pi / 3 + rng.uniform(-0.4, 0.4, 6))
    start = (round(float(rng.uniform(0, 3)), 3), round(float(rng.uniform(3, 6)), 3))
    return {"amplitudes": amplitudes, "phases": phases, "batch": int(rng.integers(1, 9)), "start": start}
