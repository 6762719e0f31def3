"""A17: the principal flow is gradient descent on quadratics at t = kη; complex for ηλ > 1, unstable for ηλ > 2."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.flows_on_quadratics import complex_exponents, flows_on_quadratics
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, Equivalence, LessThan, MoreThan

STEPS, DIMS = (1, 10, 100), {"quick": (2, 20), "full": (2, 5, 20, 50)}
STABLE, UNSTABLE = (1.2, 1.5, 1.9), (2.1, 2.5, 3.0)
EXACT, COMPLEX = AtMost(1e-12), Equivalence(1.0, 1e-6)


class PrincipalFlowIsGradientDescent(Claim):
    """The principal flow on quadratics."""

    id = "A17"
    title = "The principal flow is gradient descent on quadratics, complex past ηλ = 1"
    statement = (
        "On a quadratic the principal flow at t = kη is the k-th iterate of gradient descent for ηλ < 1. For ηλ > 1 its exponent log(1 − ηλ) is complex "
        "with imaginary part π (oscillation), and its real part is positive, so that it diverges like gradient descent, exactly for ηλ > 2."
    )
    citations = (Citation("2302.01952v3", "definition of the principal flow, and its behaviour on quadratics"),)
    conditions = (
        Condition("quadratic objective", "by construction: random bases, minima and saddles"),
        Condition("ηλ < 1 for a real flow", "by construction in the first part"),
    )
    not_shown = "Anything off quadratics, where the principal flow is of order 2 like the modified gradient flow."
    size_name = "k, or x = ηλ"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        cases = {f"d = {dim}, k = {k}": (dim, k, -0.3, 0.95) for dim in DIMS[profile] for k in STEPS}
        dim, k = int(rng.integers(2, 31)), int(rng.integers(2, 61))
        cases["drawn"] = (dim, k, float(rng.uniform(-0.5, 0.2)), float(rng.uniform(0.5, 0.98)))
        drawn = {False: round(float(rng.uniform(1.05, 1.95)), 4), True: round(float(rng.uniform(2.05, 4)), 4)}
        flows = Measurement("flows on quadratics", flows_on_quadratics, {"cases": cases}, seconds=0.2)
        logs = Measurement("exponents past the real logarithm", complex_exponents, {"xs": (*STABLE, *UNSTABLE, *drawn.values())}, seconds=0.1)
        rows = [
            Row(f"principal flow, {name}", flows.name, f"{name}/PrincipalFlow", EXACT, case[1], drawn=name == "drawn", parameters={"d": case[0], "k": case[1]})
            for name, case in cases.items()
        ]
        for xs, unstable in ((STABLE, False), (UNSTABLE, True)):
            for x in (*xs, drawn[unstable]):
                options: dict[str, Any] = {"drawn": x == drawn[unstable], "parameters": {"x": x}}
                rows.append(Row("imaginary part over π", logs.name, f"{x}/imaginary", COMPLEX, x, **options))
                rows.append(Row("growth per step", logs.name, f"{x}/growth", MoreThan(0.0) if unstable else LessThan(0.0), x, **options))
        name = f"d = {DIMS[profile][0]}, k = 10"
        rows += [Row(f"{label}, {name}", flows.name, f"{name}/{flow}", EXACT, 10, Role.CONTROL) for flow, label in _RIVALS.items()]
        rows += [Row("gradient flow's growth per step", logs.name, f"{x}/gradient flow", MoreThan(0.0), x, Role.CONTROL, parameters={"x": x}) for x in UNSTABLE]
        return Plan((flows, logs), tuple(rows))


_RIVALS = {"GradientFlow": "gradient flow", "SME2": "modified gradient flow"}
