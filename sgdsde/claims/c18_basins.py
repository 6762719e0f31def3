"""C18 and C24: large- and small-batch solutions lie in one basin; what independent solutions share."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_basins import hessian_basins
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, MoreThan

#: a tenth of the loss of a guess
LOW = LessThan(0.1)
#: more than chance: at least twice its overlap
TWICE = MoreThan(2.0)
NAME = "lines between solutions, n = {}"
SAMPLES, PAIRS = {"quick": (200, 400, 800), "full": (200, 400, 800, 1_600)}, {"quick": 1, "full": 4}


def _measurements(profile: str, seed: int) -> tuple[Measurement, ...]:
    """One for each size."""
    rng = draws(seed, "C18")
    made = []
    for n in SAMPLES[profile]:
        pairs = tuple((int(rng.integers(2**31)), int(rng.integers(2**31))) for _ in range(PAIRS[profile]))
        made.append(Measurement(NAME.format(n), hessian_basins, {"pairs": pairs, "samples": n}, seconds=n * len(pairs) / 200))
    return tuple(made)


class OneBasin(Claim):
    """The loss on lines between solutions."""

    id = "C18"
    title = "Large- and small-batch solutions lie in one basin"
    statement = "Small batches started from a full-batch solution end where the straight line back has no barrier above a tenth of ln c, the loss of a guess."
    citations = (Citation("1706.04454v3", "large- and small-batch solutions are connected in one basin"),)
    conditions = (Condition("both solutions are trained", "stopped at losses .1 (full batch) and .02 (B = 8)"),)
    not_shown = "That independent large- and small-batch runs share a basin: those from different starts are the control, and have barriers. Permuting units."
    size_name = "samples n"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        made, rows = _measurements(profile, seed), []
        for n in SAMPLES[profile]:
            name = NAME.format(n)
            for i in range(PAIRS[profile]):
                where: dict[str, Any] = {"size": n, "drawn": True, "parameters": {"n": n}}
                rows.append(Row(f"barrier / ln c, pair {i + 1}", name, f"pair {i + 1}/large to small", LOW, **where))
            rows.append(Row("independent starts", name, "pair 1/independent", LOW, n, Role.CONTROL, True, {"n": n}))
        return Plan(made, tuple(rows))


class IndependentModels(Claim):
    """Overlap of top eigenspaces of independent models."""

    id = "C24"
    title = "Top eigenspaces of independently trained models overlap more than chance"
    statement = "The top c−1 eigenvectors of the first layer's Hessian block of two independent starts overlap at least twice as much as random ones."
    citations = (Citation("2010.04261v6", "top eigenspaces of different models"),)
    conditions = (Condition("same data, same architecture, independent starts", "by construction"), Condition("both trained", "to loss .02 with B = 8"))
    not_shown = "A large overlap: at this size it is far below one. How it depends on k and on the width: C24-peak."
    size_name = "samples n"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rows = []
        for n in SAMPLES[profile]:
            name = NAME.format(n)
            for i in range(PAIRS[profile]):
                rows.append(Row(f"overlap over chance, pair {i + 1}", name, f"pair {i + 1}/overlap", TWICE, n, drawn=True, parameters={"n": n}))
            rows.append(Row("a random subspace", name, "pair 1/overlap, random", TWICE, n, Role.CONTROL, True, {"n": n}))
        return Plan(_measurements(profile, seed), tuple(rows))
