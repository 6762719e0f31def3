"""The list of finished blocks: JSON lines, appended and fsynced, each with its own checksum.

``{"block": "00000012", "sha256": …, "head": …, "size": …, …, "crc": "xxxxxxxx"}``: a block is acknowledged once its line is on disk. The last line of a block
wins; a line with ``"quarantined": why`` takes it back. A torn or flipped line fails its checksum and speaks for nothing: its block is computed again.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sgdsde.store.files import in_words

NAME = "blocks.jsonl"
#: a line longer than this is no line of ours
MAX_LINE = 2**16
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
_HEX = re.compile(r"[0-9a-f]+")
_CRC = ',"crc":"'


@dataclass(frozen=True)
class Entry:
    """One acknowledged block: where its bytes are known to be right. ``facts`` tell how it came to be (seconds, attempts, worker)."""

    key: str
    sha256: str
    head: str
    size: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What the lines say: entries by key (the last line wins), keys taken back with the reason, and the damaged lines' numbers.

    ``changed`` are blocks that were computed twice with different digests: something in them does not repeat.
    """

    entries: dict[str, Entry]
    taken_back: dict[str, str]
    damaged: tuple[int, ...]
    changed: tuple[str, ...]
    unfinished: bool


def is_key(text: object) -> bool:
    """Whether this may name a block: small letters, digits, ``-`` and ``_``, at most 80, so that it can never be a path."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def line_of(content: Mapping[str, Any]) -> bytes:
    """A line with its checksum and newline."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return f'{text[:-1]}{_CRC}{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def acknowledged(entry: Entry) -> bytes:
    """The line that acknowledges a block."""
    return line_of({"block": entry.key, "sha256": entry.sha256, "head": entry.head, "size": entry.size, **entry.facts})


def quarantined(key: str, why: str) -> bytes:
    """The line that takes a block back."""
    return line_of({"block": key, "quarantined": why})


def read_manifest(path: Path) -> Manifest:
    """Whatever stands in the file; damage is reported, never raised. A missing file is an empty manifest.

    Raises:
        StorageError: the file is there and cannot be read.
    """
    with in_words(path, "read"):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
    return parse(data)


def parse(data: bytes) -> Manifest:
    """The manifest in these bytes. The piece after the last newline is a line being written, or torn: it counts only if it is whole."""
    entries: dict[str, Entry] = {}
    taken_back: dict[str, str] = {}
    damaged, changed = [], []
    seen: dict[str, str] = {}
    for number, content in enumerate(checked_lines(data), 1):
        entry = None if content is None else _entry(content)
        if entry is not None:
            if seen.setdefault(entry.key, entry.sha256) != entry.sha256:
                changed.append(entry.key)
            entries[entry.key] = entry
            taken_back.pop(entry.key, None)
        elif content is not None and is_key(content.get("block")) and isinstance(content.get("quarantined"), str):
            entries.pop(content["block"], None)
            taken_back[content["block"]] = content["quarantined"]
        else:
            damaged.append(number)
    return Manifest(entries, taken_back, tuple(damaged), tuple(changed), not data.endswith(b"\n") and bool(data))


def checked_lines(data: bytes) -> Iterator[dict[str, Any] | None]:
    """The content of each line without its checksum; None where the line is damaged."""
    for line in data.split(b"\n"):
        if line:
            yield _checked(line)


def _checked(line: bytes) -> dict[str, Any] | None:
    if len(line) > MAX_LINE or not line.endswith(b'"}'):
        return None
    body, found, crc = line[:-2].rpartition(_CRC.encode())
    if not found or f"{zlib.crc32(body + b'}'):08x}".encode() != crc:
        return None
    try:
        content = json.loads(body + b"}")
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _entry(content: dict[str, Any]) -> Entry | None:
    key, digest, head, size = (content.get(name) for name in ("block", "sha256", "head", "size"))
    if not (is_key(key) and _is_hex(digest, 64) and _is_hex(head, 16) and isinstance(size, int) and not isinstance(size, bool) and 8 < size < 2**48):
        return None
    facts = {name: value for name, value in content.items() if name not in ("block", "sha256", "head", "size")}
    return Entry(str(key), str(digest), str(head), size, facts)


def _is_hex(value: object, length: int) -> bool:
    return isinstance(value, str) and len(value) == length and _HEX.fullmatch(value) is not None
