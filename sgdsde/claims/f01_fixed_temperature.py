"""F1: small steps at a fixed temperature: weak orders drop by one, relaxation rates keep order 2 for SME-2 and SPF and lose it for HA-SME."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.fixed_temperature import rate_orders, weak_orders
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.weak_orders import NAMES
from sgdsde.zone import Within

WEAK = {"SME1": 1, "SME2": 1, "SPF": 1, "HASME": 1, "SME3": 2, "HASME3": 2}
RATES = {"SME1": 1, "SME2": 2, "SPF": 2, "HASME": 1, "SME3": 2, "HASME3": 2}
LADDERS = {"coarse": (0.1, 0.05, 0.025), "middle": (0.05, 0.025, 0.0125), "fine": (0.025, 0.0125, 0.00625)}
TEMPERATURE = 0.4
#: noise of another strength in every direction, correlated, commuting with no Hessian
SHAPE = ((1.0, 0.3), (0.3, 0.6))
CIRCLES = ({"amplitude": -1.0}, {"amplitude": -0.6}, {"amplitude": -1.4})
TORUS = {"amplitude": -0.7, "coupling": -0.3}


def zone_of(order: int) -> Within:
    """An order is an integer; a quarter on either side keeps neighbours well apart."""
    return Within(order - 0.25, order + 0.25)


class FixedTemperature(Claim):
    """Orders at fixed temperature."""

    id = "F1"
    title = "At fixed temperature HA-SME's rates are of order 1, those of SME-2 and SPF of order 2"
    statement = (
        "At fixed temperature, Σ = (2T/η)C with constant C, SME-1, SME-2, SPF and HA-SME have weak order 1, SME-3 and HA-SME-3 order 2. The relaxation "
        "rates of SME-2, SPF, SME-3 and HA-SME-3 agree with SGD's to order 2 all the same, those of SME-1 and HA-SME to order 1 only."
    )
    citations = (Citation("", "this project's own: docs/theory/fixed_temperature.md (SGD's step is a Lie splitting, similar to Strang's)"),)
    conditions = (
        Condition("constant covariance, Gaussian noise", "by construction; with Σ(θ) the step is no splitting"),
        Condition("errors in their asymptotic regime", "one sign, ten accuracies away from zero, settled slopes; what is outside is left out and noted"),
        Condition(
            "no leading coefficient that happens to vanish",
            "orders of rates are read off the mean over several problems; symmetric double wells are left to F2: there SME-1's nearly vanishes",
        ),
    )
    not_shown = (
        "Rates at one η: the constants depend on the problem, and grow with curvature over temperature. An order of a rate says nothing about laws at a fixed "
        "time: SME-2's and SPF's are of order 1. No SDE has order 3 here off quadratics: the η⁵ symbol of the fixed-Σ expansion has a third-derivative term."
    )
    size_name = "smallest η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn_well = {"curvature": float(rng.uniform(0.7, 1.5)), "amplitude": float(rng.uniform(0.4, 0.7))}
        drawn_start, drawn_temperature = float(rng.uniform(0.8, 1.6)), float(rng.uniform(0.3, 0.6))
        listed = {"well": {"curvature": 1.0, "amplitude": 0.6}, "temperature": TEMPERATURE, "start": 1.3, "horizon": 0.8}
        line: dict[str, dict[str, Any]] = {f"line, {name}": {**listed, "etas": etas} for name, etas in LADDERS.items() if name != "fine" or profile == "full"}
        line["line, coarsest"] = {**listed, "etas": (0.2, 0.1, 0.05)}
        line["line, drawn"] = {**listed, "well": drawn_well, "start": drawn_start, "temperature": drawn_temperature, "etas": LADDERS["middle"]}
        torus = {"well": {"dim": 2, **TORUS}, "temperature": TEMPERATURE, "shape": SHAPE, "start": (0.7, 0.4), "horizon": 0.8, "etas": LADDERS["coarse"]}
        weak = (
            Measurement("weak orders at fixed temperature, line", weak_orders, {"problems": line}, seconds=2),
            Measurement("weak orders at fixed temperature, torus", weak_orders, {"problems": {"torus": torus}}, seconds=2),
        )
        groups: dict[str, dict[str, Any]] = {f"circle, {name}": _group(CIRCLES, TEMPERATURE, etas) for name, etas in LADDERS.items()}
        wells = tuple({"amplitude": float(-rng.uniform(0.5, 1.5))} for _ in range(3))
        groups["circle, drawn"] = _group(wells, drawn_temperature, LADDERS["middle"])
        plane = {f"torus, {name}": _group((TORUS,), TEMPERATURE, etas, dim=2) for name, etas in LADDERS.items() if name == "coarse" or profile == "full"}
        other = {"amplitude": float(-rng.uniform(0.55, 0.75)), "coupling": float(-rng.uniform(0.2, 0.35))}
        plane["torus, drawn"] = _group((other,), TEMPERATURE, LADDERS["coarse"], dim=2)
        rates = (
            Measurement("relaxation rates at fixed temperature, circle", rate_orders, {"groups": groups}, seconds=1),
            Measurement("relaxation rates at fixed temperature, torus", rate_orders, {"groups": plane}, seconds=2 * len(plane)),
        )
        rows = _rows(weak[0], "weak order", WEAK, "problems") + _rows(weak[1], "weak order", WEAK, "problems")
        rows += _rows(rates[0], "order of the rate", RATES, "groups") + _rows(rates[1], "order of the rate", RATES, "groups")
        rows += [
            Row("HA-SME's rate held to order 2", rates[0].name, "circle, middle/HASME", zone_of(2), 0.0125, Role.CONTROL),
            Row("HA-SME's rate held to order 2, torus", rates[1].name, "torus, coarse/HASME", zone_of(2), 0.025, Role.CONTROL),
            Row("SPF's rate held to order 1", rates[0].name, "circle, middle/SPF", zone_of(1), 0.0125, Role.CONTROL),
            Row("SPF held to weak order 2", weak[0].name, "line, middle/SPF", zone_of(2), 0.0125, Role.CONTROL),
        ]
        return Plan((*weak, *rates), tuple(rows))


def _group(wells: tuple[dict[str, float], ...], temperature: float, etas: tuple[float, ...], *, dim: int = 1) -> dict[str, Any]:
    problems = [{"well": {"dim": dim, **well}, "temperature": temperature, **({"shape": SHAPE} if dim == 2 else {})} for well in wells]
    return {"problems": problems, "etas": etas}


def _rows(measurement: Measurement, what: str, orders: dict[str, int], kind: str) -> list[Row]:
    return [
        Row(f"{NAMES[model]}, {what}, {name}", measurement.name, f"{name}/{model}", zone_of(order), case["etas"][-1], drawn="drawn" in name)
        for name, case in measurement.parameters[kind].items()
        for model, order in orders.items()
    ]
