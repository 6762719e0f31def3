"""B15-symmetric: at the symmetric saddles of a network, which are most of those that training meets, SGD's noise vanishes along every escape direction."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.network_saddles import symmetric_saddles
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, MoreThan

SIZES = {"quick": (100, 200, 400), "full": (100, 200, 400, 800, 1797)}
SEEDS = {"quick": (0, 2), "full": (0, 1, 2, 3, 4)}
#: zero up to rounding; and up to what a tolerance of 1e-10 on |∇f| grows to in the steps run
NONE, STAYS, STEPS = LessThan(1e-12), LessThan(1e-6), 15


class SymmetricSaddles(Claim):
    """No noise along the negative directions of a symmetric saddle."""

    id = "B15-symmetric"
    title = "Minibatch SGD cannot leave a network's symmetric saddles"
    statement = (
        "At every saddle met along the training of a digits network where a unit is dead or two units mirror each other, and a direction that breaks this "
        "symmetry has negative curvature, the variance of a sample's gradient along all such directions is zero, so that minibatch SGD of any batch size, "
        "its surrogate and every SDE model alike stay."
    )
    citations = (Citation("", "every sample's gradient keeps the symmetry of the weights: this project's own measurement of a known invariance"),)
    conditions = (
        Condition("stationary, with clearly negative curvature along a direction that breaks the symmetry", "checked at every saddle"),
        Condition("symmetric", "read off the weights, to 1e-6"),
        Condition("there are some", "a row for each size"),
    )
    not_shown = (
        "How SGD passes near such a saddle: there its noise is multiplicative, proportional to the distance, and strong noise can even attract. Noise that "
        "breaks the symmetry (weight noise, dropout)."
    )
    size_name = "samples n"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        settings: dict[str, dict[str, Any]] = {f"n = {n}": {"samples": n, "seeds": SEEDS[profile]} for n in SIZES[profile]}
        drawn = {"samples": int(rng.integers(80, 500)), "seeds": (int(rng.integers(10, 10**6)), int(rng.integers(10, 10**6)))}
        options = {"settings": settings | {"drawn": drawn}, "steps": STEPS}
        measurement = Measurement("symmetric saddles of a digits network", symmetric_saddles, options, seconds=sum(SIZES[profile]) * len(SEEDS[profile]) / 400)
        rows = []
        for name, setting in (settings | {"drawn": drawn}).items():
            n = setting["samples"]
            shared: dict[str, Any] = {"drawn": name == "drawn", "parameters": {"n": n}}
            rows.append(Row("noise along symmetry-breaking directions over the mean", measurement.name, f"{name}/noise", NONE, n, **shared))
            rows.append(Row(f"distance moved along them in {STEPS} steps", measurement.name, f"{name}/moved", STAYS, n, **shared))
            rows.append(Row("symmetric saddles found", measurement.name, f"{name}/count", MoreThan(0.5), n, Role.CONDITION, **shared))
        n = SIZES[profile][1]
        rows.append(Row("noise along the lowest direction of other saddles", measurement.name, f"n = {n}/others", NONE, n, Role.CONTROL, parameters={"n": n}))
        return Plan((measurement,), tuple(rows))
