"""Bulk and outliers against classes, random labels, width and depth (study size-and-classes); random networks of growing width (claim C23)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel, Series

#: of the random networks drawn; the stored table has more
WIDTHS = {50: "EvenStepHASME", 200: "SVAG", 800: "HASME3"}
#: of the trained networks' widths
TRAINED = ("SME1", "SME3", "PrincipalFlow")
RULES = {"largest ratio": "SGD", "above a tenth": "SME2", "largest gap": "SPF"}


def draw(stored: Stored) -> Sheet:
    study = stored.study("size-and-classes")
    table, config = study.table, study.config
    counted = table["Outliers against classes c"]
    classes = counted["largest ratio"].x
    rules = tuple(counted[name].series(look, name) for name, look in RULES.items())
    fine = np.geomspace(classes[0], classes[-1], 40)
    off = max(float(np.abs(counted[name].y - (classes - 1)).max()) for name in ("largest ratio", "above a tenth"))
    panels = [Panel("Outliers of G by rule", "classes c", "outliers", (Series("GradientFlow", "c − 1", fine, fine - 1), *rules), log="x", y_range=(0, 10.5))]
    panels.append(_spectra(stored, "classes c", "G by classes c"))
    panels.append(_spectra(stored, "share of labels redrawn", "G by random labels"))
    by_width = table["Largest eigenvalues of G by width"]
    trained = tuple(curve.series(look, f"trained, {label}") for look, (label, curve) in zip(TRAINED, by_width.items(), strict=False))
    panels.append(Panel("G by width", "rank", "eigenvalue", trained, log="y"))
    bulk = []
    for axis, look in (("width", "HASME"), ("hidden layers", "HASMEProduct")):
        parameters = {line["cell"]: line["value"] for line in study.lines if line["quantity"] == "parameters"}
        cell = {"width": "width", "hidden layers": "depth"}[axis]
        x = np.array([parameters[f"{cell} {value}"] for value in config[f"{cell}s"]])
        share = table[f"Bulk against {axis}"]["near zero"]
        order = np.argsort(x)
        assert share.low is not None
        assert share.high is not None
        bulk.append(Series(look, f"by {axis}", x[order], share.y[order], share.low[order], share.high[order], "band"))
    panels.append(Panel("|λ| < 10⁻³λmax, H", "parameters", "share of eigenvalues", tuple(bulk), log="x"))
    curves = stored.table("gap-and-width").first
    random = tuple(curves[f"width {width}"].series(look, f"random, width {width}") for width, look in WIDTHS.items())
    panels.append(Panel("Random networks: E[M]", "rank", "eigenvalue / largest", random, log="y"))
    return Sheet(
        tuple(panels),
        columns=3,
        height=1.75,
        caption=f"Networks on {config['data']} ({config['model']}, {config['samples']} samples) at training loss {config['loss']:g}, {config['paths']} starts "
        "each, means with 95 % bands. Two rules count c − 1 outliers of the Gauss–Newton matrix G with ten classes and are off by at most "
        f"{off:g} with fewer; the largest gap sees only the first few. Random labels close the gap; width hardly moves the largest eigenvalues; the share of "
        "eigenvalues of H near zero rises slowly with the parameters. Last panel: in random networks the gap after nine eigenvalues of E[M] opens with the "
        "width.",
    )


def _spectra(stored: Stored, axis: str, title: str) -> Panel:
    """The largest eigenvalues by value, each with its value at the end."""
    curves = stored.study("size-and-classes").table[f"Largest eigenvalues of G by {axis}"]
    series = tuple(curve.series(label, "") for label, curve in curves.items())
    texts: list[tuple[float, float, str]] = []
    last = 0.0
    for label, curve in sorted(curves.items(), key=lambda item: float(item[1].y[-1])):
        height = max(float(curve.y[-1]), 1.7 * last)  # words that would touch move up
        texts.append((1.12 * float(curve.x[-1]), height, label.rsplit(" ", 1)[1]))
        last = height
    far = float(next(iter(curves.values())).x[-1])
    return Panel(title, "rank", "eigenvalue", series, log="y", texts=tuple(texts), x_range=(0, 1.25 * far))


FIGURE = Figure(title="Bulk and outliers against classes, labels and size", draw=draw, claims=("C23",), studies=("size-and-classes",))
