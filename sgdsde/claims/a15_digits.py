"""A15-small: on real digits, is HA-SME closer to SGD than SME-1, SME-2 and SPF? Against the Gaussian surrogate of SGD: the SDE's own error."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.digits_comparison import MODELS, NAMES, OBSERVABLES, digits_comparison
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, Within

ETAS, HORIZON, BATCH = (0.8, 1.6, 3.2), 12.8, 4
SIZE = {"quick": {"samples": 200, "paths": 1600, "substeps": 4}, "full": {"samples": 200, "paths": 10_000, "substeps": 4}}
CLOSER, ALL = LessThan(1.0), Within(1, 1)


class DigitsSurrogate(Claim):
    """HA-SME against its rivals on digits, reference: the Gaussian surrogate."""

    id = "A15-small"
    title = "On real digits HA-SME is closer to SGD than SME-1, SME-2 and SPF"
    statement = (
        "For logistic regression of odd against even digits on 5 principal components, HA-SME's weak error, the largest over saved iterates, is smaller than "
        "that of SME-1, SME-2 and SPF in E loss, E‖θ − θ₀‖² and tr Cov θ. Reference: SGD with Gaussian noise of the minibatch's covariance."
    )
    citations = (Citation("2405.18373v3", "abstract: experiments on neural-network losses confirm the smaller error; here at the smallest real size"),)
    conditions = (
        Condition("ηλ < 1 along the paths", "η‖H‖ ≤ .8, because the Hessian is largest at θ = 0"),
        Condition("no path leaves HA-SME's domain (Q positive) or diverges", "a row for each setting"),
        Condition("the integrator's error is small", "a step-halving correction on coupled paths is added; its size stands in the notes"),
    )
    not_shown = (
        "Neural networks, and large n: this problem is convex with six parameters. A ratio below 1 says closer, not close. E loss against SME-1, whose error "
        "there changes sign between small and large η: near that η SME-1 is closer, which a full run has the paths to show and a quick one leaves open. "
        "True minibatches: A15-batch."
    )
    size_name = "step size η"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        return plan_for("surrogate", profile, seed)


def plan_for(reference: str, profile: str, seed: int) -> Plan:
    """The rows against one reference; both references read one measurement."""
    rng = draws(seed, "A15-small")
    settings: dict[str, dict[str, Any]] = {f"η = {eta}": {"eta": eta, "batch": BATCH, "steps": round(HORIZON / eta), "start": (0.0,) * 6} for eta in ETAS}
    start = tuple(float(x) for x in 0.3 * rng.standard_normal(6))
    settings["drawn"] = {"eta": round(float(rng.uniform(1, 3)), 3), "batch": int(rng.integers(2, 9)), "steps": 8, "start": start}
    size = SIZE[profile]
    measurement = Measurement("digits, coupled paths", digits_comparison, {"settings": settings, **size}, seconds=size["paths"] * size["samples"] / 9000)
    rows = []
    for name, setting in settings.items():
        options: dict[str, Any] = {"drawn": name == "drawn", "parameters": {"η": setting["eta"], "B": setting["batch"]}}
        rows += [
            Row(
                f"HA-SME's error over {NAMES[rival]}'s, {label}",
                measurement.name,
                f"{name}/{reference}/{observable}/HASME:{rival}",
                CLOSER,
                setting["eta"],
                **options,
            )
            for observable, label in OBSERVABLES.items()
            for rival in MODELS[:-1]
        ]
        rows.append(Row("share of paths that reach the horizon", measurement.name, f"{name}/ok", ALL, setting["eta"], Role.CONDITION, **options))
    for eta in ETAS[:2]:
        key, where = f"η = {eta}/{reference}/squared distance/SME1:SPF", {"η": eta, "B": BATCH}
        rows.append(Row("SME-1 in place of HA-SME, against SPF, E‖θ − θ₀‖²", measurement.name, key, CLOSER, eta, Role.CONTROL, parameters=where))
    return Plan((measurement,), tuple(rows))
