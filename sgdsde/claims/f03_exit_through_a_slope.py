"""F3: exits through a border on a slope do not converge to SGD's as η → 0."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.interval_exits import NAMES
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.slope_exits import LIMITS, quadratic_slope, watched_limit, well_slope
from sgdsde.oracles import overshoot_factor
from sgdsde.zone import Equivalence, LessThan, Near

LISTED = {0.5: (0.05, 0.025, 0.0125), 1.0: (0.1, 0.05, 0.025), 2.0: (0.1, 0.05, 0.025), 4.0: (0.2, 0.1, 0.05)}
WELL_ETAS = (0.1, 0.05, 0.025)
#: at the smallest η, relative; of the logarithm on other wells, absolute
NEAR_LIMIT, LOG_MARGIN = 0.05, 0.1


class ExitThroughASlope(Claim):
    """The limit of mean exits at fixed drift over noise on the border."""

    id = "F3"
    title = "Exits through a slope do not converge as η → 0"
    statement = (
        "Let σ and the border stay and η → 0, a = g(R)/σ > 0 there. Looked at t = kη, the mean exit of SME-1 over SGD's tends to e^{a²/2}, that of SME-2 "
        "and SPF to e^{a²}, not to 1; continuous watch is smaller by ν(2a) = (1/(2a²))exp{−2Σ n⁻¹Φ(−a√n)}: .560, .320, .119, .031 at a = .5, 1, 2, 4."
    )
    citations = (
        Citation("1705.07562v2", "exit times of the first-order SDE stand for SGD's as η → 0: true of exponents, not of the times themselves"),
        Citation("", "the limits are this project's own; ν: Siegmund, Sequential Analysis (1985)"),
    )
    conditions = (
        Condition("Gaussian noise of constant variance, one dimension, start at the minimum", "by construction"),
        Condition("g(R) ≠ 0 on the border; on a barrier top g = 0 and the times do converge (B8, F1)", "by construction"),
    )
    not_shown = (
        "Several dimensions, where the same holds along the exit path's last tick; other noise laws. On wells that are not quadratic the iterates' limit is "
        "shown through the continuous watch (its product with ν), up to .1 of the logarithm."
    )
    size_name = "a"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn_a = round(float(rng.uniform(0.8, 2.5)), 3)
        etas = LISTED | {drawn_a: (0.1, 0.05, 0.025)}
        line = Measurement("exits through a slope, quadratic", quadratic_slope, {"etas": etas}, seconds=5)
        rows = []
        for a, steps in etas.items():
            where: dict[str, Any] = {"drawn": a == drawn_a, "parameters": {"a": a, "η": steps[-1]}}
            for model in ("SME1", "SME2", "SPF"):
                key, name = f"{a}/{steps[-1]}/{model}", NAMES[model]
                rows.append(Row(f"log(mean exit / SGD's)/a², {name}", line.name, key, Equivalence(LIMITS[model], NEAR_LIMIT), a, **where))
            # the errors of SME-2 and SPF change their sign near a = .9, where they are no trend
            rows.append(Row("|error| of SME-1 here − at twice this η", line.name, f"{a}/error/SME1", LessThan(0.0), a, **where))
            for model in ("SME1", "HASME"):
                key = f"{a}/{steps[-1]}/watch/{model}"
                rows.append(Row(f"continuous / iterates, {NAMES[model]}", line.name, key, Equivalence(overshoot_factor(a), NEAR_LIMIT), a, **where))
            rows += [
                Row("HA-SME held to SME-1's limit", line.name, f"{a}/{steps[-1]}/HASME", Equivalence(LIMITS["SME1"], NEAR_LIMIT), a, Role.CONTROL, **where),
                Row("SME-1 held to SME-2's limit", line.name, f"{a}/{steps[-1]}/SME1", Equivalence(LIMITS["SME2"], NEAR_LIMIT), a, Role.CONTROL, **where),
            ]
        wells = {"quartic, a = 1": {"tilt": 0.0, "a": 1.0}, "quartic, a = 2": {"tilt": 0.0, "a": 2.0}}
        wells["drawn"] = {"tilt": round(float(rng.uniform(0.05, 0.25)), 4), "a": round(float(rng.uniform(0.7, 1.5)), 3)}
        other = Measurement("exits through a slope, double wells", well_slope, {"wells": wells, "etas": WELL_ETAS}, seconds=5)
        for name, well in wells.items():
            a = well["a"]
            for model in ("SME1", "SME2"):
                where = {"drawn": name == "drawn", "parameters": {"η": WELL_ETAS[-1], "tilt": well["tilt"]}}
                key, limit = f"{name}/{WELL_ETAS[-1]}/{model}", watched_limit(model, a)
                rows.append(Row(f"log(continuous mean exit / SGD's), {NAMES[model]}, {name}", other.name, key, Near(limit, LOG_MARGIN), a, **where))
            key, limit = f"{name}/{WELL_ETAS[-1]}/SME2", watched_limit("SME1", a)
            rows.append(Row(f"SME-2 held to SME-1's limit, {name}", other.name, key, Near(limit, LOG_MARGIN), a, Role.CONTROL, **where))
        return Plan((line, other), tuple(rows))
