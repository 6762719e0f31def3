"""A16: SVAG(l) tends to SME-1, not to SGD, as l grows."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.svag import distances, simulated_variances, variances
from sgdsde.oracles import svag_variance_ratio
from sgdsde.zone import Equivalence, Near

LISTED = (0.1, 0.5, 0.9)
AMPLIFICATIONS = (1, 2, 4, 8, 16, 32)
DIMS = {"quick": (2, 10, 30), "full": (2, 5, 10, 20, 30, 50)}
EXACT, BY_PATHS = 1e-9, 0.03
#: distance ∝ 1/l, in the last doubling
FIRST_ORDER = Near(1.0, 0.1)
PATHS = {"quick": 6_000, "full": 60_000}
SIMULATED = (1, 8)


class SvagTendsToSme1(Claim):
    """The limit of SVAG."""

    id = "A16"
    title = "SVAG tends to SME-1 as its amplification grows"
    statement = (
        "On a quadratic SVAG(l)'s stationary variance over SME-1's is 1/(1 − x/(2l)): SGD's at l = 1, SME-1's as l → ∞. On quadratics with noise that does not "
        "commute the distance of its covariance from SME-1's at a fixed time falls like 1/l."
    )
    citations = (Citation("2102.12470v2", "Theorem 4.3: SVAG is a weak approximation of SME-1 of order 1 in 1/l at fixed η"),)
    conditions = (Condition("quadratic, constant Σ, 0 < x < 2l", "by construction"),)
    not_shown = "Networks, where SVAG was used to test whether SGD is near SME-1; and quantities other than covariances."
    size_name = "amplification l"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        x_drawn, l_drawn = round(float(rng.uniform(0.95, 1.9)), 4), int(rng.integers(3, 31))
        xs, counts = (*LISTED, x_drawn), tuple(sorted({*AMPLIFICATIONS, l_drawn}))
        exact = Measurement("SVAG's stationary variance", variances, {"xs": xs, "amplifications": counts}, seconds=0.2)
        high = round(float(rng.uniform(0.5, 1.5)), 3)
        options = {"dims": DIMS[profile], "high": high, "amplifications": AMPLIFICATIONS}
        laws = Measurement("SVAG's law at iterate 10", distances, options, seconds=0.3)
        paths = Measurement(
            "SVAG's stationary variance, simulated",
            simulated_variances,
            {"xs": LISTED, "amplifications": SIMULATED, "paths": PATHS[profile]},
            seconds=PATHS[profile] * sum(SIMULATED) / 5e4,
        )
        rows = []
        for x in xs:
            for l in AMPLIFICATIONS if x != x_drawn else (l_drawn,):  # noqa: E741 - the paper's symbol
                zone, where = Equivalence(svag_variance_ratio(x, l), EXACT), {"x": x, "l": l}
                rows.append(Row("stationary variance / SME-1's", exact.name, f"{l}/{x:.4g}", zone, l, drawn=x == x_drawn, parameters=where))
        for l in SIMULATED:  # noqa: E741
            for x in LISTED[1:]:
                zone, where = Equivalence(svag_variance_ratio(x, l), BY_PATHS), {"x": x, "l": l}
                rows.append(Row("the same by paths", paths.name, f"{l}/{x:.4g}", zone, l, parameters=where))
        where = {"x": 0.9, "l": 32}
        same_as_sgd = Equivalence(svag_variance_ratio(0.9, 1), 0.1)
        rows.append(Row("SVAG held to SGD's variance", exact.name, "32/0.9", same_as_sgd, 32, Role.CONTROL, parameters=where))
        rows.append(Row("SGD held to SME-1's variance", exact.name, "SGD/0.9", Equivalence(1.0, 0.1), 1, Role.CONTROL, parameters={"x": 0.9}))
        for dim in DIMS[profile]:
            where = {"dimension": dim, "ηλ up to": high}
            rows.append(Row("order of the distance in 1/l", laws.name, f"{dim}/32/order", FIRST_ORDER, 32, drawn=True, parameters=where))
        return Plan((exact, laws, paths), tuple(rows))
