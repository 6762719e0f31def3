"""D1: a larger learning rate ends at a smaller λmax, at every batch size; with the grid of runs that D3 and D11 read too."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.trained_digits import trained_digits
from sgdsde.zone import AtLeast, LessThan

#: batch size → learning rates; (8, .025), (32, .1), (128, .4) share η/B
RATES = {8: (0.025, 0.05, 0.1, 0.2), 32: (0.1, 0.2, 0.4), 128: (0.1, 0.2, 0.4)}
SIZE = {"quick": {"samples": 500, "seeds": 32}, "full": {"samples": 1000, "seeds": 64}}
MOST, REACHED, SMALLER = 12_000, 0.95, LessThan(1.0)
PROTOCOL = (
    Condition("every run stops at 99 % training accuracy", "a row for each setting: 95 % of the seeds reach it"),
    Condition("λmax in training mode on the first 1,000 training samples", "by construction (all of them where there are fewer); Lanczos to 1 %"),
)


def label(batch: int, rate: float) -> str:
    """A setting of plain SGD by name."""
    return f"B = {batch}, η = {rate:g}"


def grid(profile: str, seed: int) -> tuple[Measurement, dict[str, tuple[str, str]]]:
    """The runs over η × B, and the drawn pairs: ``rate`` (one batch size, two rates) and ``scaled`` (batch and rate times four)."""
    rng = draws(seed, "D1")
    settings: dict[str, dict[str, Any]] = {label(B, eta): {"rate": eta, "batch": B} for B, rates in RATES.items() for eta in rates}
    B, eta = int(rng.integers(12, 21)), round(float(rng.uniform(0.04, 0.07)), 3)
    found = {"drawn": (B, eta), "drawn, larger η": (B, 2.5 * eta), "drawn, both × 4": (4 * B, 4 * eta)}
    settings |= {name: {"rate": round(rate, 4), "batch": batch, "drawn": "yes"} for name, (batch, rate) in found.items()}
    pairs = [(label(B, b), label(B, a)) for B, rates in RATES.items() for a, b in pairwise(rates)]
    scaled = [(label(32, 0.1), label(8, 0.025)), (label(128, 0.4), label(32, 0.1)), ("drawn, both × 4", "drawn")]
    options = {
        "settings": settings,
        "ratios": [*pairs, ("drawn, larger η", "drawn"), *scaled],
        "gains": scaled,
        "most": MOST,
        "predictors": True,
        **SIZE[profile],
    }
    cost = SIZE[profile]["samples"] * SIZE[profile]["seeds"] / 800
    return Measurement("digits trained over η × B", trained_digits, options, seconds=cost), {"rate": ("drawn, larger η", "drawn"), "scaled": scaled[-1]}


def reached(measurement: Measurement) -> list[Row]:
    """A condition for each setting: the stop was reached."""
    rows = []
    for name, setting in measurement.parameters["settings"].items():
        drawn = "drawn" in setting
        where = {} if drawn else {"B": setting["batch"], "η": setting["rate"]}
        rows.append(
            Row(f"share of seeds that stop, {name}", measurement.name, f"{name}/reached", AtLeast(REACHED), setting["batch"], Role.CONDITION, drawn, where)
        )
    return rows


def sharpening(measurement: Measurement, rate: float, role_label: str) -> Row:
    """The control: λmax at the end of training at a small rate over λmax at its start, which is known to rise."""
    name = label(8, rate)
    return Row(role_label, measurement.name, f"{name}/sharpening", SMALLER, 8, Role.CONTROL, parameters={"B": 8, "η": rate})


class RateLowersSharpness(Claim):
    """Larger η, smaller λmax."""

    id = "D1"
    title = "A larger learning rate ends at a smaller λmax, at every batch size"
    statement = "Networks trained to 99 % training accuracy have a smaller largest Hessian eigenvalue the larger the learning rate was, for all batch sizes."
    citations = (Citation("2206.10654v3", "abstract, (1): larger learning rates reduce λmax for all batch sizes"),)
    conditions = PROTOCOL
    not_shown = "Large networks, other data, and learning rates near divergence. One MLP (64-20-20-10) on digits; ratios are geometric means over seeds."
    size_name = "batch size"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        measurement, drawn = grid(profile, seed)
        rows = []
        for B, rates in RATES.items():
            for a, b in pairwise(rates):
                where = {"B": B, "η": b, "against η": a}
                rows.append(Row("λmax over λmax at the smaller rate", measurement.name, f"{label(B, b)} : {label(B, a)}/lambda", SMALLER, B, parameters=where))
        above, below = drawn["rate"]
        batch = measurement.parameters["settings"][below]["batch"]
        where = {"B": batch, "η": measurement.parameters["settings"][above]["rate"], "against η": measurement.parameters["settings"][below]["rate"]}
        rows.append(Row("λmax over λmax at the smaller rate", measurement.name, f"{above} : {below}/lambda", SMALLER, batch, drawn=True, parameters=where))
        rows.append(sharpening(measurement, RATES[8][0], "training at the smallest rate in place of a larger rate"))
        return Plan((measurement,), (*rows, *reached(measurement)))
