"""B7: SGD leaves a strict saddle along its most negative direction, after a time logarithmic in 1/η."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.saddle_exits import directions, time_slopes
from sgdsde.zone import AtLeast, AtMost, Equivalence, LessThan

ETAS = {"quick": (0.2, 0.05, 0.0125), "full": (0.2, 0.1, 0.05, 0.025, 0.0125, 0.00625)}
SADDLES: dict[str, dict[str, Any]] = {
    "d = 2, both negative": {"dim": 2, "negative": (1.0, 0.25), "positive": 0.5, "rotated": None},
    "d = 10, two negative": {"dim": 10, "negative": (1.0, 0.25), "positive": 0.5, "rotated": None},
    "d = 20, one negative": {"dim": 20, "negative": (1.0,), "positive": 0.5, "rotated": None},
}
LARGE = {"d = 1,000, one negative": {"dim": 1000, "negative": (1.0,), "positive": 1.0, "rotated": None}}
EQUAL = {"d = 2, equally negative": {"dim": 2, "negative": (1.0, 1.0), "positive": 0.5, "rotated": None}}
#: at the smallest step size
MOST, LITTLE, FALLING = AtLeast(0.98), AtMost(0.02), AtMost(0.5)
PATHS = {"quick": 1_500, "full": 8_000}
#: of the time's slope: R/σ and the step sizes at which the oracle's grid resolves it
RATIO, SLOPE_ETAS, MUS = 2.0, (0.1, 0.05, 0.025, 0.0125), (0.5, 1.0)
SLOPE = Equivalence(1.0, 0.12)


class LowestDirection(Claim):
    """Direction and time of exits from strict saddles."""

    id = "B7"
    title = "SGD leaves a strict saddle along its most negative direction, in ln(1/η)/(2|λmin|η) steps"
    statement = (
        "As η → 0, SGD with noise in every direction leaves a neighbourhood of a strict saddle along the eigenvector of its lowest eigenvalue: at η = .0125 at "
        "least 98 % of exits lie within 26° of it, and sin² of the angle is .02 at most in the mean, at most half of what it is at η = .2. The mean exit in "
        "SDE time grows like ln(1/η)/(2|λmin|)."
    )
    citations = (Citation("1705.07562v2", "exit from saddles: time and direction for omnidirectional noise"),)
    conditions = (
        Condition("quadratic saddle, isotropic Gaussian noise, start on it, η|λ| < 1", "by construction"),
        Condition("a gap between the two lowest eigenvalues", "by construction; the control has none, and no direction is preferred"),
    )
    not_shown = (
        "Small gaps: the angle falls like (σ√η/R)^{1 − µ₂/µ₁} only. High dimension at a fixed step: the stable directions' spread, d·ησ²/(2λ), must be small "
        "against R²: with d = 100 at η = .4 no exit is along the lowest direction. The slope in ln(1/η) is shown on the line, where it is up to 9 % short of "
        "its limit at η = .0125."
    )
    size_name = "η"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        etas = ETAS[profile]
        other = {
            "drawn": {
                "dim": int(rng.integers(3, 13)),
                "negative": (1.0, round(float(rng.uniform(0.1, 0.3)), 3)),
                "positive": round(float(rng.uniform(0.4, 2.0)), 3),
                "rotated": int(rng.integers(2**31)),
            }
        }
        saddles = SADDLES | other | (LARGE if profile == "full" else {})
        found = Measurement("exit directions", directions, {"saddles": saddles, "etas": etas, "paths": PATHS[profile]}, seconds=4)
        equal = Measurement("exit directions, no gap", directions, {"saddles": EQUAL, "etas": (etas[0], etas[-1]), "paths": PATHS[profile]}, seconds=1)
        rows = []
        for name, saddle in saddles.items():
            where: dict[str, Any] = {"drawn": name == "drawn", "parameters": {"d": saddle["dim"], "negative": saddle["negative"]}}
            rows += [
                Row(f"exits along the lowest direction, {name}", found.name, f"{name}/{etas[-1]:g}/share", MOST, etas[-1], **where),
                Row(f"E sin² of the angle to it, {name}", found.name, f"{name}/{etas[-1]:g}/side", LITTLE, etas[-1], **where),
                Row(f"it / the same at η = .2, {name}", found.name, f"{name}/falls", FALLING, etas[0], **where),
            ]
        name = next(iter(EQUAL))
        rows.append(Row("exits along one of two equal directions", equal.name, f"{name}/{etas[-1]:g}/share", MOST, etas[-1], Role.CONTROL))
        rows.append(Row("E sin² of the angle to it", equal.name, f"{name}/{etas[-1]:g}/side", LITTLE, etas[-1], Role.CONTROL))
        rows.append(Row("it / the same at η = .2, no gap", equal.name, f"{name}/falls", FALLING, etas[-1], Role.CONTROL))
        slope = Measurement("slopes of a saddle's mean exit", time_slopes, {"mus": MUS, "ratio": RATIO, "etas": SLOPE_ETAS}, seconds=2)
        for mu in MUS:
            rows.append(Row("2µ × slope of Eτ in ln(1/η)", slope.name, f"{mu:g}/{SLOPE_ETAS[-1]:g}", SLOPE, SLOPE_ETAS[-1], parameters={"µ": mu}))
            for eta in SLOPE_ETAS[2:]:
                rows.append(Row("|it − 1| here − at the η before", slope.name, f"{mu:g}/{eta:g}/nears", LessThan(0.0), eta, parameters={"µ": mu}))
            key = f"{mu:g}/{SLOPE_ETAS[-1]:g}"
            rows.append(Row("held to ln(1/η)/|λmin|", slope.name, key, Equivalence(2.0, 0.12), SLOPE_ETAS[-1], Role.CONTROL, parameters={"µ": mu}))
        return Plan((found, equal, slope), tuple(rows))
