"""B2: HA-SME watched continuously leaves minima early: the path crosses the border and comes back between two iterates."""

from __future__ import annotations

from itertools import pairwise

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.interval_exits import CONTINUOUS, ITERATES, exit_curves, interval_exits, symmetric, watch_trend
from sgdsde.measurements.interval_paths import interval_paths
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, LessThan

LISTED = ((0.1, 8.0), (0.5, 4.0), (0.9, 3.0))
#: along a = xR/s at two fixed x
GROWING = {0.1: (5.0, 10.0, 20.0, 30.0), 0.4: (1.5, 2.5, 5.0, 7.5)}
#: "early": by a tenth at least
EARLY, MORE_SO = AtMost(0.9), LessThan(0.0)
LEAST_A = 0.5
WATCHED = ((0.5, 2.5), (0.8, 2.0))
PATHS = {"quick": 8_000, "full": 100_000}
SUBSTEPS = {"quick": 8, "full": 32}


class ContinuousWatchIsEarly(Claim):
    """HA-SME's exits under continuous watch."""

    id = "B2"
    title = "Watched continuously, HA-SME leaves minima early"
    statement = (
        "HA-SME agrees with SGD at t = kη only. Watched continuously, from a minimum through a border at xR/s ≥ .5 (x = ηλ, s = ησ), its mean exit is shorter "
        "than SGD's by a tenth at least, and the more so the larger xR/s is."
    )
    citations = (
        Citation("2405.18373v3", "predictions of SGD's escape from HA-SME"),
        Citation("", "that the watch decides, and by how much: this project's own; F3 gives the limit"),
    )
    conditions = (
        Condition("quadratic, constant Gaussian noise, 0 < x < 1, start at the minimum", "by construction"),
        Condition("xR/s ≥ .5; for small xR/s and wide regions the two watches agree", "by construction"),
    )
    not_shown = (
        "Other objectives (the direction is the same wherever a path can come back between two looks), and exits from saddles, where paths do not come back."
    )
    size_name = "xR/s"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = []
        for _ in range(3 if profile == "quick" else 12):
            x, a = float(rng.uniform(0.08, 0.95)), float(rng.uniform(LEAST_A, 3))
            drawn.append((x, max(a / x, 1.0)))
        points = [*LISTED, *((x, a) for x, distances in GROWING.items() for a in distances), *drawn]
        cases = {_name(x, r): symmetric(x, r) for x, r in points}
        both = (("HASME", CONTINUOUS), ("HASME", ITERATES))
        exact = Measurement("HA-SME by both watches", interval_exits, {"cases": cases, "processes": both}, seconds=1)
        rows = [
            Row(
                "mean exit, continuous / SGD's",
                exact.name,
                f"{_name(x, r)}/HASME/{CONTINUOUS}",
                EARLY,
                round(x * r, 4),
                drawn=(x, r) in drawn,
                parameters={"x": x, "R/s": r},
            )
            for x, r in points
        ]
        rows += [
            Row("HA-SME looked at iterates / SGD's", exact.name, f"{_name(x, r)}/HASME/{ITERATES}", EARLY, x * r, Role.CONTROL, parameters={"x": x, "R/s": r})
            for x, r in LISTED
        ]
        trend = Measurement("HA-SME by continuous watch, steps along xR/s", watch_trend, {"lines": GROWING}, seconds=1)
        for x, distances in GROWING.items():
            for near, far in pairwise(distances):
                where = {"x": x, "R/s": far}
                rows.append(Row("log ratio − log ratio at the smaller R", trend.name, f"{x}/{far}", MORE_SO, x * far, parameters=where | {"smaller R/s": near}))
        runs = {f"{_name(x, r)}/{watch}": symmetric(x, r) | {"model": "HASME", "monitor": watch} for x, r in WATCHED for watch in ("bridge", ITERATES)}
        paths = Measurement(
            "HA-SME by both watches, by paths",
            interval_paths,
            {"runs": runs, "paths": PATHS[profile], "substeps": SUBSTEPS[profile]},
            seconds=PATHS[profile] / 4e3,
        )
        for x, r in WATCHED:
            where = {"x": x, "R/s": r}
            rows.append(Row("the same by paths and Brownian bridges", paths.name, f"{_name(x, r)}/bridge", EARLY, x * r, parameters=where))
            rows.append(Row("by paths, looked at iterates", paths.name, f"{_name(x, r)}/{ITERATES}", EARLY, x * r, Role.CONTROL, parameters=where))
        curves = {"distances": (4.0,), "xs": (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95), "title": "Mean exit from a minimum"}
        drawing = Measurement(
            "mean exits against x, both watches", exit_curves, curves | {"processes": (*both, ("SME1", CONTINUOUS), ("SME1", ITERATES))}, seconds=2
        )
        return Plan((exact, trend, paths, drawing), tuple(rows))


def _name(x: float, distance: float) -> str:
    return f"x = {x:.4g}, R/s = {distance:.4g}"
