"""A24: HA-SME's product form is positive for every Σ, keeps every eigendirection's variance, and costs less accuracy than projecting the exact Q."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.indefinite_diffusion import drawn_problems, listed_problems, positive_problems
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtLeast, AtMost, LessThan

LISTED = ((0.5, 0.01), (0.9, 0.05))
#: rank 1, and ranks up to half the dimension: (dim, rank)
SHAPES = {
    "quick": ((2, 1), (10, 1), (10, 5), (50, 1), (50, 25)),
    "full": ((2, 1), (5, 1), (5, 2), (10, 1), (10, 5), (20, 1), (20, 10), (50, 1), (50, 5), (50, 25)),
}
PROBLEMS = {"quick": {2: 250, 10: 80, 50: 30}, "full": {2: 2000, 5: 600, 10: 400, 20: 300, 50: 150}}
POSITIVE = {"quick": (2, 10, 50), "full": (2, 5, 10, 20, 50)}
#: no negative eigenvalue beyond rounding, no error beyond rounding
NONE = AtMost(1e-12)
NEARER, LESS = LessThan(0.0), LessThan(1.0)


class ProductForm(Claim):
    """The product form against projection and the exact Q."""

    id = "A24"
    title = "The product form is positive for every noise and costs little accuracy"
    statement = (
        "Q = η·SΣS, S = φ(M²)^½, is positive for every Σ and keeps SGD's stationary variance along every eigenvector of H. Where the rank of Σ is at most half "
        "the dimension, so that HA-SME's exact Q is indefinite, its stationary covariance is nearer to SGD's than that of the exact Q projected, in the mean "
        "over problems; where the exact Q is positive, the exact Q is nearer."
    )
    citations = (
        Citation("2405.18373v3", "HA-SME's exact Q, and its condition of positivity"),
        Citation("", "the product form, and the comparison, are this project's own"),
    )
    conditions = (
        Condition("quadratics with constant Σ, 0 < ηλ < 1", "by construction"),
        Condition("rank of Σ at most half the dimension, for the comparison with projecting", "by construction; from rank ≈ d on the projection is nearer"),
        Condition("error: relative, Frobenius norm of the stationary covariance", "by construction"),
    )
    not_shown = (
        "A mean over problems, not each problem: A24-each. The size of the errors depends on the spectrum of H. Nothing about objectives that are not "
        "quadratic, where both forms have weak order 2."
    )
    size_name = "dimension"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        count = PROBLEMS[profile]
        cases = {f"d = {dim}, rank {rank}": (dim, rank, 0.9, count[dim]) for dim, rank in SHAPES[profile]}
        dim = int(rng.integers(6, 25))
        rank, top = int(rng.integers(1, dim // 2 + 1)), round(float(rng.uniform(0.7, 0.97)), 3)
        other = {f"d = {dim}, rank {rank}": (dim, rank, top, 150)}
        low_rank = Measurement("product form and projection, low rank", drawn_problems, {"cases": cases}, seconds=sum(c[3] for c in cases.values()) / 220)
        low_rank_drawn = Measurement("product form and projection, low rank, drawn", drawn_problems, {"cases": other}, seconds=0.8)
        listed = Measurement("product form and projection, two listed problems", listed_problems, {"spectra": LISTED}, seconds=0.2)
        full_rank = {f"d = {dim}, rank {8 * dim}": (dim, 8 * dim, 0.9, 20) for dim in POSITIVE[profile]}
        positive = Measurement("product form and exact Q where it is positive", positive_problems, {"cases": full_rank}, seconds=0.4 * len(full_rank))
        rows = [row for name, case in cases.items() for row in _low_rank(low_rank.name, name, case, drawn=False)]
        rows += [row for name, case in other.items() for row in _low_rank(low_rank_drawn.name, name, case, drawn=True)]
        rows += [
            Row("error of the product form / of the projection", listed.name, f"{x}/largest/product", LESS, 2, parameters={"x₁": x[0], "x₂": x[1]})
            for x in LISTED
        ]
        for name, (size, full, _, _) in full_rank.items():
            where = {"rank": full}
            rows += [
                Row("largest error of the exact Q / of the product form", positive.name, f"{name}/largest", LESS, size, parameters=where),
                Row("problems in which the exact Q is positive", positive.name, f"{name}/positive", AtLeast(10), size, Role.CONDITION, parameters=where),
                Row("SPF in place of the exact Q", positive.name, f"{name}/SPF", LESS, size, Role.CONTROL, parameters=where),
            ]
        return Plan((low_rank, low_rank_drawn, listed, positive), tuple(rows))


def _low_rank(measurement: str, name: str, case: tuple[int, int, float, int], *, drawn: bool) -> list[Row]:
    dim, where = case[0], {"rank": case[1], "largest ηλ": case[2]}
    rows = [
        Row("largest defect of Q", measurement, f"{name}/defect/product", NONE, dim, drawn=drawn, parameters=where),
        Row("worst variance along an eigenvector", measurement, f"{name}/variances/product", NONE, dim, drawn=drawn, parameters=where),
        Row("mean error, product form − projection", measurement, f"{name}/product−project", NEARER, dim, drawn=drawn, parameters=where),
        Row("SPF in place of the product form", measurement, f"{name}/SPF−project", NEARER, dim, Role.CONTROL, drawn, where),
    ]
    if dim >= 10 and not drawn:
        rows += [
            Row("smallest defect of the exact Q", measurement, f"{name}/defect/HASME", NONE, dim, Role.CONTROL, drawn, where),
            Row("SPF's worst variance along an eigenvector", measurement, f"{name}/variances/SPF", NONE, dim, Role.CONTROL, drawn, where),
        ]
    return rows
