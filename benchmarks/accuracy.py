"""Cost to accuracy: how many times fewer path-steps coupling and control variates need for a weak error, at equal error of the estimate.

The study ``cost-to-accuracy`` (``experiments/cost_to_accuracy.py``) with one block a cell: E φ(X) − E φ(θ) by independent ensembles, by coupled ones, and by
coupled ones with a control variate from the linear world at the start. A path-step is a step of SGD or of the integrator. ``python benchmarks/accuracy.py``
prints the table and stores ``benchmarks/accuracy.md``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from page import Page

from sgdsde.runs.listing import folder_of_studies, load

#: gains that the contract asks for
MUST = {"double well": 50, "digits network": 10}


def main() -> None:
    torch.set_num_threads(1)
    page, given = Page.from_command_line(Path(__file__).stem, "Cost to accuracy")
    study = load("cost-to-accuracy", folder_of_studies())
    problems = ("double well",) if given.quick else tuple(MUST)
    config = study.config(problem=problems, paths=4096, block_paths=4096)
    page.text(
        f"Weak error of {config.model} after {config.steps} steps of SGD, {config.paths:,} paths; path-steps of independent ensembles over path-steps of the",
        "improved estimator at equal error, with the interval of the ratio.",
    )
    table = page.table(["dtype", "threads", "problem, estimator", "times fewer path-steps", "from", "to"])
    cells = {cell: study.block(config, cell, paths=config.paths, seed=5) for cell in study.cells(config)}
    for line in study.summary(config, cells).lines:
        if "fewer path-steps" not in line.quantity:
            continue
        gain = line.estimate
        table.row("float64", 1, line.cell, f"{float(gain.value):.3g}", f"{float(gain.low):.3g}", f"{float(gain.high):.3g}")
        problem, _, estimator = line.cell.partition(", ")
        work, must = f"cost to accuracy, {problem}, {estimator}", f"≥ {MUST[problem]}× fewer path-steps (lower end of the interval)"
        page.promise(work, must, float(gain.low), at_least=MUST[problem], dtype="float64", threads="1")
    page.close()


if __name__ == "__main__":
    main()
