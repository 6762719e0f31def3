"""A10: on networks with minibatch noise HA-SME's exact Q loses positivity: always where n ≤ d, and at large ηλ where n > d."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.positivity_on_networks import PARAMETERS, positivity_along_sgd
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan, MoreThan

FEW, MANY = 24, {"quick": (100, 400), "full": (100, 400, 1797)}
#: other batch sizes, at this many samples: Q scales with 1/B and its positivity does not depend on B, but the points visited do
BATCHES, AT = (1, 64), 100
MARKS = (10, 100)
#: enough to tell a third of the points from most of them
PATHS = {"quick": 250, "full": 500}
#: "most points", and its opposite
MOST, FEWEST = MoreThan(0.5), LessThan(0.5)


class PositivityOnNetworks(Claim):
    """Positivity along SGD on a network."""

    id = "A10"
    title = "On networks with minibatch noise HA-SME's diffusion matrix loses positivity"
    statement = (
        "At the points that SGD visits on a small tanh network in its first hundred steps HA-SME's exact Q is indefinite: at every step size where there are "
        "fewer samples than parameters, so that the noise lacks rank; where there are more, whatever the batch size, in most points once the largest ηλ is .9, "
        "in few while it is .01."
    )
    citations = (
        Citation("2405.18373v3", "the assumption that Q is positive semi-definite"),
        Citation("", "what becomes of it on a network: this project's own"),
    )
    conditions = (
        Condition("ηλ < 1 for every eigenvalue", "by construction: η is set to x/λmax at each point"),
        Condition("a point's H and Σ over all samples", "exact; the batch size scales Q and decides only which points are visited"),
    )
    not_shown = (
        "Large networks, other activations and losses, and the end of training, where for n ≫ d the share falls again. The defect is small even where Q is "
        "indefinite (the notes have it); A24 says what repairing it costs. Logistic regression on the same data keeps Q positive."
    )
    size_name = "samples n"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        sizes = (FEW, *MANY[profile])
        settings: dict[str, dict[str, Any]] = {f"network, n = {n}": {"model": "network", "samples": n, "batch": 8, "eta": 0.3} for n in sizes}
        settings |= {f"network, n = {AT}, B = {B}": {"model": "network", "samples": AT, "batch": B, "eta": 0.3} for B in BATCHES}
        n = int(rng.integers(60, 600))
        drawn = {
            f"network, n = {n}, drawn": {"model": "network", "samples": n, "batch": int(rng.integers(1, 17)), "eta": round(float(rng.uniform(0.1, 0.4)), 3)}
        }
        logistic: dict[str, dict[str, Any]] = {f"logistic, n = {n}": {"model": "logistic", "samples": n, "batch": 8, "eta": 0.3} for n in sizes[1:]}
        options = {"settings": settings | drawn | logistic, "marks": MARKS, "paths": PATHS[profile]}
        measurement = Measurement("positivity along SGD", positivity_along_sgd, options, seconds=PATHS[profile] * (sum(sizes) + AT * len(BATCHES)) / 8000)
        rows = []
        for name, setting in (settings | drawn).items():
            for k in MARKS:
                where = {"d": PARAMETERS, "n": setting["samples"], "B": setting["batch"], "k": k}
                row: dict[str, Any] = {"size": setting["samples"], "drawn": name in drawn}
                rows.append(Row("indefinite at largest ηλ = .9", measurement.name, f"{name}/{k}/0.9", MOST, parameters={**where, "x": 0.9}, **row))
                if setting["samples"] == FEW:
                    rows.append(Row("indefinite at largest ηλ = .01", measurement.name, f"{name}/{k}/0.01", MOST, parameters={**where, "x": 0.01}, **row))
            if setting["samples"] >= MANY["quick"][0] and name not in drawn:
                where = {"d": PARAMETERS, "n": setting["samples"], "B": setting["batch"], "k": MARKS[-1], "x": 0.01}
                rows.append(Row("indefinite at largest ηλ = .01", measurement.name, f"{name}/{MARKS[-1]}/0.01", FEWEST, parameters=where, **row))
        for name, setting in logistic.items():
            samples = int(setting["samples"])
            where = {"n": samples, "B": 8, "k": MARKS[-1], "x": 0.9}
            rows.append(Row("logistic regression in its place", measurement.name, f"{name}/{MARKS[-1]}/0.9", MOST, samples, Role.CONTROL, parameters=where))
        return Plan((measurement,), tuple(rows))
