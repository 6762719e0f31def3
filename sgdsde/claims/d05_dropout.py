"""D5: too much dropout costs accuracy while λmax still falls."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Plan, Role, Row, Scale
from sgdsde.claims.d01_rate_lowers_sharpness import PROTOCOL, SMALLER, reached
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.trained_digits import WIDTHS, trained_digits
from sgdsde.zone import LessThan

SAMPLES, SEEDS, RATE, BATCH, MOST = 500, 32, 0.2, 32, 10_000
MODERATE, HIGH = 0.2, (0.35, 0.5)
#: a wider network, where a share p leaves more units, and can be higher at 99 % training accuracy
WIDE, WIDE_HIGH = 64, (0.5, 0.7)


class Dropout(Claim):
    """λmax and accuracy against the share of units dropped."""

    id = "D5"
    title = "High dropout lowers λmax and test accuracy alike"
    statement = (
        f"Between dropout p = {MODERATE} and excessive p test accuracy falls although λmax falls too: flatter and worse. λmax is of the loss in training mode, "
        "with one draw of masks."
    )
    citations = (Citation("2206.10654v3", "abstract, (4): excessively high dropout can degrade generalisation, even as it promotes smaller λmax"),)
    conditions = PROTOCOL
    not_shown = "Layers wider than 64; convolutions. Where 99 % training accuracy is out of reach the protocol does not apply."
    size_name = "dropout p"
    scales = {"full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        settings: dict[str, dict[str, Any]] = {f"p = {p}": {"rate": RATE, "batch": BATCH, "dropout": p} for p in (MODERATE, *HIGH)}
        settings["p = 0"] = {"rate": RATE, "batch": BATCH}
        p = round(float(rng.uniform(0.4, 0.48)), 3)
        settings["drawn"] = {"rate": RATE, "batch": BATCH, "dropout": p, "drawn": "yes"}
        moderate, wide = f"p = {MODERATE}", f"{WIDE} units, p = {MODERATE}"
        settings |= {f"{WIDE} units, p = {q}": {"rate": RATE, "batch": BATCH, "dropout": q, "width": WIDE} for q in (MODERATE, *WIDE_HIGH)}
        pairs = [(f"p = {q}", moderate, q, False) for q in HIGH] + [("drawn", moderate, p, True)]
        pairs += [(f"{WIDE} units, p = {q}", wide, q, False) for q in WIDE_HIGH]
        options = {
            "settings": settings,
            "ratios": [(a, b) for a, b, *_ in pairs],
            "gains": [*((a, b) for a, b, *_ in pairs), (moderate, "p = 0")],
            "seeds": SEEDS,
            "samples": SAMPLES,
            "most": MOST,
        }
        measurement = Measurement("digits trained with dropout", trained_digits, options, seconds=400)
        rows = []
        for a, b, size, drawn in pairs:
            where = {"p": size, "against p": MODERATE, "units": WIDE if b == wide else WIDTHS[0]}
            rows.append(Row("λmax over that at moderate p", measurement.name, f"{a} : {b}/lambda", SMALLER, size, drawn=drawn, parameters=where))
            rows.append(Row("gain in test accuracy, points", measurement.name, f"{a} − {b}/accuracy", LessThan(0.0), size, drawn=drawn, parameters=where))
        rows.append(Row("training without dropout in place of more dropout", measurement.name, "p = 0/sharpening", SMALLER, 0, Role.CONTROL))
        return Plan((measurement,), (*rows, *reached(measurement)))
