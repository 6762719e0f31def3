"""D6: batch normalisation helps test accuracy without a consistently smaller λmax."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.claims.d01_rate_lowers_sharpness import MOST, PROTOCOL, reached
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.trained_digits import trained_digits
from sgdsde.zone import AtLeast, MoreThan

SAMPLES, BATCH = 500, 32
RATES = {"quick": (0.1, 0.5), "full": (0.01, 0.1, 0.5)}
#: at rates up to this one λmax of a batch-normalised network is the largest at so many places between two iterates, as in the published protocol
SMALL, PLACES = 0.1, 5


class BatchNorm(Claim):
    """BatchNorm against none, at several rates."""

    id = "D6"
    title = "Batch normalisation brings accuracy without a consistently smaller λmax"
    statement = (
        "At each learning rate a batch-normalised network has the higher test accuracy, and at one of them at least its λmax (of the loss in training mode, "
        "by the statistics of the samples it is measured on) is no smaller than without."
    )
    citations = (Citation("2206.10654v3", "abstract, (5): batch normalisation does not consistently produce smaller λmax, yet confers benefits"),)
    conditions = (
        *PROTOCOL,
        Condition(f"BatchNorm at η ≤ {SMALL}: the largest λmax between two iterates", f"by construction, at {PLACES} places; the notes have the iterate's too"),
    )
    not_shown = "Evaluation mode uses the statistics of the whole training set, not running averages. Deep networks."
    size_name = "learning rate"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = round(float(rng.uniform(0.15, 0.35)), 3)
        settings: dict[str, dict[str, Any]] = {}
        pairs = []
        for eta in (*RATES[profile], drawn):
            name, extra = ("drawn", {"drawn": "yes"}) if eta == drawn else (f"η = {eta}", {})
            settings[f"{name}, none"] = {"rate": eta, "batch": BATCH, **extra}
            settings[f"{name}, BatchNorm"] = {"rate": eta, "batch": BATCH, "norm": "batch", **({"line": PLACES} if eta <= SMALL else {}), **extra}
            pairs.append((f"{name}, BatchNorm", f"{name}, none", eta))
        settings["BatchNorm, one step"] = {"rate": 0.1, "batch": BATCH, "norm": "batch", "most": 1}
        control = ("BatchNorm, one step", "η = 0.1, none")
        options = {
            "settings": settings,
            "ratios": [(a, b) for a, b, _ in pairs],
            "gains": [*((a, b) for a, b, _ in pairs), control],
            "seeds": 32 if profile == "quick" else 100,
            "samples": SAMPLES,
            "most": MOST,
        }
        measurement = Measurement("digits trained with BatchNorm", trained_digits, options, seconds=15 if profile == "quick" else 120)
        rows = [
            Row(
                "gain in test accuracy, points",
                measurement.name,
                f"{a} − {b}/accuracy",
                MoreThan(0.0),
                eta,
                drawn=eta == drawn,
                parameters={"η": eta, "B": BATCH},
            )
            for a, b, eta in pairs
        ]
        rows.append(
            Row(
                "λmax over that without, the largest over rates", measurement.name, "largest ratio/lambda", AtLeast(1.0), 0, drawn=True, parameters={"B": BATCH}
            )
        )
        rows.append(Row("an untrained BatchNorm network", measurement.name, f"{control[0]} − {control[1]}/accuracy", MoreThan(0.0), 0.1, Role.CONTROL))
        return Plan((measurement,), (*rows, *(row for row in reached(measurement) if "one step" not in row.label)))
