"""A23: the integrator's error can swamp the model's: Euler–Maruyama's inflation of HA-SME's stationary variance, and the ranking that it reverses."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.integrator_bias import exact_inflation, key, ranking, simulated_inflation
from sgdsde.measurements.random_quadratics import draws
from sgdsde.oracles import euler_inflation
from sgdsde.zone import Equivalence, MoreThan, Near

LISTED, SUBSTEPS = (0.1, 0.5, 0.9), (4, 16, 64)
#: with one Euler step a tick HA-SME's chain is unstable from |log(1−x)| = 2 on, x = .865
RANKED = (0.1, 0.5, 0.8)
EXACT, BY_PATHS = 1e-9, 0.03
PATHS = {"quick": 12_000, "full": 100_000}
SIMULATED = {"quick": (4, 16), "full": (4, 16, 64)}


class IntegratorError(Claim):
    """Euler–Maruyama's bias in HA-SME's stationary variance."""

    id = "A23"
    title = "The integrator's error can swamp the model's"
    statement = (
        "Integrated by Euler–Maruyama with n steps a tick, HA-SME's stationary variance is too large by the factor 1/(1 − |log(1−x)|/(2n)): at x = .9 by 40, "
        "7.8 and 1.8 % for n = 4, 16, 64. With one step a tick SME-1 shows no error (it is SGD then) and HA-SME does: the ranking of the two is reversed."
    )
    citations = (
        Citation("2405.18373v3", "simulations of HA-SME"),
        Citation("", "the factor: stationary variance of an Euler–Maruyama chain, derived in sgdsde.measurements.integrator_bias"),
    )
    conditions = (Condition("quadratic, constant noise, one eigendirection, 0 < x < 1 and |log(1−x)| < 2n (a stable chain)", "by construction"),)
    not_shown = "Errors of integrators off quadratics, or in other quantities; Heun's error is of second order, and is what the verdicts here rely on."
    size_name = "steps a tick"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn_x, drawn_n = round(float(rng.uniform(0.15, 0.85)), 4), int(rng.integers(2, 41))
        xs, counts = (*LISTED, drawn_x), tuple(sorted({*SUBSTEPS, drawn_n}))
        exact = Measurement("integrator bias, exact", exact_inflation, {"xs": xs, "substeps": counts}, seconds=0.2)
        ranked = (*RANKED, drawn_x)
        reversed_ = Measurement("integrator bias, one Euler step a tick", ranking, {"xs": ranked, "substeps": {"Euler": 1, "Heun": 64}}, seconds=0.1)
        chosen = SIMULATED[profile]
        options = {"xs": (0.5, 0.9), "substeps": chosen, "paths": PATHS[profile]}
        paths = Measurement("integrator bias, simulated", simulated_inflation, options, seconds=PATHS[profile] * sum(chosen) / 2e5)
        rows = []
        for x in xs:
            for n in SUBSTEPS if x != drawn_x else (drawn_n,):
                zone = Equivalence(euler_inflation(x, n), EXACT)
                where = {"x": x, "n": n}
                rows.append(Row("variance of Euler's HA-SME / SGD's", exact.name, key("Euler", "HASME", n, x), zone, n, drawn=x == drawn_x, parameters=where))
                if n in (SUBSTEPS[0], drawn_n):
                    rows.append(Row("Heun held to Euler's formula", exact.name, key("Heun", "HASME", n, x), zone, n, Role.CONTROL, x == drawn_x, where))
        for x in ranked:
            where, drawn = {"x": x, "n": 1}, x == drawn_x
            rows += [
                Row("Euler's SME-1 / SGD", reversed_.name, f"Euler/SME1/{x:.4g}", Near(1.0, EXACT), 1, drawn=drawn, parameters=where),
                Row("error of HA-SME − of SME-1", reversed_.name, f"Euler/{x:.4g}", MoreThan(0.0), 1, drawn=drawn, parameters=where),
                Row("the same by Heun", reversed_.name, f"Heun/{x:.4g}", MoreThan(0.0), 64, Role.CONTROL, drawn, {"x": x, "n": 64}),
            ]
        for n in chosen:
            for x in (0.5, 0.9):
                zone, where = Equivalence(euler_inflation(x, n), BY_PATHS), {"x": x, "n": n}
                rows.append(Row("the same by paths", paths.name, key("Euler", "HASME", n, x), zone, n, parameters=where))
        where = {"x": 0.9, "n": 4}
        rows.append(
            Row("Euler's paths held to SGD's variance", paths.name, key("Euler", "HASME", 4, 0.9), Equivalence(1.0, BY_PATHS), 4, Role.CONTROL, False, where)
        )
        return Plan((exact, reversed_, paths), tuple(rows))
