"""PAC-Bayes bounds on the error by shape of the posterior, against samples and against random labels (claims D9, D10)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

#: one look for each shape in both panels
LOOKS = {"isotropic": "SGD", "diagonal": "SME1", "Kronecker": "HASMEProduct", "eigenbasis": "HASME"}


def panel(stored: Stored, slug: str, x_label: str) -> Panel:
    curves = stored.table(slug).first
    series = tuple(curve.ascending().series(LOOKS[label], label, kind="band") for label, curve in curves.items())
    return Panel("", x_label, "bound on the error rate", series)


def draw(stored: Stored) -> Sheet:
    samples = stored.claim("D10").rows[0]["parameters"]["n"]
    return Sheet(
        (panel(stored, "pac-bayes-bounds-by-shape", "samples n"), panel(stored, "pac-bayes-bounds-on-random-labels", "share of random labels")),
        height=2.2,
        caption="PAC-Bayes bounds (probability 0.95, with the union over the prior's width and the sampling error of the draws) on the error of small ReLU "
        "networks on digits, posterior N(w, (βG + I/σ²)⁻¹) restricted to a basis. Means over starts, with the ledger's intervals. "
        f"Right: n = {samples}. Guessing errs in 0.9 of ten classes: a bound above that says nothing.",
    )


FIGURE = Figure(title="PAC-Bayes bounds with curvature-shaped posteriors", draw=draw, claims=("D9", "D10"))
