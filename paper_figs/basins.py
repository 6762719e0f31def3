"""Batch size and basins: eigenvalues by batch size at equal loss, the loss on lines between solutions, heights against width (study basins)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel, Series

#: looks of the lines: shared starts, a control
LINES = {
    "full batch, then small batches from it": ("HASME", "full batch, small batches from it"),
    "one start: small batches and full batch": ("SME1", "one start, small and full batch"),
    "one start: SGD and SAM": ("SPF", "one start, SGD and SAM"),
    "independent starts": ("SGD", "independent starts"),
}


def solution_looks(names: list[str]) -> dict[str, str]:
    """Batch sizes from small to full, SAM last."""
    return dict(zip(names, ("SME2", "HASMEProduct", "SVAG", "SME3", "HASME3"), strict=False))


def draw(stored: Stored) -> Sheet:
    study = stored.study("basins")
    table, config = study.table, study.config
    width = config["widths"][len(config["widths"]) // 2]
    top, lines = table[f"Eigenvalues of H at equal loss, width {width}"], table[f"Loss on lines, width {width}"]
    looks = solution_looks(list(top))

    def of_lines(title: str) -> tuple[Series, ...]:
        return tuple(table[title][name].series(*look) for name, look in LINES.items())

    return Sheet(
        (
            Panel(f"Equal loss, width {width}", "rank", "eigenvalue of H", tuple(top[n].series(look, n) for n, look in looks.items()), log="y"),
            Panel("λmax at equal loss", "width", "λmax", tuple(table["λmax at equal loss"][n].series(look, n) for n, look in looks.items()), log="x"),
            Panel(f"Lines, width {width}", "place on the line α", "loss", tuple(lines[name].series(*look) for name, look in LINES.items())),
            Panel("Barriers", "width", "height above chord / ln c", of_lines("Barriers"), log="x", level=0.0),
        ),
        columns=2,
        height=1.9,
        caption=f"Networks on {config['data']} ({config['model']}, {config['samples']} samples), {config['paths']} pairs of starts a width, means with 95 % "
        f"bands. Top: from one start, stopped at training loss {config['loss']:g}, larger batches end at larger eigenvalues and SAM "
        f"(ρ = {config['radius']:g}) at smaller ones. Bottom: the loss on straight lines. From one start small batches, the full batch and SAM stay in one "
        f"basin; small batches that go on from the full-batch solution to loss {config['lower']:g} do not leave it; independent starts are apart.",
    )


FIGURE = Figure(title="Batch size and basins", draw=draw, studies=("basins",))
