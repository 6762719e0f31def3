"""A9: HA-SME's Q is positive semi-definite iff noise and curvature are compatible: exact in two dimensions, never at low rank, always where they commute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.existence_map import existence_map
from sgdsde.measurements.positivity import SPECTRA, boundary, commuting_noise, critical_correlation, random_noise
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, LessThan, MoreThan, Within

PAIRS = ((0.5, 0.01), (0.9, 0.05), (0.9, -2.0))
DIMS = {"quick": (5, 20, 50), "full": (5, 10, 20, 50)}
COUNT = {"quick": 150, "full": 600}
EXACT = 1e-6
FIRST, _, LAST = SPECTRA


class Positivity(Claim):
    """When HA-SME's diffusion matrix is positive."""

    id = "A9"
    title = "HA-SME's diffusion matrix is positive only where noise and curvature are compatible"
    statement = (
        "In two dimensions Q ≥ 0 iff the correlation of Σ in H's eigenbasis is at most √(h(2v₁)h(2v₂))/h(v₁+v₂), h(v) = v/(eᵛ−1), v = log(1−ηλ). In d "
        "dimensions noise of rank below d without preferred basis never gives Q ≥ 0; noise that commutes with H always does, whatever its rank; at rank 2d it "
        "depends on the spectrum of H."
    )
    citations = (
        Citation("2405.18373v3", "the assumption that Q is positive semi-definite"),
        Citation("", "the bound and the theorem on low rank are this project's own"),
    )
    conditions = (
        Condition("constant H and Σ, ηλ < 1", "by construction"),
        Condition("rank below d: eigenvalues of H not all equal, Σ not aligned with H", "almost surely, by construction"),
    )
    not_shown = "What minibatch noise of a network does (A10), and what a defect costs (A24). The share at rank 2d belongs to the spectra named here."
    size_name = "dimension"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        count, dims = COUNT[profile], DIMS[profile]
        drawn_pairs = tuple((round(float(rng.uniform(0.1, 0.95)), 3), round(float(rng.uniform(-2.0, 0.05)), 3)) for _ in range(2))
        dim = int(rng.integers(6, 31))
        low_drawn, commuting_drawn = (dim, int(rng.integers(1, dim))), (dim, int(rng.integers(1, dim)))
        plane = Measurement("positivity, boundary in two dimensions", boundary, {"pairs": (*PAIRS, *drawn_pairs)}, seconds=0.5)
        cases = {f"{spectrum}, d = {d}, rank {d - 1}": (spectrum, d, d - 1) for spectrum in SPECTRA for d in dims}
        cases |= {f"{FIRST}, d = {dims[-1]}, rank {rank}": (FIRST, dims[-1], rank) for rank in (1, dims[-1] // 2)}
        listed = set(cases)
        cases[f"drawn, d = {dim}, rank {low_drawn[1]}"] = (list(SPECTRA)[int(rng.integers(3))], *low_drawn)
        twice = {f"{spectrum}, d = {d}, rank {2 * d}": (spectrum, d, 2 * d) for spectrum in (FIRST, LAST) for d in dims[1:]}
        ample = {f"{FIRST}, d = {d}, rank {4 * d}": (FIRST, d, 4 * d) for d in dims}
        every = {"cases": cases | twice | ample, "count": count}
        random = Measurement("positivity under random noise", random_noise, every, seconds=count / 150)
        aligned = {f"d = {d}, rank {max(1, d // 5)}": (d, max(1, d // 5)) for d in dims}
        aligned_drawn = {f"drawn, d = {commuting_drawn[0]}, rank {commuting_drawn[1]}": commuting_drawn}
        commuting = Measurement("positivity under commuting noise", commuting_noise, {"cases": aligned | aligned_drawn, "count": count}, seconds=count / 1500)
        rows: list[Row] = []
        where: Mapping[str, Any]
        for pair in (*PAIRS, *drawn_pairs):
            drawn, where = pair in drawn_pairs, {"x₁": pair[0], "x₂": pair[1]}
            rows.append(Row("critical correlation / the bound", plane.name, f"{pair}", Equivalence(1.0, EXACT), 2, drawn=drawn, parameters=where))
            leading = Equivalence((1 - (pair[0] - pair[1]) ** 2 / 24) / critical_correlation(*pair), EXACT)
            rows.append(Row("the bound to second order in its place", plane.name, f"{pair}", leading, 2, Role.CONTROL, drawn, where))
        for name, (spectrum, d, rank) in cases.items():
            where, drawn = {"ηλ": spectrum, "rank": rank, "draws": count}, name not in listed
            rows.append(Row("draws with Q ≥ 0, rank below d", random.name, f"{name}/number", Within(0, 0), d, drawn=drawn, parameters=where))
        for name, (spectrum, d, rank) in ample.items():
            where = {"ηλ": spectrum, "rank": rank, "draws": count}
            rows.append(Row("the same at rank 4d", random.name, f"{name}/number", Within(0, 0), d, Role.CONTROL, parameters=where))
        for name, (spectrum, d, rank) in twice.items():
            zone, where = MoreThan(0.5) if spectrum == FIRST else LessThan(0.5), {"ηλ": spectrum, "rank": rank, "draws": count}
            rows.append(Row("share with Q ≥ 0, rank 2d", random.name, f"{name}/share", zone, d, parameters=where))
        for name, (d, rank) in (aligned | aligned_drawn).items():
            where, drawn, every_draw = {"rank": rank, "draws": count}, name in aligned_drawn, Within(count, count)
            rows.append(Row("draws with Q ≥ 0, commuting", commuting.name, f"{name}/commuting", every_draw, d, drawn=drawn, parameters=where))
            rows.append(Row("the same noise turned by 10 degrees", commuting.name, f"{name}/turned", every_draw, d, Role.CONTROL, drawn, where))
        sizes = {"low": -1.5, "high": 2.5, "points": 80, "dim": 20, "ranks": (2, 5, 10, 15, 19, 20, 22, 25, 30, 40, 60, 80), "count": count}
        drawing = Measurement("where HA-SME exists", existence_map, sizes, seconds=1.5)
        return Plan((plane, random, commuting, drawing), tuple(rows))
