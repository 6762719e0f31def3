"""A12: past ηλ = 2 SGD diverges, and so do SPF and HA-SME with log|·|; SME-1 and SME-2 never do."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.growth_factors import growth_factors
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, LessThan, MoreThan

LISTED = {"quick": (0.5, 1.9, 2.1, 2.5, 4.0), "full": (0.1, 0.5, 1.2, 1.9, 1.99, 2.01, 2.1, 2.5, 4.0, 8.0)}
NAMES = {"SGD": "SGD", "EvenStepSPF": "SPF with log|·|", "EvenStepHASME": "even-step HA-SME", "SME1": "SME-1", "SME2": "SME-2"}
DIVERGING, NEVER = ("SGD", "EvenStepSPF", "EvenStepHASME"), ("SME1", "SME2")
STABLE, UNSTABLE = LessThan(1.0), MoreThan(1.0)


class Growth(Claim):
    """Stability of SGD and its models on quadratics."""

    id = "A12"
    title = "SME-1 and SME-2 never diverge past ηλ = 2; SGD and the Hessian-aware models do"
    statement = (
        "On a quadratic minimum SGD, SPF and HA-SME (with log|·| for log, at even k) contract where every ηλ < 2 and diverge, at the same rate, where one is "
        "above 2. SME-1 and SME-2 contract for every ηλ > 0."
    )
    citations = (
        Citation("2405.18373v3", "SME-1 and SME-2 at large step sizes"),
        Citation("2302.01952v3", "instability of gradient descent past ηλ = 2 in the principal flow"),
        Citation("", "the even-step models are this project's own"),
    )
    conditions = (Condition("quadratic minimum, additive noise with constant Σ, ηλ ≠ 1, 2", "by construction"),)
    not_shown = "What happens off quadratics, where divergence is checked by the rest of the objective, and with noise that grows with θ (A13)."
    size_name = "largest ηλ"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        spectra: dict[str, tuple[float, ...]] = {f"x = {x}": (x,) for x in LISTED[profile]}
        drawn: dict[str, tuple[float, ...]] = {}
        for low, high in ((1.1, 1.95), (2.05, 5.0)):
            top, dim = round(float(rng.uniform(low, high)), 3), int(rng.integers(2, 31))
            rest = (round(float(value), 4) for value in rng.uniform(0.02, 0.95, dim - 1))
            drawn[f"d = {dim}, up to {top}"] = (top, *rest)
        measurement = Measurement("growth factors on quadratics", growth_factors, {"spectra": spectra | drawn}, seconds=0.3)
        rows = []
        for name, x in (spectra | drawn).items():
            top, where = max(x), {"dimension": len(x), "largest ηλ": max(x)}
            for process in DIVERGING:
                zone = STABLE if top < 2 else UNSTABLE
                rows.append(Row(NAMES[process], measurement.name, f"{name}/{process}", zone, top, drawn=name in drawn, parameters=where))
            for process in NEVER:
                rows.append(Row(NAMES[process], measurement.name, f"{name}/{process}", STABLE, top, drawn=name in drawn, parameters=where))
            if len(x) == 1:
                rate = Equivalence((1 - top) ** 2, 1e-9)
                rows.append(Row("even-step HA-SME at SGD's rate", measurement.name, f"{name}/EvenStepHASME", rate, top, parameters=where))
            if top > 2:
                rows.append(Row("SME-1 by one Euler step a tick", measurement.name, f"{name}/Euler", STABLE, top, Role.CONTROL, name in drawn, where))
        return Plan((measurement,), tuple(rows))
