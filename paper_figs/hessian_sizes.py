"""Outliers of the spectrum against classes and width, random networks of growing width, lines between solutions (claims C12, C14, C18, C23)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

#: of the random networks drawn; the stored table has more
WIDTHS = (50, 200, 800)


def draw(stored: Stored) -> Sheet:
    panels = []
    for slug, title in (("outliers-and-classes", "Classes"), ("outliers-and-width", "Width")):
        series = tuple(curve.series(label, label.split(", start")[0]) for label, curve in stored.table(slug).first.items() if "start 1" in label)
        panels.append(Panel(f"{title}: largest eigenvalues of G", "rank", "eigenvalue", series, log="y", y_range=(1e-3, 30)))
    curves = stored.table("gap-and-width").first
    narrow = tuple(curves[f"width {width}"].series(f"random {width}", f"width {width}") for width in WIDTHS)
    panels.append(Panel("Random networks: E[M]", "rank", "eigenvalue / largest", narrow, log="y"))
    lines = stored.tables("lines-between-solutions-*")
    last = lines[max(lines, key=lambda name: int(name.rsplit("-", 1)[1]))]
    panels.append(Panel("Lines between solutions", "place on the line α", "loss", last.first.drawn()))
    return Sheet(
        tuple(panels),
        caption="Above: the largest eigenvalues of the Gauss–Newton matrix at training loss .1; with c classes c−1 stand apart, at any width. Below left: "
        "the gap after nine eigenvalues of E[M] opens with the width of random networks. Below right: from a full-batch solution to the small-batch one found "
        "from it there is no barrier, between independent starts there is.",
    )


FIGURE = Figure(title="Outliers, width, and basins", draw=draw, claims=("C12", "C14", "C18", "C23"))
