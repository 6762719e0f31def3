"""Tables of plotted numbers as :func:`sgdsde.plots.csv_of` writes them, read back as curves by panel and series."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from sgdsde.plots.panel import Series
from sgdsde.plots.style import WRITTEN, model_of
from sgdsde.types import InputError, suggest

Kind = Literal["line", "points", "band", "steps"]


@dataclass(frozen=True, eq=False)
class Curve:
    """Stored numbers of one series, in stored order; ``low`` and ``high`` are None where it has no intervals; ``z`` where it is an image."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    kind: str = "line"
    z: np.ndarray | None = None

    def series(self, name: str, label: str = "", *, kind: Kind | None = None) -> Series:
        """To draw in the look of ``name`` (a model, or any word), as it was drawn unless ``kind`` says otherwise; ``label`` stands in the legend."""
        drawn: Any = kind or self.kind
        return Series(name, label, self.x, self.y, self.low, self.high, drawn)

    def ascending(self) -> Curve:
        """By x."""
        order = np.argsort(self.x, kind="stable")
        low, high = (None if part is None else part[order] for part in (self.low, self.high))
        return Curve(self.x[order], self.y[order], low, high, self.kind)

    def grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """An image's x, y and z[y, x].

        Raises:
            InputError: it is none.
        """
        if self.z is None:
            raise InputError("This series is no image; its numbers are x and y.")
        x, y = np.unique(self.x), np.unique(self.y)
        z = np.full((len(y), len(x)), np.nan)
        z[np.searchsorted(y, self.y), np.searchsorted(x, self.x)] = self.z
        return x, y, z


class Panels(dict[str, Curve]):
    """Curves of one panel by label; a word that is not there is refused with what is."""

    def __missing__(self, label: str) -> Curve:
        raise InputError(f"There is no series {label!r}." + suggest(label, list(self)))

    def drawn(self, looks: Mapping[str, str] = MappingProxyType({})) -> tuple[Series, ...]:
        """All curves of the panel but images as they were drawn; ``looks`` gives a look to labels that are no model's name.

        A label that is a model's name in the package (SME1), not in words (SME-1), was drawn without a word in the legend, and is again.
        """
        series = []
        for label, curve in self.items():
            if curve.kind != "image":
                base = label.removesuffix(f" ({curve.kind})")
                written = WRITTEN.get(base, base) == base
                series.append(curve.series(looks.get(base, model_of(base)), base if written else ""))
        return tuple(series)


class Table(dict[str, Panels]):
    """Panels of one figure by title."""

    def __missing__(self, title: str) -> Panels:
        raise InputError(f"There is no panel {title!r}." + suggest(title, list(self)))

    @property
    def first(self) -> Panels:
        """The first panel's curves."""
        return next(iter(self.values()))


def read_table(path: Path) -> Table:
    """A table of plotted numbers. Where one label has points and a line, the second kind is called ``LABEL (line)``, by its kind.

    Raises:
        InputError: it is no such table.
    """
    found: dict[str, dict[str, list[list[float]]]] = defaultdict(dict)
    kinds: dict[tuple[str, str], str] = {}
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                panel, kind = row["panel"], row["kind"]
                label = row["series"]
                if kinds.setdefault((panel, label), kind) != kind:
                    label = f"{label} ({kind})"
                    kinds[panel, label] = kind
                numbers = [_number(row[name]) for name in ("x", "y", "low", "high")] + [_number(row.get("z") or "")]
                found[panel].setdefault(label, []).append(numbers)
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path} is no table of plotted numbers ({error}); make it again.") from None
    return Table({panel: Panels({label: _curve(rows, kinds[panel, label]) for label, rows in curves.items()}) for panel, curves in found.items()})


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def _curve(rows: list[list[float]], kind: str) -> Curve:
    x, y, low, high, z = np.array(rows).T
    bounded = not (np.isnan(low).all() and np.isnan(high).all())
    return Curve(x, y, low if bounded else None, high if bounded else None, kind, z if kind == "image" else None)
