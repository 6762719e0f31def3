"""A study: a frozen configuration, cells, and what one block of paths of a cell leaves behind. The files in ``experiments/`` are studies.

A run is the list of all blocks of all cells. Block j of a cell draws from streams seeded by (configuration's seed, cell, j), so that a block's numbers
depend on nothing but the configuration: not on workers, order, retries or resumption. Blocks return reducers; cells are merged in the order of their blocks.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Generic, Literal, TypeVar

from sgdsde.plots.panel import Panel
from sgdsde.runs.config import option
from sgdsde.runs.reducers import Histogram, Moments
from sgdsde.types import Conventions, Estimate, InputError

PROFILES = ("quick", "full", "paper")
#: more blocks than this in one run are a sign of a block size that is too small
MAX_BLOCKS = 10**7


@dataclass(frozen=True)
class StudyConfig:
    """What every study has; a study's own settings stand in a frozen subclass."""

    paths: int = option(1_048_576, "paths a cell", low=1, high=10**12)
    block_paths: int = option(65_536, "paths a block: the unit that is stored, retried and resumed; part of the recipe", low=1, high=10**8)
    seed: int = option(0, "where all random numbers come from", low=0)
    device: Literal["cpu", "cuda"] = option("cpu", "where blocks run; with --gpus each worker sees one")


C = TypeVar("C", bound=StudyConfig)
Cells = Mapping[str, Mapping[str, Moments | Histogram]]


@dataclass(frozen=True)
class Line:
    """One row of the result: a cell, a quantity, its estimate."""

    cell: str
    quantity: str
    estimate: Estimate


@dataclass(frozen=True)
class Summary:
    """What a finished run says: lines with error bars, panels that draw them, what a reader must know."""

    lines: tuple[Line, ...]
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()


class Study(ABC, Generic[C]):
    """Subclass it in ``experiments/NAME.py`` and put one instance there under the name ``STUDY``.

    Attributes:
        title: one line.
        config: a frozen dataclass descending from :class:`StudyConfig`.
        profiles: for each profile, the settings that differ from the defaults.
    """

    title: str
    config: type[C]
    profiles: Mapping[str, Mapping[str, Any]] = {}

    @abstractmethod
    def cells(self, config: C) -> Sequence[str]:
        """The labels of the cells, all different; cheap."""

    @abstractmethod
    def conventions(self, config: C) -> Conventions:
        """What every number of the run presupposes; cheap."""

    @abstractmethod
    def block(self, config: C, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments | Histogram]:
        """One block of a cell: ``paths`` paths, no more and no fewer, all random numbers from ``seed``; reducers by name."""

    @abstractmethod
    def summary(self, config: C, cells: Cells) -> Summary:
        """Lines and panels from the merged cells; pure."""

    def samples(self, config: C, cell: str, name: str, *, paths: int) -> int:
        """How many samples the reducer ``name`` of a block of ``paths`` paths holds: one a path, unless a study says otherwise. Other blocks are refused."""
        return paths

    def check(self, config: C) -> None:
        """Refuse a configuration that is wrong as a whole, before any work."""
        return None


@dataclass(frozen=True)
class Layout:
    """How a run is cut: block ``index`` belongs to cell index // per_cell and is its block index % per_cell."""

    cells: tuple[str, ...]
    paths: int
    block_paths: int
    seed: int

    @property
    def per_cell(self) -> int:
        """Blocks a cell."""
        return -(-self.paths // self.block_paths)

    @property
    def blocks(self) -> int:
        """Blocks in all."""
        return len(self.cells) * self.per_cell

    def place(self, index: int) -> tuple[str, int]:
        """The cell of a block and its number in it."""
        cell, part = divmod(index, self.per_cell)
        return self.cells[cell], part

    def paths_of(self, part: int) -> int:
        """Paths of a cell's block ``part``: the last one may be smaller."""
        return min(self.block_paths, self.paths - part * self.block_paths)


def layout_of(study: Study[C], config: C) -> Layout:
    """How the run of a study is cut.

    Raises:
        InputError: no cells, equal labels, or too many blocks.
    """
    study.check(config)
    cells = tuple(study.cells(config))
    if not cells or len(set(cells)) < len(cells):
        raise InputError(f"The study has {len(cells)} cells with {len(set(cells))} labels; wanted at least one, all different.")
    if not all(isinstance(cell, str) and cell for cell in cells):
        raise InputError(f"The study's cells are {list(cells[:8])!r}; wanted labels, words that are not empty.")
    layout = Layout(cells, config.paths, config.block_paths, config.seed)
    if layout.blocks > MAX_BLOCKS:
        raise InputError(f"{layout.blocks:,} blocks are too many (at most {MAX_BLOCKS:,}); raise block_paths from {config.block_paths:,}.")
    return layout


def block_seed(seed: int, cell: str, part: int) -> int:
    """The seed of one block: 63 bits of a digest of the configuration's seed, the cell's label and the block's number in it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{cell}:{part}".encode()).digest()[:8], "big") >> 1


def key_of(index: int) -> str:
    """The name of block ``index`` in the store."""
    return f"{index:08d}"


def is_config(config: Any) -> bool:
    """Whether a study's configuration class is usable: a frozen dataclass descending from :class:`StudyConfig`, with a default for each field."""
    if not (isinstance(config, type) and issubclass(config, StudyConfig) and "__dataclass_params__" in vars(config)):
        return False
    return bool(vars(config)["__dataclass_params__"].frozen) and all(field.default is not MISSING for field in fields(config))
