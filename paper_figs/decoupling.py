"""What decouples in layer blocks of the Hessian, by layer and kind of network: Kronecker errors, eigenspaces, eigenvectors, inputs (study decoupling)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel, Series

LOOKS = {"plain": "SGD", "standardised": "SME2", "BatchNorm": "HASME"}
#: quantity, title, label, axis
BY_LAYER = (
    ("error", "Error of E[M] ⊗ E[xxᵀ]", "relative error", (0.0, 1.02)),
    ("best error", "Error of the best product", "relative error", (0.0, 1.02)),
    ("overlap", "Top c − 1, block and product", "overlap", (0.0, 1.02)),
    ("rank-one share", "Eigenvectors as matrices", "s₁²/Σs²", (0.0, 1.02)),
    ("second moment", "E[xxᵀ] against E[x]E[x]ᵀ", "relative difference", (0.0, 1.05)),
)


def draw(stored: Stored) -> Sheet:
    study = stored.study("decoupling")
    config, lines = study.config, {(line["cell"], line["quantity"]): line for line in study.lines}
    kinds, last = config["kinds"], config["steps"][-1]
    layers = sorted({cell.split(", ")[1] for cell, quantity in lines if quantity == "error"})
    panels = []
    curve = study.table[f"Error of E[M] ⊗ E[xxᵀ], {kinds[0]}"]
    panels.append(Panel("Error through training", "step (0 left of the next)", "relative error", curve.drawn(), log="x", y_range=(0, 1.02)))
    for quantity, title, label, ends in BY_LAYER:
        series = []
        for i, kind in enumerate(kinds):
            found = [lines[f"{kind}, {layer}, step {last}", quantity] for layer in layers]
            value, low, high = (np.array([row[end] for row in found], dtype=float) for end in ("value", "low", "high"))
            place = np.arange(len(layers)) + 0.18 * (i - (len(kinds) - 1) / 2)
            series.append(Series(LOOKS[kind], kind, place, value, low, high, "points"))
        if (f"{kinds[0]}, {layers[0]}, step {last}", f"{quantity} by chance") in lines:
            chance = np.array([lines[f"{kinds[0]}, {layer}, step {last}", f"{quantity} by chance"]["value"] for layer in layers])
            series.append(Series("GradientFlow", "chance", np.arange(len(layers), dtype=float), chance))
        panels.append(Panel(title, "layer", label, tuple(series), x_ticks=tuple(name.removeprefix("layer ") for name in layers), y_range=ends))
    return Sheet(
        tuple(panels),
        columns=3,
        height=1.75,
        caption=f"Layer-wise Hessians of ReLU networks on {config['data']} ({config['model']}, {config['samples']} samples), {config['paths']} starts a kind, "
        f"means with 95 % intervals; after {last:,} steps but for the curve over training (plain). Inputs in [0, 1] have a mean that dominates their "
        "second moment; standardised inputs, and layers behind a batch normalisation (frozen at the training set's statistics), have not, and do not "
        "decouple: not even the best Kronecker product is near.",
    )


FIGURE = Figure(title="What decouples in layer-wise Hessians", draw=draw, studies=("decoupling",))
