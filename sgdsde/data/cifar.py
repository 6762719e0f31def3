"""CIFAR-10 from a local folder in its binary format (Krizhevsky, Learning multiple layers of features from tiny images, 2009).

Each record is one byte of label and 3·32·32 bytes of pixels (red, green, blue planes, row by row). The pickled version of the same data can run code when
it is opened, so it never is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from sgdsde.data.dataset import Data, digest_of
from sgdsde.data.source_files import Source, all_used, check_split, checked_folder, find, read
from sgdsde.types import InputError

_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32
_LARGEST = 10_000 * _RECORD
_FILES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}


def cifar10(
    folder: str | Path, *, split: str = "train", count: int | None = None, sha256: Mapping[str, str] | None = None, dtype: torch.dtype = torch.float64
) -> Data:
    """CIFAR-10, x in [0, 1], ``[n, 3072]``; ``images()`` gives ``[n, 3, 32, 32]``.

    Args:
        folder: holds ``data_batch_1.bin`` … ``data_batch_5.bin``, or ``test_batch.bin`` for the test split.
        split: ``"train"`` or ``"test"``.
        count: only the first ``count`` samples; only the files that hold them are read.
        sha256: digests of the files by file name, each verified. Publishers give one for the archive only, so without this the digest is
            reported (``Data.digest``), not checked.
        dtype: of x.

    Raises:
        InputError: a file is missing, truncated, or holds other labels than 0…9; only the pickled version is there; a digest differs.
    """
    check_split(split)
    place = checked_folder(folder)
    _refuse_pickles(place, _FILES[split][0])
    sources: list[Source] = []
    records: list[np.ndarray] = []
    for name in _FILES[split]:
        source = read(find(place, (name,), what=f"CIFAR-10, {split} split"), largest=_LARGEST, sha256=sha256)
        sources.append(source)
        records.append(_parsed(source))
        if count is not None and sum(map(len, records)) >= count:
            break
    all_used(sha256, sources)
    table = np.concatenate(records)
    name = f"CIFAR-10, {split} split" + ("" if all(len(part) * _RECORD == _LARGEST for part in records) else ", not the official files")
    x = torch.from_numpy(np.ascontiguousarray(table[:count, 1:])).to(dtype).div_(255)
    data = Data(x, torch.from_numpy(table[:count, 0].copy()).long(), 10, name, digest_of(*(source.content for source in sources)), _SHAPE)
    return data if count is None else data.take(count)


def _refuse_pickles(place: Path, first: str) -> None:
    if not (place / first).is_file() and (place / first.removesuffix(".bin")).is_file():
        raise InputError(f"{place} holds the pickled version of CIFAR-10, which is never opened here: fetch the binary version (files ending in .bin).")


def _parsed(source: Source) -> np.ndarray:
    """Records ``[n, 3073]``."""
    size = len(source.content)
    if size == 0 or size % _RECORD:
        raise InputError(f"{source.path} has {size} bytes, no whole number of records of {_RECORD} bytes: it is truncated or no CIFAR-10 file.")
    records = np.frombuffer(source.content, np.uint8).reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise InputError(f"{source.path} holds labels outside the classes: {records[:, 0].max()}; wanted 0…9. The file is damaged.")
    return records
