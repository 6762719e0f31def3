"""Text that fits a terminal of 80 columns: everything the command line prints goes through here.

A line is broken between words. A single word that is longer than a line (a path, a command to copy) stands alone and whole: half a path is of no use.
Width is counted in columns: combining marks take none, wide characters take two. Nothing here knows colours; see :mod:`sgdsde.words` for help.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Sequence

WIDTH = 80


def width_of(text: str) -> int:
    """Columns that a line of text takes.

    >>> width_of("θ̂ = ηλ"), len("θ̂ = ηλ")
    (6, 7)
    """
    return sum(_columns(character) for character in text)


def padded(text: str, columns: int) -> str:
    """``text`` with blanks behind it up to ``columns``."""
    return text + " " * max(0, columns - width_of(text))


def fill(text: str, *, first: str = "", rest: str | None = None, width: int = WIDTH) -> str:
    """``text`` as lines of at most ``width`` columns, the first after ``first``, the others after ``rest`` (blanks under ``first`` where it is None).

    >>> print(fill("one two three four", first="list: ", width=16))
    list: one two
          three four
    """
    behind = " " * width_of(first) if rest is None else rest
    lines, line = [], first
    fresh = True  # nothing but its beginning stands in the line
    for word in text.split():
        wide = width_of(line) + (not fresh) + width_of(word) > width
        if wide and line.strip():
            lines.append(line.rstrip())
            line, fresh = behind, True
        line += word if fresh else " " + word
        fresh = False
    return "\n".join([*lines, line.rstrip()])


def listed(name: str, text: str, indent: int, *, before: str = "") -> str:
    """A name and what is said about it, from column ``indent`` on; a name that leaves no room has its own line.

    >>> print(listed("a", "first letter", 4))
    a   first letter
    >>> print(listed("alphabet", "all letters", 4))
    alphabet
        all letters
    """
    head = before + name
    if width_of(head) + 2 <= indent:
        return fill(text, first=padded(head, indent))
    return head + "\n" + fill(text, first=" " * indent)


def table(rows: Sequence[Sequence[str]], *, right: Sequence[bool], before: str = "  ") -> list[str] | None:
    """Rows as aligned columns with two blanks between them; None where they are wider than a line. ``right`` marks columns that end flush."""
    widths = [max(width_of(row[column]) for row in rows) for column in range(len(right))]
    if len(before) + sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        return None
    lines = []
    for row in rows:
        cells = [" " * (width - width_of(cell)) + cell if flush else padded(cell, width) for cell, width, flush in zip(row, widths, right, strict=True)]
        lines.append((before + "  ".join(cells)).rstrip())
    return lines


def screen() -> int:
    """Columns of this terminal: at most 80, and 20 where it says less."""
    return max(20, min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
