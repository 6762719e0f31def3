"""F5: the exponent of escape belongs to the law of the noise, not to its variance: two-point noise in the quartic double well."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.escape_exponent import MODELS, exponents, trapped
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.weak_orders import NAMES
from sgdsde.zone import Equivalence, Within

#: σ, probability of the upper value, step sizes, accuracy of the means
LISTED = {
    "σ = .9": (0.9, 0.5, (0.1, 0.07, 0.05), 0.006),
    "σ = .7": (0.7, 0.5, (0.15, 0.1, 0.07), 0.006),
    "σ = .5": (0.5, 0.5, (0.15, 0.1, 0.07), 0.03),
}
MORE = {"σ = .42": (0.42, 0.5, (0.3, 0.2, 0.15), 0.1), "σ = .6": (0.6, 0.5, (0.15, 0.1, 0.07), 0.01)}
TRAPPED, FREE = (0.38, 0.35, 0.3), (0.5, 0.6)
ETA = 0.05
SAME, NEVER, ALWAYS = Equivalence(1.0, 0.03), Within(0, 0), Within(1, 1)


class EscapeExponent(Claim):
    """Large deviations feel the whole law."""

    id = "F5"
    title = "Non-Gaussian noise changes the exponent of escape, and can forbid it"
    statement = (
        "As η → 0, η·log Eτ of SGD tends to ∫p dx along the climb, p(x) ≠ 0 the root of log E e^{p(−g−ξ)} = 0. For Gaussian noise that is 2ΔV/σ², for others "
        "with the same variance another number: larger or smaller. In the quartic double well under ±σ noise SGD never leaves once σ < 2/√27 = .3849, while "
        "every SDE model does."
    )
    citations = (
        Citation(
            "", "Freidlin and Wentzell, Random Perturbations of Dynamical Systems, ch. 5, for chains with small steps; the comparison is this project's own"
        ),
    )
    conditions = (
        Condition("one dimension, noise of two values, independent of θ and between steps", "by construction"),
        Condition("small steps", "slopes of log Eτ in 1/η; their change from step to step is part of the interval"),
    )
    not_shown = (
        "Minibatch noise of many samples is nearer to Gaussian, and its exponent nearer to 2ΔV/σ²: the gap closes as the climb's gradient falls below σ. "
        "Prefactors. How large the effect is for networks."
    )
    size_name = "σ"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        sigma, p, below = float(rng.uniform(0.7, 0.85)), float(rng.uniform(0.65, 0.72)), float(rng.uniform(0.2, 0.37))
        cases = {**LISTED, **(MORE if profile == "full" else {}), "drawn": (sigma, p, (0.12, 0.09, 0.065), 0.01)}
        slopes = Measurement("exponents of two-point noise", exponents, {"cases": cases}, seconds=4)
        wells = Measurement("wells that two-point noise cannot leave", trapped, {"sigmas": (*TRAPPED, below, *FREE), "eta": ETA}, seconds=8)
        rows = []
        for name, case in cases.items():
            common: dict[str, Any] = {
                "size": case[0],
                "drawn": name == "drawn",
                "parameters": {"σ": case[0], "P(upper value)": case[1], "smallest η": case[2][-1]},
            }
            rows += [
                Row("slope of log Eτ over ∫p dx", slopes.name, f"{name}/law", SAME, **common),
                Row("Gaussian noise: slope over 2ΔV/σ²", slopes.name, f"{name}/Gaussian noise", SAME, **common),
                Row("slope over 2ΔV/σ² instead", slopes.name, f"{name}/2ΔV/σ²", SAME, role=Role.CONTROL, **common),
            ]
        for value in (*TRAPPED, below):
            key, drawn = f"{value:.4g}", value == below
            rows.append(Row("SGD leaves", wells.name, f"{key}/SGD", NEVER, value, drawn=drawn))
            rows += [Row(f"{NAMES[model]} leaves", wells.name, f"{key}/{model}", ALWAYS, value, drawn=drawn) for model in MODELS]
        rows += [Row("SGD leaves, above the threshold", wells.name, f"{value:.4g}/SGD", NEVER, value, Role.CONTROL) for value in FREE]
        return Plan((slopes, wells), tuple(rows))
