"""What a figure reads: tables and verdicts of ``sgdsde verify`` reports, results of ``sgdsde run`` folders. Nothing is made here.

Whatever is missing is an error that names the command that makes it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sgdsde.figures.table import Table, read_table
from sgdsde.types import InputError

if TYPE_CHECKING:
    from sgdsde.runs.reading import StoredRun


@dataclass(frozen=True)
class ClaimFacts:
    """A judged claim as ``report.json`` holds it; ``rows`` are that file's rows."""

    id: str
    title: str
    verdict: str
    scale: str
    why: str
    rows: tuple[Mapping[str, Any], ...]

    def select(self, *, role: str | None = None, **parameters: Any) -> list[Mapping[str, Any]]:
        """The measured rows of a role whose parameters have these values, by size."""
        chosen = [row for row in self.rows if row["estimate"] is not None and (role is None or row["role"] == role)]
        chosen = [row for row in chosen if all(row["parameters"].get(name) == value for name, value in parameters.items())]
        return sorted(chosen, key=lambda row: row["size"])


def estimates(rows: Iterable[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, low and high of rows; undefined ends are NaN."""
    values = [[row["estimate"][name] for name in ("value", "low", "high")] for row in rows]
    value, low, high = np.array(values, dtype=float).reshape(-1, 3).T
    return value, low, high


@dataclass(frozen=True)
class StudyFacts:
    """A complete run of a study: ``folder``, and what is in it."""

    folder: Path

    @cached_property
    def run(self) -> StoredRun:
        """The run itself, see :func:`sgdsde.runs.open_run`: configuration, merged reducers of each cell."""
        from sgdsde.runs import open_run

        return open_run(self.folder)

    @cached_property
    def table(self) -> Table:
        """The numbers of its figure."""
        return read_table(self.folder / "figure.csv")

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """Its result: cell, quantity, value, stderr, low, high, n."""
        return list((self.run.result() or {}).get("lines", []))

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its resolved configuration."""
        return self.run.config


class Stored:
    """Stored results for one figure.

    Args:
        claims, studies: what the figure names; only these can be read.
        folders: reports, runs, or folders that hold runs, in order of precedence.
    """

    def __init__(self, claims: Sequence[str], studies: Sequence[str], folders: Sequence[Path]) -> None:
        self.claims, self.studies, self.folders = tuple(claims), tuple(studies), tuple(folders)

    @cached_property
    def reports(self) -> dict[Path, dict[str, Any]]:
        """Each report's folder and its record."""
        found = {}
        for folder in self.folders:
            for place in (folder, folder / "report"):
                path = place / "report.json"
                if path.is_file():
                    try:
                        found[place] = json.loads(path.read_text(encoding="utf-8"))
                    except ValueError as error:
                        raise InputError(f"{path} is no report ({error}); make it again.") from None
        return found

    def record(self, claim: str) -> tuple[Path, dict[str, Any], dict[str, Any]]:
        """The folder and record of the report that holds a claim, and the claim in it.

        Raises:
            InputError: the figure does not name it, or no report holds it.
        """
        if claim not in self.claims:
            raise InputError(f"The figure reads claim {claim} and does not name it; put it into FIGURE's claims.")
        for folder, record in self.reports.items():
            for entry in record["claims"]:
                if entry["id"] == claim:
                    return folder, record, entry
        raise InputError(f"Claim {claim} is in no report of {self._places()}; make it with: {self.verify_command()}")

    def claim(self, claim: str) -> ClaimFacts:
        """A claim's verdict and rows.

        Raises:
            InputError: no report holds it.
        """
        _, _, entry = self.record(claim)
        return ClaimFacts(entry["id"], entry["title"], entry["verdict"], entry["scale"], entry["why"], tuple(entry["rows"]))

    def table(self, slug: str) -> Table:
        """``figures/SLUG.csv`` of the report that holds the figure's claims.

        Raises:
            InputError: there is none.
        """
        for folder in self._own_reports():
            path = folder / "figures" / f"{slug}.csv"
            if path.is_file():
                return read_table(path)
        raise InputError(f"There is no figures/{slug}.csv in {self._places()}; make it with: {self.verify_command()}")

    def tables(self, pattern: str) -> dict[str, Table]:
        """All tables whose slug matches a pattern with ``*``, by slug.

        Raises:
            InputError: there is none.
        """
        found: dict[str, Table] = {}
        for folder in self._own_reports():
            for path in sorted((folder / "figures").glob(f"{pattern}.csv")):
                found.setdefault(path.stem, read_table(path))
        if not found:
            raise InputError(f"There is no figures/{pattern}.csv in {self._places()}; make it with: {self.verify_command()}")
        return found

    def study(self, name: str) -> StudyFacts:
        """The complete run of a study.

        Raises:
            InputError: the figure does not name it, there is none, or more than one.
        """
        if name not in self.studies:
            raise InputError(f"The figure reads study {name} and does not name it; put it into FIGURE's studies.")
        for folder in self.folders:
            places = [folder, *sorted(folder.glob(f"{name}-*")), *sorted((folder / "runs").glob(f"{name}-*"))]
            # a name may be the beginning of another: only what run.json says counts
            runs = [place for place in places if (place / "result.json").is_file() and _study_of(place) == name]
            if len(runs) > 1:
                shown = ", ".join(map(str, runs))
                raise InputError(f"{folder} holds {len(runs)} complete runs of {name} ({shown}); name the one that is wanted: --from {runs[-1]}")
            if runs:
                return StudyFacts(runs[0])
        raise InputError(f"There is no complete run of {name} in {self._places()}; make it with: sgdsde run {name}")

    def verify_command(self) -> str:
        """The command that makes the report with everything that the figure reads."""
        return "sgdsde verify " + " ".join(f"--claim {claim}" for claim in self.claims)

    def _own_reports(self) -> list[Path]:
        """Reports that hold one of the figure's claims."""
        return [folder for folder, record in self.reports.items() if any(entry["id"] in self.claims for entry in record["claims"])]

    def _places(self) -> str:
        return ", ".join(shlex.quote(str(folder)) for folder in self.folders) or "(nowhere: no --from)"


def _study_of(folder: Path) -> str:
    from sgdsde.store import read_recipe

    content = read_recipe(folder)
    return "" if content is None else str(content["recipe"].get("study", ""))
