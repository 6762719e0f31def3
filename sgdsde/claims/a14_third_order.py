"""A14: the third-order models repair what HA-SME leaves out, as long as the noise is not skewed."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.claims.a06_weak_orders import zone_of
from sgdsde.claims.b04_barrier_crossing import NEARER, barrier, listed
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.third_order import orders_by_law, product_form_on_torus, repaired
from sgdsde.zone import LessThan

LADDER = (0.05, 0.025, 0.0125)
LINE: dict[str, Any] = {"line": (1.0, 0.6, 0.8), "start": 1.3, "horizon": 0.8, "etas": LADDER}
TORUS: dict[str, Any] = {"torus": (-0.5, -0.2), "start": (0.7, 0.4), "horizon": 0.8, "etas": (0.1, 0.05, 0.025)}
CURVATURES, ETAS = (1.0, 2.0, 4.0, 8.0), {"quick": (0.1,), "full": (0.1, 0.05, 0.025)}
BETTER = LessThan(1.0)


class ThirdOrder(Claim):
    """What the third derivative's terms bring."""

    id = "A14"
    title = "The third-order models repair what HA-SME leaves out"
    statement = (
        "SME-3 and HA-SME-3 have weak order 3 where the noise has no third cumulant (Gaussian, Rademacher), HA-SME-3 in product form too, with Σ(θ) and "
        "Hessians that do not commute; skewed noise takes them back to order 2. On rippled parabolas HA-SME-3's worst error is below HA-SME's at every "
        "curvature up to ηλ = .8. Over the barrier of a double well, looked at t = kη, the mean exits of SME-3 and HA-SME-3 are nearer to SGD's than HA-SME's."
    )
    citations = (
        Citation("", "SME-3 and HA-SME-3 are this project's own: docs/theory/modified_equations.md"),
        Citation("2405.18373v3", "HA-SME, whose noise correction holds the Hessian's part and not the third derivative's"),
    )
    conditions = (
        Condition(
            "errors in their asymptotic regime, for orders", "one sign, ten accuracies away from zero, settled slopes; what is outside is left out and noted"
        ),
        Condition("fixed Σ, smooth objective", "by construction: a rippled parabola and a torus"),
    )
    not_shown = "Every objective: the comparison with HA-SME is over one family. Fixed temperature is F1's. SME-2 crosses barriers as well as SME-3 does (B4)."
    size_name = "η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        skewed = f"two-point {round(float(rng.uniform(0.1, 0.3)), 3)}"
        laws = ("two-point 0.5", "exponential", skewed)
        by_law = Measurement("third order by law of the noise", orders_by_law, {"laws": laws, "problem": LINE}, seconds=2)
        tori: dict[str, dict[str, Any]] = {"torus": TORUS}
        if profile == "full":
            where = (float(rng.uniform(-1.5, 1.5)), float(rng.uniform(-1.5, 1.5)))
            tori["torus, drawn"] = {**TORUS, "torus": (float(-rng.uniform(0.4, 0.7)), float(rng.uniform(-0.3, 0.3))), "start": where}
        torus = Measurement("third order in product form on the torus", product_form_on_torus, {"problems": tori}, seconds=3 * len(tori))
        problems: dict[str, dict[str, float]] = {}
        for eta in ETAS[profile]:
            for curvature in CURVATURES:
                problems[f"λ = {curvature:g}, η = {eta}"] = {"curvature": curvature, "amplitude": 0.6, "sigma": 0.8, "start": 1.3, "horizon": 0.8, "eta": eta}
        for i in range(2 if profile == "quick" else 6):
            problems[f"drawn {i + 1}"] = {
                "curvature": round(float(rng.uniform(0.5, 8)), 3),
                "amplitude": round(float(rng.uniform(0.3, 0.8)), 3),
                "sigma": round(float(rng.uniform(0.5, 1.0)), 3),
                "start": round(float(rng.uniform(0.8, 1.8)), 3),
                "horizon": 0.8,
                "eta": float(rng.choice([0.1, 0.05])),
            }
        pairs = (("HASME3", "HASME"), ("SME2", "HASME"))
        mended = Measurement("HA-SME-3's errors over HA-SME's", repaired, {"problems": problems, "pairs": pairs}, seconds=0.3 * len(problems))
        rows = []
        for name in laws:
            order, where_law = 3 if name == "two-point 0.5" else 2, {"law": name}
            for model, label in (("SME3", "SME-3"), ("HASME3", "HA-SME-3")):
                options: dict[str, Any] = {"drawn": name == skewed, "parameters": where_law}
                rows.append(Row(f"{label}, order", by_law.name, f"{name}/{model}", zone_of(order), LADDER[-1], **options))
                if order == 2:
                    rows.append(Row(f"{label} held to order 3", by_law.name, f"{name}/{model}", zone_of(3), LADDER[-1], Role.CONTROL, **options))
        for name in tori:
            rows.append(Row("HA-SME-3 in product form, order", torus.name, name, zone_of(3), TORUS["etas"][-1], drawn="drawn" in name))
        for name, p in problems.items():
            rows.append(Row("worst error / HA-SME's", mended.name, f"{name}/HASME3:HASME", BETTER, p["eta"], drawn="drawn" in name, parameters=p))
        rows += [
            Row("SME-2 in place of HA-SME-3", mended.name, f"{name}/SME2:HASME", BETTER, p["eta"], Role.CONTROL, parameters=p)
            for name, p in problems.items()
            if "drawn" not in name
        ]
        tilted = {"eta": float(rng.uniform(0.1, 0.2)), "sigma": float(rng.uniform(0.8, 1.0)), "tilt": float(rng.uniform(0.0, 0.12))}
        crossings = []
        for name, well in (listed() | {"drawn for third order": tilted}).items():
            crossing = barrier(name, well)
            crossings.append(crossing)
            options = {"drawn": "drawn" in name, "parameters": {"σ": well["sigma"], "tilt": well["tilt"]}}
            for model, label in (("SME3", "SME-3"), ("HASME3", "HA-SME-3")):
                rows.append(
                    Row(f"barrier, |log ratio| of {label} − of HA-SME", crossing.name, f"{name}/{model}:HASME", NEARER, round(well["eta"], 4), **options)
                )
            rows.append(
                Row("barrier, |log ratio| of HA-SME − of SPF", crossing.name, f"{name}/HASME:SPF", NEARER, round(well["eta"], 4), Role.CONTROL, **options)
            )
        return Plan((by_law, torus, mended, *crossings), tuple(rows))
