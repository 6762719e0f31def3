"""Top eigenspaces of independently trained models: overlap over k, at k = m over the width, with and without batch normalisation (study decoupling)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Curve, Figure, Sheet, Stored
from sgdsde.figures.table import Panels
from sgdsde.plots import Panel, Series

#: widths from narrow to wide
LOOKS = ("SME2", "SME1", "HASME", "HASMEProduct", "SPF", "SME3")


def over_k(curves: Panels, title: str) -> Panel:
    """A curve for each width; chance, k over the layer's weights, is dotted in grey."""
    widths = [label for label in curves if not label.startswith("chance")]
    series: list[Series] = [_thinned(curves[label]).series(look, label) for label, look in zip(widths, LOOKS, strict=False)]
    series += [curves[f"chance, {label}"].series("GradientFlow", "chance") for label in widths]
    return Panel(title, "k / m", "overlap of top k", tuple(series), y_range=(0, 1.02))


def _thinned(curve: Curve) -> Curve:
    """The points nearest to k/m = .1, .2 …, so that markers keep apart."""
    assert curve.low is not None
    assert curve.high is not None
    kept = sorted({int(np.abs(curve.x - place).argmin()) for place in np.arange(0.1, curve.x[-1] + 0.05, 0.1)})
    return Curve(curve.x[kept], curve.y[kept], curve.low[kept], curve.high[kept], curve.kind)


def draw(stored: Stored) -> Sheet:
    study = stored.study("decoupling")
    table, config = study.table, study.config
    shown = [kind for kind in ("plain", "BatchNorm") if kind in config["kinds"]]
    panels = []
    for kind in shown:
        panels += [over_k(table[f"Two models, layer {layer}, {kind}"], f"Layer {layer}, {kind}") for layer in (1, 2)]
        at = table[f"Two models at k = m, {kind}"]
        series = tuple(curve.series(f"of {label}", label) for label, curve in at.items())
        panels.append(Panel(f"k = m, {kind}", "width", "overlap of top m", series, log="x", y_range=(0, 1.02)))
    return Sheet(
        tuple(panels),
        columns=3,
        height=1.75,
        caption=f"Two networks from independent starts, {config['data']} ({config['model']}, {config['samples']} samples), trained to loss {config['loss']:g}: "
        f"overlap of the spans of the first k eigenvectors of a layer's Hessian block, m the layer's outputs; {config['paths']} pairs, means with 95 % bands; "
        "grey: chance for each width. Were a block E[M] ⊗ E[x]E[x]ᵀ, its first m eigenvectors would be the same for all models in layer 1. With batch "
        "normalisation the overlap there peaks near k = m; without, it is weak. Both fall with the width.",
    )


FIGURE = Figure(title="Top eigenspaces of independent models", draw=draw, studies=("decoupling",))
