"""A1: HA-SME has SGD's law on quadratics. The law of one tick is compared with that of one step by matrix exponentials."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.one_step_law import one_step_law
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, Within

#: equality, up to rounding
ZONE = AtMost(1e-12)
DIMS = {"quick": (1, 2, 5, 20, 50), "full": (1, 2, 3, 5, 10, 20, 50, 64)}


class ExactOnQuadratics(Claim):
    """HA-SME is exact in law on quadratics."""

    id = "A1"
    title = "HA-SME reproduces SGD exactly on quadratics with Gaussian noise"
    statement = (
        "On a quadratic with constant noise covariance, Gaussian noise and ηλ < 1, HA-SME at t = kη has exactly the law of SGD's k-th iterate: "
        "e^{Aη} = I − ηH and the covariance added over one tick is η²Σ."
    )
    citations = (Citation("2405.18373v3", "abstract and the result on quadratic objectives (exact recovery in distribution)"),)
    conditions = (
        Condition("ηλ < 1 for every eigenvalue, so that the logarithm is real", "by construction, and refused otherwise (A11)"),
        Condition("Q positive semi-definite, so that an SDE with this Q exists", "every draw, by a row below; A24 treats the rest"),
        Condition("Gaussian noise, constant covariance", "by construction; A3 and A4 drop the first"),
    )
    not_shown = (
        "Nothing about objectives that are not quadratic, about a covariance that depends on θ, or about integrators: these matrices come from "
        "exponentials, not from paths (A2 simulates). Other noise laws share mean and covariance only (A3, A4)."
    )
    size_name = "dimension"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        cases: dict[str, tuple[int, float, float]] = {}
        for dim in DIMS[profile]:
            cases[f"minimum, d = {dim}"] = (dim, 0.05, 0.95)
            if dim > 1:
                cases[f"saddle, d = {dim}"] = (dim, -0.9, 0.9)
        listed = set(cases)
        for i in range(2):
            dim, low, high = int(rng.integers(2, 51)), float(rng.uniform(-1, 0.2)), float(rng.uniform(0.4, 0.98))
            cases[f"drawn {i + 1}, d = {dim}"] = (dim, low, high)
        measurement = Measurement("one-step law on random quadratics", one_step_law, {"cases": cases}, seconds=1)
        rows = [
            Row(f"HA-SME, {name}", measurement.name, f"{name}/HASME", ZONE, case[0], drawn=name not in listed, parameters={"ηλ from": case[1], "to": case[2]})
            for name, case in cases.items()
        ]
        middle = f"saddle, d = {DIMS[profile][2]}"
        rows += [Row(f"{label}, {middle}", measurement.name, f"{middle}/{model}", ZONE, cases[middle][0], Role.CONTROL) for label, model in _RIVALS.items()]
        rows.append(Row("share of draws with Q ≥ 0", measurement.name, "positive", Within(1, 1), max(case[0] for case in cases.values()), Role.CONDITION))
        return Plan((measurement,), tuple(rows))


_RIVALS = {"SME-1": "SME1", "SME-2": "SME2", "SPF": "SPF"}
