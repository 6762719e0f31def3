"""The Hessian of a network along training: its spectrum at the ends, H against G and M, and the overlap of their top eigenspaces (claims C4–C7, C17)."""

from __future__ import annotations

from dataclasses import replace

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

#: below, a look for each curve that no other has
LOOKS = {"‖H−G‖/‖H‖": "HASME", "tr M/tr H": "HASMEProduct", "−λmin/λmax": "SPF", "H and M": "SGD", "random subspace": "GradientFlow"}


def draw(stored: Stored) -> Sheet:
    table = stored.table("hessian-along-training")
    spectra = [title for title in table if title.startswith("Spectrum")]
    panels = []
    for title in (spectra[0], spectra[-1]):
        series = tuple(replace(curve.series(label, label), kind="points") for label, curve in table[title].items())
        panels.append(Panel(title, "|λ|", "eigenvalues a bin", series, log="xy", x_range=(1e-9, 1e2), y_range=(0.7, 1e3)))
    against = table["H against G and M"]
    panels.append(Panel("H against G and M", "step (0 drawn at 30)", "ratio", against.drawn(LOOKS), log="xy"))
    aligned = table["Top eigenspaces of H and M"]
    panels.append(Panel("Top ten eigenvectors of H and M", "step (0 drawn at 30)", "overlap", aligned.drawn(LOOKS), log="x", y_range=(0, 1)))
    return Sheet(
        tuple(panels),
        caption="Along training of a ReLU network (1,930 parameters) on digits. Above: eigenvalues of H at initialisation and at the end; outliers stand "
        "right of the bulk, negative ones shrink (bins of a quarter decade; all below 1e-9 in the first). Below: the Hessian tends to the Gauss–Newton "
        "matrix, the second moment M of gradients keeps its directions and loses its scale. Exact dense matrices, one network; the ledger has the others.",
    )


FIGURE = Figure(title="The Hessian along training", draw=draw, claims=("C4",))
