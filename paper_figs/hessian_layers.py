"""A layer block of the Hessian beside its Kronecker form, and eigenvectors as matrices, as images (claim C19)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel


def _images(stored: Stored, titles: Mapping[str, str], x_label: str, y_label: str) -> list[Panel]:
    """Images on one colour scale, by their stored title and the one that they get here."""
    table = stored.table("kronecker-forms-of-layers")
    grids = [next(curve for curve in table[title].values() if curve.z is not None).grid() for title in titles]
    high = max(float(np.abs(z).max()) for _, _, z in grids)
    return [
        Panel(title, x_label, y_label, (), image=Image(x, y, z, label="entry", kind="diverging", low=-high, high=high), aspect="equal")
        for title, (x, y, z) in zip(titles.values(), grids, strict=True)
    ]


def draw(stored: Stored) -> Sheet:
    panels = _images(stored, {"Layer 2, block of four units": "Block of four units", "Its Kronecker form": "Its Kronecker form"}, "weight", "weight")
    vectors = {f"Layer 2, eigenvector {i} as a matrix": f"Eigenvector {i}" for i in (1, 2)}
    panels += _images(stored, vectors, "input unit", "output unit")
    return Sheet(
        tuple(panels),
        height=2.2,
        caption="A layer-wise Hessian of a ReLU network on digits. Top: the block of the second layer on the weights of four units, and E[M] ⊗ E[xxᵀ]. "
        "Bottom: its two leading eigenvectors as weight matrices, nearly of rank one.",
    )


FIGURE = Figure(title="A layer-wise Hessian and its Kronecker form", draw=draw, claims=("C19",))
