"""Who worked on a run, when and with what: one checked line when a driver begins and one when it ends, in ``sessions.jsonl``.

A beginning without an end is a driver that was killed. Clock times stand here for people; nothing is decided by them.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgdsde.store.files import append_durably, in_words
from sgdsde.store.manifest import checked_lines, line_of

NAME = "sessions.jsonl"


def began(folder: Path, facts: Mapping[str, Any]) -> None:
    """A driver takes the run up.

    Raises:
        StorageError: the file system refuses.
    """
    _append(folder, {"began": _now(), "host": platform.node(), "pid": os.getpid(), "command": [part[:300] for part in sys.argv[:40]], **facts})


def ended(folder: Path, how: str, facts: Mapping[str, Any]) -> None:
    """A driver leaves the run, in the words of ``how``.

    Raises:
        StorageError: the file system refuses.
    """
    _append(folder, {"ended": _now(), "pid": os.getpid(), "how": how, **facts})


def sessions(folder: Path) -> list[dict[str, Any]]:
    """All whole lines; damaged ones are passed over.

    Raises:
        StorageError: the file is there and cannot be read.
    """
    path = folder / NAME
    with in_words(path, "read"):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
    return [content for content in checked_lines(data) if content is not None]


def _append(folder: Path, content: Mapping[str, Any]) -> None:
    path = folder / NAME
    with in_words(path, "open"):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        append_durably(descriptor, (b"\n" if torn else b"") + line_of(content), path)
    finally:
        os.close(descriptor)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
