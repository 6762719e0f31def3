"""A6: the weak orders of the models on smooth non-quadratic objectives, by deterministic oracles on the line and on the torus."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.weak_orders import NAMES, orders
from sgdsde.zone import Within

ORDERS = {"GradientFlow": 1, "SME1": 1, "SME2": 2, "SPF": 2, "HASME": 2, "SME3": 3, "HASME3": 3}
LADDERS = {"coarse": (0.2, 0.1, 0.05), "middle": (0.1, 0.05, 0.025), "fine": (0.05, 0.025, 0.0125)}


def zone_of(order: int) -> Within:
    """An order is an integer; a quarter on either side keeps neighbours well apart."""
    return Within(order - 0.25, order + 0.25)


class WeakOrders(Claim):
    """Weak orders in η."""

    id = "A6"
    title = "Weak orders: SME-1 1; SME-2, SPF, HA-SME 2; SME-3, HA-SME-3 3"
    statement = (
        "At a fixed horizon and fixed noise covariance |E φ(X_T) − E φ(θ_{T/η})| is of order η for gradient flow and SME-1, η² for SME-2, SPF and HA-SME, "
        "η³ for SME-3 and HA-SME-3, for smooth φ and Gaussian noise."
    )
    citations = (
        Citation("1811.01558v1", "Theorem 9 (SME of order 1 and 2)"),
        Citation("2405.18373v3", "order-best approximation guarantee of HA-SME"),
        Citation("", "SME-3 and HA-SME-3: this project's own"),
    )
    conditions = (
        Condition(
            "the errors are in their asymptotic regime", "one sign, ten accuracies away from zero, settled slopes; functions outside it are left out and noted"
        ),
        Condition("smooth objective with bounded derivatives above the second", "by construction: a rippled parabola and a torus"),
        Condition("Σ independent of η", "by construction; at fixed temperature ησ² the orders drop"),
    )
    not_shown = (
        "Constants (A7, A8). Gradient flow, without any noise, has SME-1's order: an order alone justifies no diffusion term. "
        "Skewed noise caps every SDE at order 2."
    )
    size_name = "smallest η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        line: dict[str, dict[str, Any]] = {
            f"line, {name}": {"line": (1.0, 0.6, 0.8), "start": 1.3, "horizon": 0.8, "etas": etas} for name, etas in LADDERS.items()
        }
        parameters = (float(rng.uniform(0.5, 2)), float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.5, 1)))
        drawn = {"line, drawn": {"line": parameters, "start": float(rng.uniform(0.6, 1.6)), "horizon": 0.8, "etas": LADDERS["fine"]}}
        torus: dict[str, dict[str, Any]] = {"torus": {"torus": (-0.5, -0.2), "start": (0.7, 0.4), "horizon": 0.8, "etas": LADDERS["middle"]}}
        if profile == "full":
            where = (float(rng.uniform(-1.5, 1.5)), float(rng.uniform(-1.5, 1.5)))
            options = (float(-rng.uniform(0.4, 0.7)), float(rng.uniform(-0.3, 0.3)))
            torus["torus, drawn"] = {"torus": options, "start": where, "horizon": 0.8, "etas": LADDERS["middle"]}
        measurements = (
            Measurement("weak orders on the line", orders, {"problems": line | drawn}, seconds=4),
            Measurement("weak orders on the torus", orders, {"problems": torus}, seconds=5),
        )
        rows = []
        for measurement in measurements:
            for problem, options_ in measurement.parameters["problems"].items():
                common = {"size": options_["etas"][-1], "drawn": "drawn" in problem}
                rows += [Row(f"{NAMES[m]}, {problem}", measurement.name, f"{problem}/{m}", zone_of(order), **common) for m, order in ORDERS.items()]
        first = measurements[0].name
        rows += [
            Row("SME-1 held to order 2", first, "line, middle/SME1", zone_of(2), 0.025, Role.CONTROL),
            Row("HA-SME held to order 3", first, "line, middle/HASME", zone_of(3), 0.025, Role.CONTROL),
            Row("SME-2 held to order 1 on the torus", measurements[1].name, "torus/SME2", zone_of(1), 0.025, Role.CONTROL),
        ]
        return Plan(measurements, tuple(rows))
