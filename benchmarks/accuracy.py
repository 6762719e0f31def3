"""Cost to accuracy: how many times fewer path-steps coupling, control variates and many levels need for a weak error, at equal error of the estimate.

The study ``cost-to-accuracy`` (``experiments/cost_to_accuracy.py``) with one block a cell: E φ(X) − E φ(θ) by independent ensembles, by coupled ones, by
coupled ones with two martingales as control variates, and by levels of the integrator. A path-step is a step of SGD or of the integrator; the second column
counts CPU time in place of path-steps. The first table is the contract's, the second the same measurement elsewhere: other step sizes, horizons, starts,
batches, models and observables, where nothing is promised. ``python benchmarks/accuracy.py`` prints the tables and stores ``benchmarks/accuracy.md``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from page import Page, Table

from sgdsde.runs.listing import folder_of_studies, load

#: gains that the contract asks for, of coupling and control variates
MUST = {"double well": 50, "digits network": 10}
PROMISED = ("coupled", "controlled")

#: what differs from the contract's setting, and the paths of each
ELSEWHERE: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("double well", "η 0.02, 50 steps", {"eta": 0.02, "steps": 50}, 4096),
    ("double well", "start −1.2, σ 0.8", {"start": -1.2, "sigma": 0.8}, 4096),
    ("double well", "loss", {"observable": "loss"}, 4096),
    ("double well", "HA-SME, 40 steps", {"model": "HASMEProduct", "steps": 40}, 4096),
    ("digits network", "η a third", {"eta": 0.1 / 3}, 1024),
    ("digits network", "30 steps", {"steps": 30}, 1024),
    ("digits network", "from initialisation", {"stage": "initialisation"}, 1024),
    ("digits network", "at the minimum, batches of 32", {"stage": "minimum", "batch": 32}, 1024),
    ("digits network", "loss", {"observable": "loss"}, 1024),
    ("digits network", "SME-1", {"model": "SME1"}, 1024),
)
COLUMNS = ["dtype", "threads", "problem, estimator", "times fewer path-steps", "from", "to", "times less CPU time"]


def main() -> None:
    torch.set_num_threads(1)
    page, given = Page.from_command_line(Path(__file__).stem, "Cost to accuracy")
    study = load("cost-to-accuracy", folder_of_studies())
    problems = ("double well",) if given.quick else tuple(MUST)
    config = study.config(problem=problems, paths=4096, block_paths=4096)
    page.text(
        f"Weak error of {config.model} after {config.steps} steps of SGD, {config.paths:,} paths; path-steps of independent ensembles over path-steps of the",
        "improved estimator at equal error, with the interval of the ratio. Multilevel Monte Carlo is given its best shares of the levels.",
    )
    for line in measured(study, config, page.table(COLUMNS)):
        problem, _, estimator = line.cell.partition(", ")
        if estimator in PROMISED:
            work, must = f"cost to accuracy, {problem}, {estimator}", f"≥ {MUST[problem]}× fewer path-steps (lower end of the interval)"
            page.promise(work, must, float(line.estimate.low), at_least=MUST[problem], dtype="float64", threads="1")
    page.text("The same elsewhere, where nothing is promised: what differs stands in brackets.")
    table = page.table(COLUMNS)
    for problem, words, changes, paths in ELSEWHERE:
        if problem in problems:
            measured(study, study.config(problem=(problem,), paths=paths, block_paths=4096, **changes), table, f" ({words})")
    page.close()


def measured(study: Any, config: Any, table: Table, words: str = "") -> list[Any]:
    """One block of every cell, into the table; the lines of the gains."""
    cells, seconds = {}, {}
    for cell in study.cells(config):
        study.block(config, cell, paths=256, seed=4)  # what is loaded or made once is not timed
    for cell in study.cells(config):
        began = time.process_time()
        cells[cell] = study.block(config, cell, paths=config.paths, seed=5)
        seconds[cell] = time.process_time() - began
    lines = [line for line in study.summary(config, cells).lines if "fewer path-steps" in line.quantity]
    for line in lines:
        problem, _, estimator = line.cell.partition(", ")
        gain, slower = line.estimate, seconds[f"{problem}: {estimator}"] / seconds[f"{problem}: independent"]
        in_time = "" if estimator == "multilevel" else f"{float(gain.value) / slower:.3g}"
        table.row("float64", 1, f"{problem}{words}, {estimator}", f"{float(gain.value):.3g}", f"{float(gain.low):.3g}", f"{float(gain.high):.3g}", in_time)
    return lines


if __name__ == "__main__":
    main()
