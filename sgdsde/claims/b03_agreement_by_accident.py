"""B3: SME-1 watched continuously meets SGD's mean exit at one x only, where two errors cancel; looked at iterates it is eight times late there."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.interval_exits import CONTINUOUS, ITERATES, crossings, interval_exits, symmetric
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtLeast, AtMost, Equivalence

#: multiples of the point of agreement at which it is looked for again
BELOW, ABOVE = 0.6, 1.4
DISTANCES = (3.0, 4.0, 6.0)
CLOSE, EARLY, LATE, SEVERAL_TIMES = Equivalence(1.0, 0.05), AtMost(0.9), AtLeast(1.1), AtLeast(2.0)
#: a with e^{a²/2}·ν(2a) = 1: the point of agreement as x → 0
LIMIT = Equivalence(2.107, 0.15)


class AgreementByAccident(Claim):
    """SME-1 under continuous watch."""

    id = "B3"
    title = "SME-1's mean exit agrees with SGD's by accident, when watched continuously"
    statement = (
        "Watched continuously, SME-1's mean exit from a minimum equals SGD's at one x = ηλ for each R/s, near xR/s = 2: its noise is too weak (late), and the "
        "watch sees what iterates do not (early). At .6 of that x it is early, at 1.4 of it late, by a tenth at least; looked at iterates, as SGD is, "
        "it is late at least two-fold where the two agree."
    )
    citations = (
        Citation("1705.07562v2", "mean exit times of the first-order SDE as predictions for SGD"),
        Citation("2002.03495v14", "the same, by Kramers' law"),
        Citation("", "the cancellation, and its place: this project's own"),
    )
    conditions = (Condition("quadratic, constant Gaussian noise, start at the minimum, R/s ≥ 3", "by construction"),)
    not_shown = "Other regions and objectives; that no pair of errors cancels elsewhere. Agreement of a mean at one step size is no evidence for a model."
    size_name = "R/s"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = tuple(round(float(r), 3) for r in rng.uniform(3.0, 7.0, 1 if profile == "quick" else 5))
        distances = (*DISTANCES, *drawn)
        found = Measurement("where SME-1 meets SGD", crossings, {"distances": distances, "early": BELOW, "late": ABOVE}, seconds=3)
        listed = {"cases": {"listed": symmetric(0.5, 4.0)}, "processes": (("SME1", CONTINUOUS), ("SME1", ITERATES))}
        at = Measurement("SME-1 by both watches at x = 0.5, R/s = 4", interval_exits, listed, seconds=0.1)
        where = {"x": 0.5, "R/s": 4}
        rows = [
            Row("x = .5, R/s = 4: continuous / SGD's", at.name, f"listed/SME1/{CONTINUOUS}", CLOSE, 4, parameters=where),
            Row("x = .5, R/s = 4: iterates / SGD's", at.name, f"listed/SME1/{ITERATES}", SEVERAL_TIMES, 4, parameters=where),
        ]
        for distance in distances:
            key, is_drawn = f"{distance:g}", distance in drawn
            rows += [
                Row("xR/s where it agrees", found.name, f"{key}/a", LIMIT, distance, drawn=is_drawn),
                Row("continuous / SGD's at .6 of that x", found.name, f"{key}/early", EARLY, distance, drawn=is_drawn),
                Row("continuous / SGD's at 1.4 of that x", found.name, f"{key}/late", LATE, distance, drawn=is_drawn),
                Row("iterates / SGD's where it agrees", found.name, f"{key}/at/iterates", SEVERAL_TIMES, distance, drawn=is_drawn),
                Row("iterates / SGD's at .6 of that x", found.name, f"{key}/early/iterates", EARLY, distance, Role.CONTROL, is_drawn),
                Row("HA-SME at iterates where SME-1 agrees", found.name, f"{key}/at/HASME", SEVERAL_TIMES, distance, Role.CONTROL, is_drawn),
            ]
        return Plan((found, at), tuple(rows))
