"""From the words of a command line to a dataclass, by tyro: help and mistakes in at most 80 columns, without colour where ``NO_COLOR`` is set.

tyro leaves its usage line as long as it comes, does not heed ``NO_COLOR`` (no-color.org), and colours errors by what standard output is; all are mended here.
Optional numbers are read as text and judged by :func:`whole` and :func:`number`: one sentence, not a list of types.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO, TypeVar

import tyro

from sgdsde.columns import WIDTH, fill, width_of
from sgdsde.terminal import say
from sgdsde.types import InputError, SgdsdeError

T = TypeVar("T")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
#: an option in brackets is one word
_USAGE = re.compile(r"\[[^\]]*\]|\S+")


def parsed(kind: Any, arguments: Sequence[str], *, prog: str, description: str | None = None, config: tuple[Any, ...] = ()) -> Any:
    """An instance of the dataclass ``kind``.

    Raises:
        SystemExit: help was asked for and printed (status 0), or the words are wrong and it was said why (status 2).
    """
    with contextlib.redirect_stdout(_Folding(sys.stdout)), contextlib.redirect_stderr(_Folding(sys.stderr)):
        return tyro.cli(kind, prog=prog, description=description, args=list(arguments), config=config)


def carried_out(
    kind: type[T],
    arguments: Sequence[str],
    work: Callable[[T], int],
    *,
    prog: str,
    description: str | None = None,
    said: tuple[type[Exception], ...] = (SgdsdeError,),
) -> int:
    """Parse, then work: the exit status, 2 for wrong usage. Errors of the types ``said`` are told in a sentence."""
    try:
        command = parsed(kind, arguments, prog=prog, description=description)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return work(command)
    except said as error:
        say(f"sgdsde: error: {error}")
        return 2


def whole(text: str | None, option: str, *, low: int) -> int | None:
    """A whole number; None stays None.

    Raises:
        InputError: it is none, or below ``low``.
    """
    if text is None:
        return None
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if value < low:
        raise InputError(f"{option} {text[:40]!r}; wanted {'a whole number' if low == 0 else 'an integer'} ≥ {low}.")
    return value


def number(text: str | None, option: str) -> float | None:
    """A finite number; None stays None.

    Raises:
        InputError: it is none.
    """
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{option} {text[:40]!r}; wanted a number.")
    return value


def folded(text: str) -> str:
    """``text`` with its usage line, colours aside, in at most 80 columns."""
    lines = []
    for line in text.split("\n"):
        plain = _ANSI.sub("", line)
        if plain.startswith("usage: ") and width_of(plain) > WIDTH:
            words = _USAGE.findall(plain)
            head = len(words) - sum(word.startswith("[") or word.startswith("{") for word in words)
            indent = " " * (width_of(" ".join(words[:head])) + 1)
            line = fill(" ".join(word.replace(" ", "\0") for word in words), rest=indent).replace("\0", " ")
        lines.append(line)
    return "\n".join(lines)


class _Folding(io.TextIOBase):
    """A stream behind :func:`folded`, coloured only where a person sees it and has not said no; what it says about itself is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.plain = not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding or "utf-8"

    def isatty(self) -> bool:
        return self.stream.isatty()

    def write(self, text: str, /) -> int:
        self.stream.write(folded(_ANSI.sub("", text) if self.plain else text))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()
