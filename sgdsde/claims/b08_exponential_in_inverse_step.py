"""B8: out of a minimum log Eτ is linear in 1/η; the slope is 2ΔV/σ² as η → 0, and for Gaussian noise only."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.escape_slopes import by_splitting, laws_apart, slopes
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, LessThan, Within

INVERSE = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
JUDGED = (16.0, 32.0, 64.0)
ONE, SHRINKS, AS_THE_ORACLE = Equivalence(1.0, 0.03), LessThan(0.0), Within(0.5, 2.0)
WELLS = {
    "quartic, σ = 0.9": {"tilt": 0.0, "sigma": 0.9, "deeper": 1},
    "quartic, σ = 0.6": {"tilt": 0.0, "sigma": 0.6, "deeper": 1},
    "tilted, shallow side": {"tilt": 0.15, "sigma": 0.6, "deeper": 0},
}
BY_LAW = {"sigma": 0.9, "inverse": (5.0, 10.0, 20.0)}
SPLIT = {"quick": {"inverse": (12.0, 24.0), "effort": 192, "replicas": 32}, "full": {"inverse": (12.0, 24.0, 48.0), "effort": 2048, "replicas": 64}}


class ExponentialInInverseStep(Claim):
    """Slopes of log mean exits in 1/η."""

    id = "B8"
    title = "Out of minima log Eτ is linear in 1/η, with slope 2ΔV/σ² for Gaussian noise"
    statement = (
        "SGD with Gaussian noise of variance σ² leaves a well of depth ΔV after a mean time whose logarithm is linear in 1/η: the slope between neighbouring "
        "step sizes over 2ΔV/σ² is 1 within 3 % from 1/η = 16 on and tends to 1 as η → 0. Noise of the same variance with another law has another slope."
    )
    citations = (
        Citation("1705.07562v2", "escape from local minimisers in a number of iterations exponential in the inverse step size"),
        Citation("2002.03495v14", "exponents by Kramers' law"),
        Citation("", "the exponent of other noise laws: F5; Freidlin, Wentzell, Random Perturbations of Dynamical Systems, ch. 5"),
    )
    conditions = (
        Condition("one dimension, constant variance, start at the minimum, out over the top", "by construction"),
        Condition("2ΔV/(ησ²) ≫ 1: deep enough for exponents to speak", "by construction: 5 to 90 at the step sizes judged"),
    )
    not_shown = "Several dimensions, state-dependent noise (B10), and step sizes with 1/η below 8, where the slope is 25 to 50 % off (control rows)."
    size_name = "1/η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = {}
        for i in range(1 if profile == "quick" else 4):
            drawn[f"drawn {i + 1}"] = {"tilt": round(float(rng.uniform(0.02, 0.12)), 4), "sigma": round(float(rng.uniform(0.5, 0.7)), 4), "deeper": 0}
        wells = WELLS | drawn
        exact = Measurement("slopes of log mean exits", slopes, {"wells": wells, "inverse": INVERSE}, seconds=4)
        rows = []
        for name, well in wells.items():
            is_drawn, where = name in drawn, {"σ": well["sigma"], "tilt": well["tilt"]}
            rows += [Row(f"slope / (2ΔV/σ²), {name}", exact.name, f"{name}/{k:g}", ONE, k, drawn=is_drawn, parameters=where) for k in JUDGED]
            rows.append(Row(f"|slope − 1| here − at the step before, {name}", exact.name, f"{name}/64/shrinks", SHRINKS, 64, drawn=is_drawn, parameters=where))
            rows.append(Row(f"the same at large η, {name}", exact.name, f"{name}/4", ONE, 4, Role.CONTROL, is_drawn, where))
        laws = Measurement("slopes for two laws of noise", laws_apart, BY_LAW, seconds=2)
        for k in BY_LAW["inverse"][1:]:  # type: ignore[index]
            rows.append(Row("Rademacher: slope / its own exponent", laws.name, f"Rademacher/own/{k:g}", ONE, k, parameters={"σ": 0.9}))
        gaussian = 2 * 0.25 / 0.9**2
        rows.append(Row("Rademacher: slope held to 2ΔV/σ²", laws.name, "Rademacher/20", Equivalence(gaussian, 0.03), 20, Role.CONTROL, parameters={"σ": 0.9}))
        split = SPLIT[profile]
        name = "quartic, σ = 0.9"
        paths = Measurement("rare exits by splitting", by_splitting, {"wells": {name: WELLS[name]}} | split, seconds=10)
        for k in split["inverse"]:  # type: ignore[attr-defined]
            rows.append(Row("mean exit by splitting / oracle's", paths.name, f"{name}/{k:g}/splitting", AS_THE_ORACLE, k, parameters={"σ": 0.9}))
        rows.append(Row("slope by splitting / (2ΔV/σ²)", paths.name, f"{name}/slope/splitting", Equivalence(1.0, 0.1), 24, parameters={"σ": 0.9}))
        return Plan((exact, laws, paths), tuple(rows))
