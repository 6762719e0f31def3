"""One SDE under three monitors: the same paths of HA-SME leave at SGD's time, or several times earlier, by how they are watched (study escape-monitors)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

LOOKS = {
    "at iterates t = kη": "SGD",
    "bridge: continuous": "SME2",
    "border moved inward: continuous": "HASME",
    "border moved outward: predicts iterates": "SME1",
    "continuous over iterates as η → 0": "GradientFlow",
    "looks at dt alone, exact": "SGD",
}
#: shorter words, for a page
SHORT = {
    "border moved inward: continuous": "inward shift",
    "border moved outward: predicts iterates": "outward shift",
    "bridge: continuous": "bridge",
    "at iterates t = kη": "iterates",
    "looks at dt alone, exact": "looks at dt alone",
    "continuous over iterates as η → 0": "theory, η → 0",
}


def draw(stored: Stored) -> Sheet:
    (first, by_a), (_, by_looks) = stored.study("escape-monitors").table.items()
    panels = []
    for curves in (by_a, by_looks):
        shown = curves.drawn(LOOKS)
        panels.append(tuple(type(one)(one.name, SHORT.get(one.label, ""), one.x, one.y, one.low, one.high, one.kind) for one in shown))
    return Sheet(
        (
            Panel(first, "a = xR/s", "mean exit / SGD's", panels[0], log="y", level=1.0),
            Panel("Continuous watch from looks at dt", "looks a tick, η/dt", "mean exit / continuous", panels[1], log="xy", level=1.0),
        ),
        height=2.3,
        caption="Exits of one SDE from a quadratic minimum under three monitors. Left: over SGD's mean; points simulated, lines exact. Watched at iterates the "
        "law is SGD's; watched continuously it leaves earlier, by a factor that a decides; the border moved outward by .5826·√(Qη) repairs that for small a "
        "only. Right: bridges and the border moved inward find continuous exits from coarse looks.",
    )


FIGURE = Figure(title="One SDE under three monitors", draw=draw, studies=("escape-monitors",))
