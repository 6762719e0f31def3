"""The double well: HA-SME predicts local escape and fails at the barrier (claims B4, B4-local)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored, Table
from sgdsde.plots import Panel, model_of

MODELS = ("SME-1", "SME-2", "SPF", "HA-SME", "HA-SME-3")


def panel(table: Table, title: str, x_label: str) -> Panel:
    series = tuple(table.first[name].ascending().series(model_of(name), name, kind="band") for name in MODELS if name in table.first)
    return Panel(title, x_label, "mean exit / SGD's", series, log="y", level=1.0)


def draw(stored: Stored) -> Sheet:
    verdicts = {claim: stored.claim(claim).verdict for claim in FIGURE.claims}
    return Sheet(
        (
            panel(stored.table("barrier-crossing-against"), f"Over the barrier: {verdicts['B4']}", "step size η"),
            panel(stored.table("local-escape-against-r"), f"Locally: {verdicts['B4-local']}", "half-width r of the neighbourhood"),
        ),
        height=2.3,
        caption="f = θ⁴/4 − θ²/2, start at −1, looked at t = kη, each model's mean exit over SGD's, without Monte Carlo. Left: to θ > 0, σ = 1. Right: out of "
        "(−1 − r, −1 + r), η = 0.2. The verdicts are the ledger's on “HA-SME predicts escape”. SPF and HA-SME are clipped at ηλ = 0.99.",
    )


FIGURE = Figure(title="The double well", draw=draw, claims=("B4", "B4-local"))
