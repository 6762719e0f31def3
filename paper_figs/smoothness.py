"""Worst weak error of the models against the curvature λ at a fixed step size: listed and drawn problems (claim A7)."""

from __future__ import annotations

from sgdsde.figures import Figure, Panels, Sheet, Stored
from sgdsde.plots import Panel, model_of

MODELS = ("SME-1", "SME-2", "SPF", "HA-SME")


def panel(title: str, curves: Panels) -> Panel:
    kind = title.rpartition(", ")[2]
    shown = "a = 0.6, σ = 0.8" if kind == "listed" else kind.replace("drawn", "Drawn problem")
    series = [curves[name].ascending().series(model_of(name), name, kind="band") for name in MODELS]
    return Panel(shown, "curvature λ", "worst |weak error|", tuple(series), log="xy")


def draw(stored: Stored) -> Sheet:
    shown = dict(list(stored.table("weak-error-against-curvature").items())[:3])
    falls = {name: [curves[name].ascending().y[0] / curves[name].ascending().y[-1] for curves in shown.values()] for name in MODELS}
    grown = " and ".join(name for name in MODELS if max(falls[name]) < 1)
    return Sheet(
        tuple(panel(title, curves) for title, curves in shown.items()),
        columns=3,
        height=1.9,
        caption="Largest weak error over eight test functions against the curvature λ of f = λθ²/2 + a cos θ at η = 0.1 and T = 0.8, by a deterministic "
        f"oracle. From the smallest λ to the largest HA-SME's falls by a factor of {min(falls['HA-SME']):.0f} to {max(falls['HA-SME']):.0f}, though not at "
        f"each step; in every panel larger at the end than at the start: {grown or 'none'}. Left: the listed problem; the others have drawn amplitude, noise "
        "and start.",
    )


FIGURE = Figure(title="Weak error against the curvature", draw=draw, claims=("A7",))
