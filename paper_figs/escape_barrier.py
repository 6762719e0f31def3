"""Mean exit over a barrier against step size, batch size and sharpness, up to 1e8 steps and more by splitting (study escape-barrier)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

#: axis → (label, which axes are logarithmic)
AXES = {"step size": ("1/η", "y"), "batch size": ("batch size B", "y"), "sharpness": ("ηλ at the minimum", "xy")}
#: these start at zero, above and below alike
FROM_ZERO = ("step size", "batch size")
LOOKS = {"Kramers' law, halved": "GradientFlow", "theory, T → 0": "PrincipalFlow"}


def draw(stored: Stored) -> Sheet:
    means, ratios = [], []
    ends: dict[str, float] = {}
    for title, curves in stored.study("escape-barrier").table.items():
        series = curves.drawn(LOOKS)
        if title.startswith("Mean exit against "):
            name = title.removeprefix("Mean exit against ")
            label, log = AXES[name]
            ends[name] = 1.1 * max(float(one.x.max()) for one in series)
            means.append(Panel(f"Against {name}", label, "mean exit, steps", series, log=log, x_range=_range(name, ends)))
        else:
            name = title.removeprefix("The models over SGD, ")
            label, log = AXES[name]
            ratios.append(Panel("", label, "mean exit / SGD's", series, log=log, level=1.0, x_range=_range(name, ends)))
    return Sheet(
        (*means, *ratios),
        columns=len(means),
        height=1.8,
        caption="Mean exit over the barrier of a double well, looked at t = kη. Points: splitting, 95 % intervals. Top: black line exact for SGD (Nyström), "
        "dotted Kramers' law for the exit at the top. Bottom: over SGD's exact mean; lines exact for the models while their oracle keeps its digits, "
        "dashed grey the limit T → 0 at fixed temperature. Sharpness is varied at a fixed height of the barrier.",
    )


def _range(name: str, ends: dict[str, float]) -> tuple[float, float] | None:
    return (0.0, ends[name]) if name in FROM_ZERO else None


FIGURE = Figure(title="Mean exit over a barrier", draw=draw, studies=("escape-barrier",))
