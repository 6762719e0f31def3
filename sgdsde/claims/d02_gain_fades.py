"""D2: the larger rate's gain in test accuracy fades at large batches."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Plan, Role, Row, Scale
from sgdsde.claims.d01_rate_lowers_sharpness import MOST, PROTOCOL, label, reached
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.trained_digits import trained_digits
from sgdsde.stats import paths_needed
from sgdsde.zone import MoreThan

#: spread over seeds of (gain − gain), points: twice the .65 of one accuracy, as if the four were independent
SPREAD = 1.3
#: points of interaction that the run must see, at the level of one row of a catalogue of a thousand, with power .9
RESOLVE = 0.5
SEEDS = paths_needed(SPREAD, RESOLVE, false_alarm=5e-5)
SAMPLES, LOW, HIGH, SMALL = 500, 0.1, 0.2, (8, 32, 128)


class GainFades(Claim):
    """The gain of a larger η at small batches minus that at full batch."""

    id = "D2"
    title = "The larger learning rate's gain in test accuracy fades at large batches"
    statement = f"The gain in test accuracy from η = {LOW} to η = {HIGH} is larger for minibatches than for full-batch gradient descent."
    citations = (Citation("2206.10654v3", "abstract, (1): generalisation benefits sometimes vanish at larger batch sizes"),)
    conditions = PROTOCOL
    not_shown = (
        "“Sometimes” is not refuted by one architecture and data set. The number of seeds comes from a power calculation: an interaction of "
        f"{RESOLVE} points is seen with probability .9; smaller ones stay open."
    )
    size_name = "batch size"
    scales = {"full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        settings: dict[str, dict[str, Any]] = {label(B, eta): {"rate": eta, "batch": B} for B in (*SMALL, SAMPLES) for eta in (LOW, HIGH)}
        B, low = int(rng.integers(10, 60)), round(float(rng.uniform(0.08, 0.12)), 4)
        settings |= {name: {"rate": eta, "batch": B, "drawn": "yes"} for name, eta in (("drawn", low), ("drawn, larger η", 2 * low))}
        untrained = {"one step": {"rate": LOW, "batch": SAMPLES, "most": 1}}
        far = (label(SAMPLES, HIGH), label(SAMPLES, LOW))
        near = [(label(b, HIGH), label(b, LOW), b, False) for b in SMALL] + [("drawn, larger η", "drawn", B, True)]
        options = {
            "settings": settings | untrained,
            "interactions": [*((a, b, *far) for a, b, _, _ in near), (near[0][0], near[0][1], far[0], "one step")],
            "seeds": SEEDS,
            "samples": SAMPLES,
            "most": MOST,
        }
        measurement = Measurement("digits, gains of a larger rate by batch size", trained_digits, options, seconds=400)
        rows = [
            Row(
                "gain minus the gain at full batch, points", measurement.name, f"({a} − {b}) − ({far[0]} − {far[1]})/accuracy", MoreThan(0.0), size, drawn=drawn
            )
            for a, b, size, drawn in near
        ]
        key = f"({near[0][0]} − {near[0][1]}) − ({far[0]} − one step)/accuracy"
        rows.append(Row("training itself as the gain at full batch", measurement.name, key, MoreThan(0.0), SAMPLES, Role.CONTROL))
        return Plan((measurement,), (*rows, *(row for row in reached(measurement) if "one step" not in row.label)))
