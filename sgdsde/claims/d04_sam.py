"""D4: sharpness-aware minimisation lowers λmax at all batch sizes; does its gain in accuracy fade at large ones?"""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Plan, Role, Row, Scale
from sgdsde.claims.d01_rate_lowers_sharpness import MOST, PROTOCOL, SMALLER, reached
from sgdsde.claims.d02_gain_fades import SEEDS
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.trained_digits import trained_digits
from sgdsde.zone import MoreThan

SAMPLES, RATE, RADII, BATCHES = 500, 0.2, (0.1, 0.2), (32, 128, 500)


class SharpnessAware(Claim):
    """SAM against SGD at one rate."""

    id = "D4"
    title = "Sharpness-aware minimisation lowers λmax at all batch sizes"
    statement = (
        "With SAM of radius ρ networks trained to 99 % training accuracy have a smaller λmax than with SGD at the same rate, for every batch size up to all "
        "data; and (larger profile) its gain in test accuracy is smaller at full batch than at B = 32."
    )
    citations = (
        Citation("2206.10654v3", "abstract, (3): SAM produces smaller λmax for all batch sizes, benefits vanish with larger batch sizes"),
        Citation("2010.01412v3", "the method, equation 3"),
    )
    conditions = PROTOCOL
    not_shown = "Other radii than those of order .1, m-sharpness (the ball is taken per batch), large networks. In the quick profile accuracy is not judged."
    size_name = "batch size"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        settings: dict[str, dict[str, Any]] = {}
        pairs = []
        for B in BATCHES:
            plain = f"B = {B}, SGD"
            settings[plain] = {"rate": RATE, "batch": B}
            for rho in RADII if BATCHES[0] == B or profile != "quick" else RADII[:1]:
                settings[f"B = {B}, ρ = {rho}"] = {"rate": RATE, "batch": B, "radius": rho}
                pairs.append((f"B = {B}, ρ = {rho}", plain, B, rho, False))
        rho = round(float(rng.uniform(0.05, 0.15)), 3)
        settings["drawn"] = {"rate": RATE, "batch": BATCHES[1], "radius": rho, "drawn": "yes"}
        pairs.append(("drawn", f"B = {BATCHES[1]}, SGD", BATCHES[1], rho, True))
        near, far = ((f"B = {B}, ρ = {RADII[0]}", f"B = {B}, SGD") for B in (BATCHES[0], BATCHES[-1]))
        options = {
            "settings": settings,
            "ratios": [(a, b) for a, b, *_ in pairs],
            "interactions": [(*near, *far)],
            "seeds": 32 if profile == "quick" else SEEDS,
            "samples": SAMPLES,
            "most": MOST,
        }
        measurement = Measurement("digits trained with SAM", trained_digits, options, seconds=20 if profile == "quick" else 300)
        rows = [
            Row("λmax over that of SGD", measurement.name, f"{a} : {b}/lambda", SMALLER, B, drawn=drawn, parameters={"B": B, "ρ": radius, "η": RATE})
            for a, b, B, radius, drawn in pairs
        ]
        if profile != "quick":
            key = f"({near[0]} − {near[1]}) − ({far[0]} − {far[1]})/accuracy"
            rows.append(Row("gain at B = 32 minus the gain at full batch, points", measurement.name, key, MoreThan(0.0), BATCHES[-1]))
        key, where = f"B = {BATCHES[1]}, SGD/sharpening", {"B": BATCHES[1], "η": RATE}
        rows.append(Row("training by SGD in place of SAM", measurement.name, key, SMALLER, BATCHES[1], Role.CONTROL, parameters=where))
        return Plan((measurement,), (*rows, *reached(measurement)))
