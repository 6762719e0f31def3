"""Mean exit over a barrier against the dimension of a valley that stiffens, with Eyring–Kramers' law and exact rates (study escape-dimension)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

LOOKS = {"Eyring–Kramers' law": "GradientFlow", "HA-SME's theory, T → 0": "PrincipalFlow"}


def draw(stored: Stored) -> Sheet:
    study = stored.study("escape-dimension")
    means, ratios = study.table.values()
    return Sheet(
        (
            Panel("Mean exit", "dimension d", "mean exit, steps", means.drawn(LOOKS), log="y"),
            Panel("The models over SGD", "dimension d", "mean exit / SGD's exact", ratios.drawn(LOOKS), log="y", level=1.0),
        ),
        height=2.2,
        caption="From one minimum of x⁴/4 − x²/2 + ½(k₀ + k₁x²)|y|² to the other. Points: splitting, 95 % intervals, HA-SME's up to d = "
        f"{study.config['eigen_up_to']}; lines: exact rates in any dimension. HA-SME leaves the earlier the more directions stiffen.",
    )


FIGURE = Figure(title="Mean exit against the dimension", draw=draw, studies=("escape-dimension",))
