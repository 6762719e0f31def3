"""Layer blocks of the Hessian beside their Kronecker forms: images, errors along training, eigenvectors as matrices (claims C19–C22)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel


def _images(stored: Stored, titles: tuple[str, str], x_label: str, y_label: str) -> list[Panel]:
    """Two images on one colour scale."""
    table = stored.table("kronecker-forms-of-layers")
    grids = [next(curve for curve in table[title].values() if curve.z is not None).grid() for title in titles]
    high = max(float(np.abs(z).max()) for _, _, z in grids)
    return [
        Panel(title, x_label, y_label, (), image=Image(x, y, z, label="entry", kind="diverging", low=-high, high=high), aspect="equal")
        for title, (x, y, z) in zip(titles, grids, strict=True)
    ]


def draw(stored: Stored) -> Sheet:
    table = stored.table("kronecker-forms-of-layers")
    panels = _images(stored, ("Layer 2, block of four units", "Its Kronecker form"), "weight", "weight")
    panels += _images(stored, ("Layer 2, eigenvector 1 as a matrix", "Layer 2, eigenvector 2 as a matrix"), "input unit", "output unit")
    for title, label in (("Error of E[M] ⊗ E[xxᵀ]", "relative error"), ("Eigenvectors as matrices", "s₁²/Σs², mean of top 9")):
        panels.append(Panel(title, "step (0 drawn at 30)", label, table[title].drawn(), log="x", y_range=(0, 1.02)))
    return Sheet(
        tuple(panels),
        caption="Layer-wise Hessians of a ReLU network on digits. Top: the block of the second layer on the weights of four units, and E[M] ⊗ E[xxᵀ]. Middle: "
        "its two leading eigenvectors as weight matrices, nearly of rank one. Bottom: error of the Kronecker form and shares of rank one by layer.",
    )


FIGURE = Figure(title="Layer-wise Hessians and their Kronecker forms", draw=draw, claims=("C19",))
