"""B11-inputs: in least squares the kurtosis of the inputs decides whether, and with which exponent, the logarithmic barrier holds."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.loss_shaped import diagonal_net, label_noise
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence

KURTOSES = (1.0, 2.0, 3.0, 4.0)
RATIOS = (3.0, 10.0, 30.0, 60.0)
ZONE = Equivalence(1.0, 0.1)


class Inputs(Claim):
    """The exponent of B11 in least squares and a diagonal net with label noise."""

    id = "B11-inputs"
    title = "Least squares with label noise has Σ = 2L·H/B, hence exit times (c/L₀)^(b + ½)"
    statement = (
        "For least squares on the line with label noise of constant size, and for a diagonal net around a minimum, minibatch noise of batch size B makes the "
        "slope of log Eτ in log c equal to b + ½, b = B/(ηh), within 10 % from c = 10L₀ on, whatever the law of the inputs."
    )
    citations = (
        Citation("2105.09557v3", "the decoupling of residuals and features, from which Σ = 2L·H/B follows"),
        Citation("", "Σ = (h/B)(2L₀ + (κ − 1)hθ²), κ = E x⁴/(E x²)²: exponent b/(κ − 1) + ½; docs/theory/anisotropic_escape.md"),
    )
    conditions = (
        Condition("label noise independent of the inputs", "by construction: every combination once"),
        Condition("residuals independent of features", "not met away from the minimum, where the residual is proportional to the input"),
    )
    not_shown = "Inputs in many dimensions, where the share of the covariance that the residual's own direction makes is smaller."
    size_name = "c/L₀"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        common: dict[str, Any] = {"ratios": RATIOS, "batches": (1, 2), "kurtoses": KURTOSES}
        etas = {"listed": 0.2, "drawn": round(float(rng.uniform(0.18, 0.3)), 4)}
        rows, measurements = [], []
        for kind, eta in etas.items():
            squares = Measurement(f"label noise in least squares, {kind}", label_noise, common | {"eta": eta, "least": 0.5}, seconds=1)
            measurements.append(squares)
            for kurtosis in KURTOSES[1:]:
                for batch in (1, 2):
                    where = {"κ": kurtosis, "B": batch, "η": eta}
                    rows += [
                        Row("least squares: slope / (b + ½)", squares.name, f"{kurtosis:g}/{batch}/{c:g}", ZONE, c, Role.CLAIM, kind == "drawn", where)
                        for c in RATIOS[1:]
                    ]
            where = {"κ": 1.0, "B": 1, "η": eta}
            rows.append(Row("inputs ±1: the noise is constant", squares.name, "1/1/30", ZONE, 30.0, Role.CONTROL, kind == "drawn", where))
        net = Measurement("label noise in a diagonal net", diagonal_net, common | {"eta": 0.05, "least": 1e-5, "kurtoses": (2.0, 3.0)}, seconds=3)
        measurements.append(net)
        for kurtosis in (2.0, 3.0):
            rows += [
                Row("diagonal net: slope / (b + ½)", net.name, f"{kurtosis:g}/1/{c:g}", ZONE, c, parameters={"κ": kurtosis, "B": 1, "η": 0.05})
                for c in RATIOS[1:]
            ]
        return Plan(tuple(measurements), tuple(rows))
