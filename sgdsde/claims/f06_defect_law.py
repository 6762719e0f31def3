"""F6: the law of the positivity defect: HA-SME's negative eigenvalues under low-rank noise are those of −(η³/12)·PHΣHP."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.defect_law import defect_ratios
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Near

SHAPES = {"quick": ((2, 1), (6, 3), (20, 5), (20, 15)), "full": ((2, 1), (3, 1), (6, 3), (20, 5), (20, 15), (50, 10), (50, 40))}
ETAS = (0.02, 0.01, 0.005)
#: how near to 1 a ratio must be at η, in units of η times the spectral norm of H (which is 1): the next order
NEXT_ORDER = 4.0


class DefectLaw(Claim):
    """The positivity defect as η → 0."""

    id = "F6"
    title = "HA-SME's positivity defect under low-rank noise is (η²/12)·tr(PHΣHP)/tr Σ"
    statement = (
        "Where the rank of Σ is below the dimension, the negative eigenvalues of HA-SME's Q tend to those of −(η³/12)·PHΣHP as η → 0, P the projector on "
        "ker Σ; the defect, negative over positive mass, tends to (η²/12)·tr(PHΣHP)/tr Σ."
    )
    citations = (Citation("", "this project's own"), Citation("2405.18373v3", "HA-SME's diffusion matrix"))
    conditions = (
        Condition("constant H and Σ, rank of Σ below the dimension, PHΣHP ≠ 0", "by construction"),
        Condition("η small against the gaps that Σ and H leave", "three step sizes; the region shrinks with η"),
    )
    not_shown = "The defect at ηλ near 1, and noise whose small eigenvalues are not zero: where they exceed O(η²) the defect vanishes."
    size_name = "η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        cases = {f"d = {dim}, rank {rank}": (dim, rank) for dim, rank in SHAPES[profile]}
        dim = int(rng.integers(3, 16))
        drawn = {f"d = {dim}, drawn": (dim, int(rng.integers(1, dim)))}
        measurement = Measurement("law of the positivity defect", defect_ratios, {"cases": cases | drawn, "etas": ETAS}, seconds=0.3)
        rows = []
        for name, (size, rank) in (cases | drawn).items():
            for eta in ETAS:
                options: dict[str, Any] = {"drawn": name in drawn, "parameters": {"dimension": size, "rank": rank, "η": eta}}
                zone = Near(1.0, NEXT_ORDER * eta)
                rows.append(Row("defect / law", measurement.name, f"{name}/{eta:g}", zone, eta, **options))
                rows.append(Row("lowest eigenvalue / law", measurement.name, f"{name}/lowest/{eta:g}", zone, eta, **options))
            rows.append(Row("5 % of white noise added", measurement.name, f"{name}/white/{ETAS[-1]:g}", zone, ETAS[-1], Role.CONTROL, **options))
        return Plan((measurement,), tuple(rows))
