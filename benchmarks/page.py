"""What every table is printed and stored through: a stamp of the machine, the rows of the speed contract it settles, and where peers are looked for.

A script makes a :class:`Page` from its command line (``--quick`` for sizes of seconds, ``--out`` for another folder), fills it and closes it: NAME.md
beside the script, and its entry of ``results.json``, from which ``python benchmarks`` writes the front page. Quick pages go to ``.quick/``: they show that
everything runs, and never replace a stored table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch

import sgdsde
from sgdsde.runs.identity import git_state, processor

HERE = Path(__file__).resolve().parent
RESULTS = "results.json"


@dataclass(frozen=True)
class Promise:
    """A row of the speed contract: what must hold, what was found (None: not measured, and why)."""

    work: str
    must: str
    found: str
    holds: bool | None
    dtype: str
    threads: str


@dataclass
class Page:
    """One file of tables."""

    name: str
    title: str
    quick: bool = False
    folder: Path = HERE
    parts: list[str | Table] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began, self._load = time.perf_counter(), os.getloadavg()[0]

    @classmethod
    def from_command_line(cls, name: str, title: str, parser: argparse.ArgumentParser | None = None) -> tuple[Page, argparse.Namespace]:
        """The page, and whatever else ``parser`` asked for."""
        parser = parser or argparse.ArgumentParser(description=title)
        parser.add_argument("--quick", action="store_true", help="sizes of seconds, into .quick/")
        parser.add_argument("--out", type=Path, help="folder to store in")
        given = parser.parse_args()
        return cls(name, title, given.quick, given.out or (HERE / ".quick" if given.quick else HERE)), given

    def text(self, *lines: str) -> None:
        """A paragraph, or a heading."""
        self.parts.append("\n".join(lines))

    def table(self, columns: list[str]) -> Table:
        """A table, here in the page; its rows may come later."""
        table = Table(columns)
        self.parts.append(table)
        return table

    def promise(
        self,
        work: str,
        must: str,
        found: float | None,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        most: float | None = None,
        dtype: str,
        threads: str,
    ) -> None:
        """Settle a row of the contract; ``found`` None: not measured here; ``most``: what the floor of the work would reach."""
        holds = None if found is None else (at_least is None or found >= at_least) and (at_most is None or found <= at_most)
        words = "not measured" if found is None else f"{found:.3g}"
        if holds is False and most is not None:
            words += f" (the floor itself: {most:.3g})"
        self.promises.append(Promise(work, must, words, holds, dtype, threads))

    def stamp(self) -> dict[str, str]:
        """Machine, versions, date, code, load."""
        code = git_state(HERE) or {"commit": "unknown", "changed": []}
        changed = any(file.startswith("sgdsde/") for file in code["changed"])
        return {
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": f"{processor()}, {os.cpu_count()} cores",
            "versions": f"torch {torch.__version__}, Python {platform.python_version()}, sgdsde {sgdsde.__version__}",
            "code": code["commit"][:10] + (" with changes" if changed else ""),
            "load": f"{self._load:.1f} before, {os.getloadavg()[0]:.1f} after",
            "seconds": f"{time.perf_counter() - self._began:.0f}",
        }

    def close(self) -> None:
        """Store the page and its entry of the results."""
        stamp = self.stamp()
        head = [f"# {self.title}", "", f"{stamp['machine']}; {stamp['versions']}; code {stamp['code']}; {stamp['date']};"]
        head += [f"load average {stamp['load']}; {stamp['seconds']} s{'; quick sizes, which show that it runs and nothing else' if self.quick else ''}."]
        body = ["\n".join(part.rows) if isinstance(part, Table) else part for part in self.parts]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{self.name}.md").write_text("\n\n".join(["\n".join(head), *body]) + "\n")
        file = self.folder / RESULTS
        results = json.loads(file.read_text()) if file.exists() else {}
        results[self.name] = {"title": self.title, "stamp": stamp, "promises": [asdict(row) for row in self.promises]}
        file.write_text(json.dumps(dict(sorted(results.items())), indent=1, ensure_ascii=False) + "\n")


class Table:
    """Columns and rows; a row is printed when it comes."""

    def __init__(self, columns: list[str]) -> None:
        self.columns, self.rows = columns, [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        print("", *self.rows, sep="\n", flush=True)

    def row(self, *cells: object) -> None:
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for the {len(self.columns)} columns {self.columns}.")
        self.rows.append(f"| {' | '.join(str(cell) for cell in cells)} |")
        print(self.rows[-1], flush=True)


def peer(name: str) -> Path | None:
    """The interpreter of a peer's environment, as ``benchmarks/peers/make.sh`` makes it; None where it is absent."""
    found = HERE / ".peers" / name / "bin" / "python"
    return found if found.exists() else None


def short(dtype: torch.dtype) -> str:
    """float32, float64."""
    return str(dtype).removeprefix("torch.")


def fail(sentence: str, status: int = 1) -> None:
    """Say why, and leave."""
    print(sentence, file=sys.stderr)
    raise SystemExit(status)
