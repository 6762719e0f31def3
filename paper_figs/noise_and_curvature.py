"""Gradient noise against curvature through training: scale, directions, the next step's loss difference, turns (study noise-and-curvature)."""

from __future__ import annotations

from dataclasses import replace

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

#: looks of what is no batch size
SPACES = {"overlap of M and H": ("HASME", "M and H"), "overlap of M and G": ("SPF", "M and G"), "overlap by chance": ("GradientFlow", "chance")}
LAWS = {"redraws, 5 % to 95 %": "SVAG", "mean": "SGD", "law": "EvenStepHASME", "law without noise": "HASME3"}


def draw(stored: Stored) -> Sheet:
    study = stored.study("noise-and-curvature")
    table, batches = study.table, study.config["batches"]
    start = f"step (0 at {study.config['steps'][1] / 3:.2g})"
    small = f"B = {batches[0]}"

    def of_batches(title: str, x_label: str, y_label: str, log: str, level: float | None = None) -> Panel:
        return Panel("", x_label, y_label, table[title].drawn(), log=log, level=level)

    spaces = table[f"Top {study.config['top']} eigenvectors, {small}"]
    differences = table[f"Loss difference of the next step, {small}"]
    shared = tuple(spaces[name].series(*look) for name, look in SPACES.items())
    steps = tuple(differences[name].series(look, name) for name, look in LAWS.items())
    return Sheet(
        (
            replace(of_batches("tr M/tr H against the loss", "training loss", "tr M / tr H", "xy"), title="Scale of noise"),
            Panel(f"Top spaces, {small}", start, "overlap", shared, log="x", y_range=(0, 1.02)),
            replace(of_batches("commutator of Σ and H", start, "‖HΣ−ΣH‖/(2‖HΣ‖)", "x"), title="Commutator"),
            Panel(f"Loss difference, {small}", start, "Δ / sizes of the law's terms", steps, log="x", level=0.0),
            replace(of_batches("P(Δ > 0)", start, "share of redraws", "x"), title="Steps uphill"),
            replace(of_batches("Angle between consecutive steps", "step, end of window", "mean cosine", "x", 0.0), title="Turns"),
        ),
        columns=3,
        height=1.75,
        caption=f"SGD on {study.config['data']} ({study.config['model']}, {study.config['samples']} samples, η = {study.config['eta']:g}), "
        f"{study.config['paths']} starts a batch size, means with 95 % bands. Top: the second moment M of the samples' gradients keeps the Hessian's top "
        "directions and loses its scale as the loss falls; Σ and H commute nearly once trained. Bottom: Δ = f(θ − ηĝ) − f(θ) over redraws of the next step "
        "(median, brown band 5 % to 95 %), its mean, and its second-order law −η‖∇f‖² + (η²/2)(∇fᵀH∇f + tr(HΣ_B)), with and without the noise's term, all over "
        "the sum of these terms' sizes; "
        "how often a step raises the loss; mean cosine between consecutive steps.",
    )


FIGURE = Figure(title="Gradient noise against curvature through training", draw=draw, studies=("noise-and-curvature",))
