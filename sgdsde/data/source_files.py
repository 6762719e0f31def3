"""Files of published data sets in a local folder: found, read within bounds, and identified by digest. Nothing is downloaded or unpickled."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sgdsde.given import is_name
from sgdsde.types import InputError, suggest

SPLITS = {"train": "training", "test": "test"}


@dataclass(frozen=True)
class Source:
    """The content of one file (decompressed where it was compressed) and whether the caller vouched for the file by its SHA-256."""

    path: Path
    content: bytes
    vouched: bool

    def md5(self) -> str:
        """MD5 of the content: the digest that publishers of old data sets give; it identifies, it does not protect."""
        return hashlib.md5(self.content, usedforsecurity=False).hexdigest()


def check_split(split: str) -> None:
    """Refuse unknown splits."""
    if not is_name(split, SPLITS):
        raise InputError(f"split = {split!r} is unknown.{suggest(split, SPLITS)}")


def checked_folder(folder: str | Path) -> Path:
    """The folder, if it is one."""
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{path} is no folder; wanted the folder that holds the files. They are never downloaded here.")
    return path


def find(folder: Path, names: Sequence[str], *, what: str) -> Path:
    """The first of ``names`` that stands in the folder."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    present = ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "nothing"
    raise InputError(f"{folder} does not hold {' or '.join(names)} ({what}); it holds {present}.")


def read(path: Path, *, largest: int, sha256: Mapping[str, str] | None) -> Source:
    """The content of a file, at most ``largest`` bytes of it once decompressed; its SHA-256 (of the file as it lies there) checked where given.

    Raises:
        InputError: the digest differs, the file is damaged, or larger than it can be.
    """
    wanted = (sha256 or {}).get(path.name)
    if path.suffix != ".gz" and path.stat().st_size > largest:
        raise InputError(f"{path} has {path.stat().st_size} bytes; a file of this kind has at most {largest}.")
    if wanted is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted.lower():
            raise InputError(f"{path} has the SHA-256 {found}; wanted {wanted}. The file is damaged, or another one.")
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as stream:
                content = stream.read(largest + 1)
        else:
            content = path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is truncated or damaged: {error}. Fetch it again.") from error
    if len(content) > largest:
        raise InputError(f"{path} holds more than {largest} bytes once decompressed; a file of this kind cannot.")
    return Source(path, content, wanted is not None)


def all_used(sha256: Mapping[str, str] | None, sources: Sequence[Source]) -> None:
    """Refuse digests for files that were not read: a misspelt name would otherwise check nothing."""
    names = [source.path.name for source in sources]
    for name in sha256 or {}:
        if name not in names:
            raise InputError(f"sha256 names {name!r}, which was not read.{suggest(name, names)}")
