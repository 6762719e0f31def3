"""B11: noise proportional to the loss times the Hessian turns the barrier into its logarithm."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.loss_shaped import diagonal_net, log_barrier, radial_paths, radial_slopes
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence

RATIOS = (3.0, 10.0, 30.0, 100.0)
LISTED: dict[str, dict[str, float]] = {
    "η = 0.1": {"eta": 0.1, "batch": 1.0},
    "η = 0.05": {"eta": 0.05, "batch": 1.0},
    "η = 0.1, B = 2": {"eta": 0.1, "batch": 2.0},
}
DIMS, BS, FAR = (1, 2, 4, 8), (8.0, 16.0), (10.0, 100.0, 1000.0)
NET: dict[str, Any] = {"eta": 0.05, "batches": (1, 2), "ratios": (3.0, 10.0, 30.0, 60.0), "least": 1e-5}
PATHS = {"quick": 1_000, "full": 8_000}
SDE_ZONE, SGD_ZONE, ABOUT = Equivalence(1.0, 0.05), Equivalence(1.0, 0.1), Equivalence(1.0, 0.12)


class LogBarrier(Claim):
    """Slopes of log mean exit times in the log of the loss at the border."""

    id = "B11"
    title = "With noise Σ = 2L·H/B exit times are a power of L(border)/L(minimum)"
    statement = (
        "Where Σ = 2L·H/B around a minimum with n equal curvatures h, the mean time to L = c grows like (c/L₀)^(b + 1 − n/2), b = B/(ηh): the slope of log Eτ "
        "in log c is that exponent within 5 % from c = 30L₀ on for SGD's first-order SDE on the line (from 100L₀ in the plane and in space, 1000L₀ for "
        "n = 8), within 10 % for SGD at ηh ≤ .1. The barrier enters by its logarithm."
    )
    citations = (
        Citation("2105.09557v3", "escape rate (L(θˢ)/L(θ*))^−(B/(ηh*) + 1 − n/2) for mean-square loss"),
        Citation("", "derivation for the ball and for label noise, docs/theory/anisotropic_escape.md"),
    )
    conditions = (
        Condition("Σ = 2L·H/B", "by construction; on a diagonal net with label noise and inputs of kurtosis 2, where it holds exactly"),
        Condition("b > n/2", "by construction"),
    )
    not_shown = "That gradient noise has this form: least squares has it at kurtosis 2 only (B11-inputs). Saddles as borders: the level c stands for them."
    size_name = "c/L₀"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = {}
        for i in range(1 if profile == "quick" else 4):
            drawn[f"drawn {i + 1}"] = {"eta": round(float(rng.uniform(0.04, 0.1)), 4), "batch": float(rng.integers(1, 4))}
        setting: dict[str, Any] = {"ratios": RATIOS, "curvature": 1.0, "least": 0.5}
        line = Measurement("log barrier on the line", log_barrier, setting | {"cases": LISTED | drawn, "additive": False}, seconds=2)
        rows = []
        for name, case in (LISTED | drawn).items():
            for process, zone in (("SME1", SDE_ZONE), ("SGD", SGD_ZONE)):
                for ratio in RATIOS[2:]:
                    key = f"{name}/{process}/{ratio:g}"
                    rows.append(
                        Row(f"{process}: slope / (b + ½)", line.name, key, zone, ratio, Role.CLAIM, name in drawn, {"η": case["eta"], "B": case["batch"]})
                    )
        flat = Measurement(
            "linear barrier on the line",
            log_barrier,
            setting | {"ratios": RATIOS[:3], "cases": {"η = 0.1": {"eta": 0.1, "batch": 1.0}}, "additive": True},
            seconds=0.3,
        )
        for process in ("SME1", "SGD"):
            rows.append(Row(f"constant noise, {process}", flat.name, f"η = 0.1/{process}/30", SGD_ZONE, 30.0, Role.CONTROL, parameters={"η": 0.1}))
        ball = Measurement("log barrier in n dimensions", radial_slopes, {"dims": DIMS, "bs": BS, "ratios": FAR}, seconds=0.3)
        for dim in DIMS:
            for b in BS:
                rows += [
                    Row("n dimensions: slope / (b + 1 − n/2)", ball.name, f"{dim}/{b:g}/{ratio:g}", SDE_ZONE, ratio, parameters={"n": dim, "b": b})
                    for ratio in FAR[1 if dim < 8 else 2 :]
                ]
        rows.append(Row("eight dimensions held to the line's exponent", ball.name, "8/8/line", SDE_ZONE, 1000.0, Role.CONTROL, parameters={"n": 8, "b": 8.0}))
        space = {"dim": 4, "eta": 0.1, "batch": 0.4, "ratios": (4.0, 10.0), "paths": PATHS[profile]}
        paths = Measurement("log barrier in four dimensions, paths", radial_paths, space, seconds=PATHS[profile] / 300)
        rows.append(Row("SGD by paths: slope / that of the radial integrals", paths.name, "slope", ABOUT, 10.0, parameters={"n": 4, "b": 4.0}))
        rows.append(Row("SGD by paths, held to the line's exponent", paths.name, "line", ABOUT, 10.0, Role.CONTROL, parameters={"n": 4, "b": 4.0}))
        net = Measurement("log barrier of a diagonal net", diagonal_net, NET | {"kurtoses": (2.0,)}, seconds=2)
        for batch in NET["batches"]:
            rows += [
                Row("diagonal net, inputs of kurtosis 2: slope / (b + ½)", net.name, f"2/{batch:g}/{ratio:g}", SDE_ZONE, ratio, parameters={"B": batch})
                for ratio in NET["ratios"][2:]
            ]
        return Plan((line, flat, ball, paths, net), tuple(rows))
