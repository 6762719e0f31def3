"""E5: from a saddle of a network, escape time and direction follow the local HA-SME with the measured H and Σ."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.network_saddles import local_law
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Near

RADIUS = 0.2
LISTED = {"quick": ((0.9, 128), (0.5, 128), (0.9, 512)), "full": ((0.9, 128), (0.7, 128), (0.5, 128), (0.3, 128), (0.9, 512), (0.5, 512))}
PATHS = {"quick": 1000, "full": 8000}
TIME, SIDE = Near(1.0, 0.1), Near(0.0, 0.1)


class NetworkSaddleLaw(Claim):
    """Mean exit and direction against the linear law at the saddle."""

    id = "E5"
    title = "Escape from a network's saddle follows the local HA-SME with the measured H and Σ"
    statement = (
        "From a saddle of a digits network with one negative direction u and noise along it, minibatch SGD with weak noise leaves |u·(θ − θ*)| < R in the "
        "mean time of the local HA-SME, which on the local quadratic is a chain with growth 1 + ημ and noise variance η²uᵀΣu, within a tenth; and E sin² of "
        "the angle between exit and u is that of the linear world within .1."
    )
    citations = (
        Citation("2405.18373v3", "HA-SME is exact on quadratics"),
        Citation("", "that a network's saddle is left by the law with its measured H and Σ: this project's own"),
    )
    conditions = (
        Condition("stationary: |∇f| < 1e-8, one eigenvalue clearly negative", "checked at the saddle that Newton's method finds; the notes have them"),
        Condition("weak noise: batches of 128 and more, R = .2", "by construction; with batches of two the law fails, a control"),
        Condition("noise along u", "in the notes; at symmetric saddles there is none (B15-symmetric)"),
    )
    not_shown = (
        "One saddle of one network. Beyond R of .3 the cubic terms slow the escape, by 13 % at R = .6. With small batches noise in the stable directions "
        "stabilises the unstable one."
    )
    size_name = "x = ηλmax"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        settings: dict[str, dict[str, Any]] = {f"x = {x}, B = {batch}": {"x": x, "batch": batch, "radius": RADIUS} for x, batch in LISTED[profile]}
        settings["drawn"] = {
            "x": round(float(rng.uniform(0.4, 0.95)), 3),
            "batch": int(rng.integers(128, 400)),
            "radius": round(float(rng.uniform(0.15, 0.22)), 3),
        }
        settings["strong noise"] = {"x": 0.9, "batch": 2, "radius": RADIUS}
        measurement = Measurement(
            "saddle of a digits network, local law", local_law, {"settings": settings, "paths": PATHS[profile]}, seconds=PATHS[profile] / 150
        )
        rows = []
        for name, setting in settings.items():
            shared: dict[str, Any] = {"drawn": name == "drawn", "parameters": {"x": setting["x"], "B": setting["batch"], "R": setting["radius"]}}
            if name == "strong noise":
                rows.append(Row("batches of two, over the local HA-SME's mean", measurement.name, f"{name}/time", TIME, setting["x"], Role.CONTROL, **shared))
                continue
            rows.append(Row("mean exit over the local HA-SME's", measurement.name, f"{name}/time", TIME, setting["x"], **shared))
            rows.append(Row("E sin² at the exit less the linear world's", measurement.name, f"{name}/side", SIDE, setting["x"], **shared))
            rows.append(Row("with tr Σ/d in place of uᵀΣu", measurement.name, f"{name}/isotropic", TIME, setting["x"], Role.CONTROL, **shared))
        return Plan((measurement,), tuple(rows))
