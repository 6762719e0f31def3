"""F2: HA-SME crosses barriers too early, by a factor that theory gives and that grows with the dimension of what stiffens from pass to minimum."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.barrier_rates import in_dimensions, on_the_line
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence

#: the last three fix the limit
LINE = {"temperatures": (0.05, 0.025, 0.0175, 0.0125), "etas": (0.05, 0.025)}
PLANE = {"temperatures": (0.04, 0.028, 0.02), "etas": (0.04, 0.02)}
DIMS = {"quick": (2, 4, 8), "full": (2, 3, 4, 6, 8, 12)}
GAIN = 0.5
#: limits: three per cent of HA-SME's law; five of SME-1's, which is a small difference of two curvatures. At finite temperature "≈" means ten.
LIMIT, WIDER, NEAR = Equivalence(1.0, 0.03), Equivalence(1.0, 0.05), Equivalence(1.0, 0.1)


class BarrierRates(Claim):
    """Crossing times of HA-SME against SGD."""

    id = "F2"
    title = "HA-SME crosses barriers too early: log(τ_HA/τ_SGD) ≈ −(η/2)[Δf(minimum) − Δf(saddle)]"
    statement = (
        "At small temperature T = ησ²/2 with Σ = σ²I, log(τ_HA/τ_SGD) = −(η/2)[Δf(minimum) − Δf(saddle)] to first order in η, so the error grows with the "
        "dimension; SME-1's is (η/4)[Δf(minimum) − Δf(saddle) − 2μ] with μ the falling curvature of the saddle; SPF and SME-2 have none at this order."
    )
    citations = (Citation("", "this project's own: docs/theory/fixed_temperature.md"),)
    conditions = (
        Condition("isotropic constant noise, Gaussian", "by construction"),
        Condition("small T and η", "extrapolated in η by two step sizes and in T by the last three; the distance to a line is part of the interval"),
        Condition("HA-SME exists where the wells are", "by construction, η times the curvature below 1"),
    )
    not_shown = (
        "Anisotropic noise. Terms of order η² over T: at fixed η the law fails once T falls to about η² times a curvature squared. One family of wells in "
        "more than one dimension."
    )
    size_name = "dimension"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        tilts = {"quartic": 0.0, "tilted well, drawn": round(float(rng.uniform(-0.1, 0.1)), 4)}
        lines = {name: Measurement(f"barrier crossing on the line, {name}", on_the_line, {"tilt": tilt, **LINE}, seconds=1) for name, tilt in tilts.items()}
        wells: dict[str, tuple[int, float]] = {f"d = {dim}": (dim, GAIN) for dim in DIMS[profile]}
        dim, gain = int(rng.integers(3, 10)), round(float(rng.uniform(0.3, 0.8)), 3)
        wells[f"drawn, d = {dim}, gain {gain}"] = (dim, gain)
        spaces = {
            name: Measurement(f"barrier crossing in a stiffening well, {name}", in_dimensions, {"dim": size, "gain": stiffening, **PLANE}, seconds=3)
            for name, (size, stiffening) in wells.items()
        }
        rows = []
        for name, line in lines.items():
            common: dict[str, Any] = {"size": 1, "drawn": "drawn" in name, "parameters": {"tilt": tilts[name]}}
            rows += [
                Row(f"HA-SME, limit, {name}", line.name, "HASME", LIMIT, **common),
                Row(f"SME-1, limit, {name}", line.name, "SME1", WIDER, **common),
                Row(f"SPF in place of HA-SME, {name}", line.name, "SPF", LIMIT, role=Role.CONTROL, **common),
                Row(f"SME-2 in place of HA-SME, {name}", line.name, "SME2", LIMIT, role=Role.CONTROL, **common),
            ]
        quartic = lines["quartic"].name
        rows += [Row(f"HA-SME at T = {T}, η = .05, quartic", quartic, f"HASME/{T:g}", NEAR, 1, parameters={"T": T}) for T in LINE["temperatures"][1:]]
        for name, space in spaces.items():
            common = {"size": wells[name][0], "drawn": "drawn" in name, "parameters": {"gain": wells[name][1]}}
            rows += [
                Row(f"HA-SME, limit, {name}", space.name, "HASME", LIMIT, **common),
                Row(f"SPF in place of HA-SME, {name}", space.name, "SPF", LIMIT, role=Role.CONTROL, **common),
                Row(f"formula of one dimension, {name}", space.name, "one-dimensional formula", LIMIT, role=Role.CONTROL, **common),
            ]
        return Plan((*lines.values(), *spaces.values()), tuple(rows))
