"""The campaign of faults at a large count: kill -9 of drivers and workers at random moments, damage in between, every run compared in the end.

``python benchmarks/faults.py [KILLS] [SEED]`` (default 200, 1) prints a table and writes ``benchmarks/faults.md``. Exit status 1 if anything was lost
or differed.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from campaign import Report, campaign
from running import Bench

from sgdsde.runs.identity import processor


def table(report: Report, kills: int, seed: int) -> str:
    rows = {
        "drivers killed with SIGKILL": report.kills["driver"],
        "workers killed with SIGKILL": report.kills["worker"],
        "chunks and manifests damaged between two drives": sum(report.damages.values()),
        "drives (starts of a driver)": report.drives,
        "runs completed and compared with the uninterrupted one": report.completed,
        "blocks computed again after damage": report.blocks_done_again,
        "acknowledged blocks lost or changed without having been damaged": len(report.lost),
        "completed runs that differ in any block, table or figure": report.wrong_results,
        "drives that ended in another way than expected": len(report.unexpected),
        "worker processes that outlived a killed driver": report.orphans,
    }
    damages = ", ".join(f"{how} {count}" for how, count in sorted(report.damages.items()))
    lines = [
        "# Kill, damage, resume, compare",
        "",
        f"`python benchmarks/faults.py {kills} {seed}`: runs of 24 blocks on processes, threads or in one process.",
        "Moments, victims and damage are drawn from the seed.",
        f"{processor()}, Python {platform.python_version()}, {report.seconds / 60:.0f} min.",
        "",
        "| what | count |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in rows.items()),
        "",
        f"Damage: {damages or 'none'}.",
        "",
        *(f"- {text}" for text in [*report.lost, *report.unexpected]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    kills, seed = (int(word) for word in (sys.argv[1:] + ["200", "1"][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory(prefix="sgdsde-faults-") as folder:
        report = campaign(Bench.make(Path(folder)), Path(folder), kills=kills, seed=seed)
    text = table(report, kills, seed)
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)
    return int(bool(report.lost or report.wrong_results or report.unexpected or report.orphans))


if __name__ == "__main__":
    sys.exit(main())
