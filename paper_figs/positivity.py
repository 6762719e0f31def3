"""Positivity of HA-SME's Q along SGD on a small network: the mean defect against the largest ηλ, how often Q is indefinite by samples n (claim A10)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Figure, Sheet, Stored, estimates
from sgdsde.plots import Panel, Series

#: label, look, ηλ, role of the rows, and a factor so that points of one n do not hide each other
KINDS = (
    ("ηλ = 0.9", "EvenStepHASME", 0.9, "claim", 0.88),
    ("ηλ = 0.01", "SVAG", 0.01, "claim", 1.0),
    ("logistic, ηλ = 0.9", "SGD", 0.9, "control", 1.14),
)
#: the batch size of the right panel: others are measured at one n only
BATCH = 8


def defects(stored: Stored) -> Panel:
    """Mean negative over positive mass at the last mark, as the measurement stored it."""
    ((title, curves),) = stored.table("positivity-along-sgd").items()
    series = tuple(curve.ascending().series(label, label.removeprefix("network, "), kind="band") for label, curve in curves.items())
    return Panel(title.replace("HA-SME's ", ""), "largest ηλ", "negative / positive mass", series, log="xy")


def shares(stored: Stored) -> Panel:
    """Share of points with an indefinite Q after the last mark, with the ledger's intervals."""
    claim = stored.claim("A10")
    last = max(row["parameters"]["k"] for row in claim.rows)
    series = []
    for label, look, x, role, apart in KINDS:
        rows = [row for row in claim.select(role=role, x=x, k=last) if row["parameters"]["B"] == BATCH]
        value, low, high = estimates(rows)
        series.append(Series(look, label, np.array([row["size"] * apart for row in rows], dtype=float), value, low, high, kind="points"))
    return Panel(f"Q indefinite after {last} steps", "samples n (points of one n stand apart)", "share of points", tuple(series), log="x", level=0.5)


def draw(stored: Stored) -> Sheet:
    return Sheet(
        (defects(stored), shares(stored)),
        height=2.5,
        caption="Where HA-SME's diffusion matrix is not positive semi-definite along SGD on a small tanh network. Left: mean of negative over positive "
        "mass of Q's spectrum. Right: share of visited points with an indefinite Q, with the ledger's intervals; "
        "logistic regression on the same data is the control.",
    )


FIGURE = Figure(title="Positivity of HA-SME's diffusion along training", draw=draw, claims=("A10",))
