"""A24-each: is the product form nearer than the projected Q in *every* problem of low rank, as it is in the mean?"""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.claims.a24_product_form import PROBLEMS, SHAPES
from sgdsde.measurement import Measurement
from sgdsde.measurements.indefinite_diffusion import drawn_problems
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan

LESS = LessThan(1.0)


class ProductFormEach(Claim):
    """The strong reading of A24."""

    id = "A24-each"
    title = "The product form beats projecting in every problem of low rank"
    statement = (
        "For every quadratic with noise of rank at most half the dimension, the stationary covariance of HA-SME's product form is nearer to SGD's than that of "
        "the exact Q with its negative eigenvalues set to zero."
    )
    citations = (Citation("", "the strong reading of A24, this project's own"),)
    conditions = (
        Condition("quadratics with constant Σ, 0 < ηλ < 1", "by construction"),
        Condition("rank of Σ at most half the dimension", "by construction"),
    )
    not_shown = (
        "A universal statement is refuted by one problem and not proved by any number. The projection is nearer where almost all noise lies along few "
        "eigenvectors of H: its error is then second order in the small correlations, the product form's first order."
    )
    size_name = "dimension"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        count = PROBLEMS[profile]
        dim = int(rng.integers(3, 9))
        cases = {f"d = {d}, rank {rank}": (d, rank, 0.9, count[d]) for d, rank in SHAPES[profile]}
        other = {f"d = {dim}, rank 1": (dim, 1, round(float(rng.uniform(0.6, 0.97)), 3), 60)}
        listed = Measurement("product form and projection, low rank", drawn_problems, {"cases": cases}, seconds=sum(c[3] for c in cases.values()) / 220)
        drawn = Measurement("product form and projection in each problem, drawn", drawn_problems, {"cases": other}, seconds=0.5)
        rows: list[Row] = []
        for measurement, chosen in ((listed, cases), (drawn, other)):
            for name, case in chosen.items():
                where = {"rank": case[1], "largest ηλ": case[2], "problems": case[3]}
                rows.append(Row("largest error ratio", measurement.name, f"{name}/largest/product", LESS, case[0], drawn=chosen is other, parameters=where))
                rows.append(Row("the same, SPF", measurement.name, f"{name}/largest/SPF", LESS, case[0], Role.CONTROL, chosen is other, where))
        return Plan((listed, drawn), tuple(rows))
