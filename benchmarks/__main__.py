"""All tables in one run: ``python benchmarks`` (``make bench``) prints and stores them, and writes the front page, ``benchmarks/README.md``.

    python benchmarks                       the tables of ratios, about ten minutes on an idle machine of two cores
    python benchmarks --quick               every script at tiny sizes, into .quick/: shows that all of it runs
    python benchmarks --only floors,scaling some of them; the front page keeps the rows of the others
    python benchmarks --front               the front page alone, from what is stored

Each script runs in a process of its own, one after the other, with one thread of linear algebra. Peers have environments of their own
(``benchmarks/peers/make.sh``); those that are absent are shown as absent. Long campaigns (``faults.py``, ``scheduler.py``) and the page of a GPU
(``device.py``) have their own commands.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from page import HERE, RESULTS, peer

ORDER = ("floors", "ensembles", "increments", "scaling", "accuracy", "networks", "curvature", "exits", "blocks")
PEERS = ("diffrax", "pyhessian", "hessian-eigenthings", "curvlinops")
#: pages with commands of their own: file -> what it holds
OTHERS = {
    "device.py": "a CUDA device",
    "instructions.py": "the fused GPU steps, counted",
    "faults.py": "kill, damage, resume, compare",
    "scheduler.py": "a plan for 10⁴ workers",
}


def run(name: str, folder: Path, quick: bool) -> bool:
    """One script; whether it ended well."""
    words = [sys.executable, str(HERE / f"{name}.py"), "--out", str(folder), *(["--quick"] if quick else [])]
    start = time.perf_counter()
    print(f"\n=== {name} ===", flush=True)
    done = subprocess.run(words, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    print(f"\n{name}: {'ended with status ' + str(done.returncode) if done.returncode else 'done'}, {time.perf_counter() - start:.0f} s", flush=True)
    return done.returncode == 0


def peers_in_words() -> str:
    """Which peers are there, with their versions."""
    found = []
    for name in PEERS:
        there = peer(name)
        if there is None:
            found.append(f"{name} absent")
            continue
        listed = (HERE / "peers" / f"{name}.txt").read_text().lower().splitlines()
        versions = [line.split("==")[1] for line in listed if line.startswith((f"{name}==", f"{name}-for-pytorch=="))]
        found.append(f"{name} {versions[0]}")
    return ", ".join(found)


def front(results: dict[str, Any], absent: str, quick: bool) -> str:
    """The front page: the contract row by row, and where the tables are."""
    lines = ["# Measured speed", ""]
    lines += ["Quick sizes, which show that it runs and nothing else.", ""] if quick else []
    lines += [
        "`make bench` measures the tables below in one run and writes this page; `make peers` makes the environments of the packages they are held against",
        f"(here: {absent}; torchsde, a plain torch loop, `vmap(grad)` and a loop over",
        "`nn.Module`s run in this one). Ratios are of one run on one machine; a row that does not hold says so.",
        "",
        "## The speed contract",
        "",
        "| work | must | found | holds | dtype | threads | table |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in (*ORDER, "device"):
        for row in results.get(name, {}).get("promises", []):
            holds = {True: "yes", False: "**no**", None: "not measured"}[row["holds"]]
            lines.append(f"| {row['work']} | {row['must']} | {row['found']} | {holds} | {row['dtype']} | {row['threads']} | [{name}]({name}.md) |")
    if "device" not in results:
        never = "never measured on a device yet | not measured | float32 | 1 | [device](device.md) |"
        lines.append(f"| element-wise models on one data-centre GPU | ≥ 1e11 coordinate-steps/s (H100) | {never}")
    lines += ["", "## Tables", "", "| table | what | measured | seconds | load average | code |", "|---|---|---|---|---|---|"]
    for name in (*ORDER, "device"):
        if name in results:
            stamp = results[name]["stamp"]
            lines.append(f"| [{name}]({name}.md) | {results[name]['title']} | {stamp['date']} | {stamp['seconds']} | {stamp['load']} | {stamp['code']} |")
    machines = sorted({f"{entry['stamp']['machine']}; {entry['stamp']['versions']}" for entry in results.values()})
    lines += ["", *(f"Machine: {machine}." for machine in machines), "", "Commands of their own:", ""]
    lines += [f"- `python benchmarks/{script}`: {what} ([{Path(script).stem}]({Path(script).stem}.md));" for script, what in OTHERS.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, into .quick/")
    parser.add_argument("--only", help=f"some of {','.join(ORDER)}")
    parser.add_argument("--front", action="store_true", help="write the front page from what is stored")
    parser.add_argument("--out", type=Path, help="folder to store in")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else [] if given.front else list(ORDER)
    if unknown := [name for name in names if name not in ORDER]:
        parser.error(f"--only: {', '.join(unknown)} unknown; wanted some of {', '.join(ORDER)}.")
    folder = given.out or (HERE / ".quick" if given.quick else HERE)
    start = time.perf_counter()
    failed = [name for name in names if not run(name, folder, given.quick)]
    if not (folder / RESULTS).exists():
        parser.error(f"nothing is stored in {folder}: run python benchmarks first.")
    text = front(json.loads((folder / RESULTS).read_text()), peers_in_words(), given.quick)
    (folder / "README.md").write_text(text)
    print(f"\n{text}\nStored in {folder}; {time.perf_counter() - start:.0f} s; failed: {', '.join(failed) or 'none'}.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
