"""A23: the integrator's error can exceed the difference between models: Euler–Maruyama inflates HA-SME's stationary variance."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.integrator_bias import integrator_bias
from sgdsde.measurements.random_quadratics import draws
from sgdsde.oracles import euler_inflation
from sgdsde.zone import Equivalence, MoreThan

X, SUBSTEPS = 0.9, (4, 16, 64)
#: (x, n): few enough steps a tick that Euler's bias exceeds SME-1's whole model error
COARSE = ((0.1, 1), (0.5, 1), (0.9, 2))
EXACT, BY_PATHS = 1e-9, 0.02
PATHS = {"quick": 10_000, "full": 60_000}
MORE = MoreThan(1.0)


class IntegratorError(Claim):
    """Integrator bias against model error."""

    id = "A23"
    title = "The integrator's error can exceed the difference between models"
    statement = (
        "Euler–Maruyama with n steps a tick multiplies HA-SME's stationary variance by 1/(1 − |log(1 − ηλ)|/(2n)): by 1.40, 1.078 and 1.018 at ηλ = .9 for n = "
        "4, 16 and 64. With one or two steps a tick that bias exceeds the whole model error of SME-1, so that a coarsely integrated better model looks worse."
    )
    citations = (Citation("", "the formula of an AR(1) process; this project's own comparison"),)
    conditions = (Condition("quadratic, constant covariance, stable integrator (|log(1 − ηλ)| < 2n)", "by construction; the oracle refuses otherwise"),)
    not_shown = (
        "Other integrators and multiplicative noise. Stochastic Heun with 16 steps errs by .55 % at ηλ = .9; exact steps of a linear SDE err not at all."
    )
    size_name = "steps a tick"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        x, n = round(float(rng.uniform(0.2, 0.95)), 4), int(rng.integers(3, 40))
        y = round(float(rng.uniform(0.05, 0.7)), 4)
        listed = [("Euler", X, m) for m in SUBSTEPS]
        every = [*listed, ("Euler", x, n), *(("Euler", a, m) for a, m in (*COARSE, (y, 1))), *(("Heun", a, 16) for a, _ in COARSE)]
        options = {"exact": tuple(every), "paths_at": (*listed, ("Euler", x, n)), "paths": PATHS[profile]}
        measurement = Measurement("integrator bias in the stationary variance", integrator_bias, options, seconds=PATHS[profile] / 2000)
        rows = []
        for a, m, drawn in (*((X, m, False) for m in SUBSTEPS), (x, n, True)):
            where = {"x": a, "n": m}
            for key, delta, how in (("exact", EXACT, "exact"), ("paths", BY_PATHS, "paths")):
                zone = Equivalence(euler_inflation(a, m), delta)
                rows.append(Row(f"variance over HA-SME's, {how}", measurement.name, f"Euler, {a}, {m}/{key}", zone, m, drawn=drawn, parameters=where))
        for a, m, drawn in (*((a, m, False) for a, m in COARSE), (y, 1, True)):
            rows.append(
                Row("Euler's bias over SME-1's model error", measurement.name, f"Euler, {a}, {m}/swamps", MORE, m, drawn=drawn, parameters={"x": a, "n": m})
            )
        rows += [
            Row("Heun's bias over SME-1's model error", measurement.name, f"Heun, {a}, 16/swamps", MORE, 16, Role.CONTROL, parameters={"x": a, "n": 16})
            for a, _ in COARSE
        ]
        rows.append(Row("Euler at n = 4 held to no inflation", measurement.name, f"Euler, {X}, 4/paths", Equivalence(1.0, BY_PATHS), 4, Role.CONTROL))
        return Plan((measurement,), tuple(rows))
