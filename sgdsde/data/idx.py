"""MNIST and Fashion-MNIST from a local folder in their IDX format (LeCun, Cortes, Burges; Xiao, Rasul, Vollgraf, arXiv 1708.07747).

IDX: two zero bytes, the type (8: unsigned byte), the number of axes, each axis's length as a big-endian 32-bit integer, then the bytes. Both sets
use the same file names, so the published digests also tell one from the other.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from sgdsde.data.dataset import Data, digest_of
from sgdsde.data.source_files import Source, all_used, check_split, checked_folder, find, read
from sgdsde.types import InputError

#: number of samples, and per set the MD5 of the decompressed image and label files
_COUNTS = {"train": 60_000, "test": 10_000}
_OFFICIAL = {
    "MNIST": {
        "train": ("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
        "test": ("2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
    },
    "Fashion-MNIST": {
        "train": ("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9"),
        "test": ("8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"),
    },
}
_SIDE = 28


def mnist(
    folder: str | Path, *, split: str = "train", count: int | None = None, sha256: Mapping[str, str] | None = None, dtype: torch.dtype = torch.float64
) -> Data:
    """MNIST, x in [0, 1], ``[n, 784]``; ``images()`` gives ``[n, 1, 28, 28]``.

    Args:
        folder: holds ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte`` (``t10k-…`` for the test split), plain or ``.gz``.
        split: ``"train"`` or ``"test"``.
        count: only the first ``count`` samples.
        sha256: digests of files as they lie there, by file name; each is verified. A file of official size that is not the official one is accepted
            only with its digest.
        dtype: of x.

    Raises:
        InputError: a file is missing, truncated, damaged, or belongs to another data set; labels outside 0…9; a digest differs.
    """
    return _load("MNIST", folder, split, count, sha256, dtype)


def fashion_mnist(
    folder: str | Path, *, split: str = "train", count: int | None = None, sha256: Mapping[str, str] | None = None, dtype: torch.dtype = torch.float64
) -> Data:
    """Fashion-MNIST; arguments and errors as :func:`mnist`."""
    return _load("Fashion-MNIST", folder, split, count, sha256, dtype)


def _load(which: str, folder: str | Path, split: str, count: int | None, sha256: Mapping[str, str] | None, dtype: torch.dtype) -> Data:
    check_split(split)
    place = checked_folder(folder)
    prefix, largest = ("train" if split == "train" else "t10k"), _COUNTS[split]
    sources = []
    for kind, size in (("images-idx3-ubyte", 16 + largest * _SIDE**2), ("labels-idx1-ubyte", 8 + largest)):
        path = find(place, (f"{prefix}-{kind}", f"{prefix}-{kind}.gz"), what=f"{which}, {split} split")
        sources.append(read(path, largest=size, sha256=sha256))
    all_used(sha256, sources)
    pixels, labels = _parsed(sources[0], axes=3), _parsed(sources[1], axes=1)
    if pixels.shape[1:] != (_SIDE, _SIDE):
        raise InputError(f"{sources[0].path} holds images of {pixels.shape[1]}×{pixels.shape[2]} pixels; {which} has {_SIDE}×{_SIDE}.")
    if len(pixels) != len(labels):
        raise InputError(f"{sources[0].path.name} and {sources[1].path.name} have mismatched lengths: {len(pixels)} images, {len(labels)} labels.")
    if labels.max() > 9:
        raise InputError(f"{sources[1].path} holds labels outside the classes: {labels.max()}; wanted 0…9. The file is damaged.")
    verdicts = [_is_official(which, split, position, source, len(pixels)) for position, source in enumerate(sources)]  # both are looked at
    x = torch.from_numpy(pixels.reshape(len(pixels), -1)).to(dtype).div_(255)
    name = f"{which}, {split} split" + ("" if all(verdicts) else ", not the official files")
    data = Data(x, torch.from_numpy(labels).long(), 10, name, digest_of(*(source.content for source in sources)), (1, _SIDE, _SIDE))
    return data if count is None else data.take(count)


def _parsed(source: Source, *, axes: int) -> np.ndarray:
    """The array in an IDX file of unsigned bytes.

    Raises:
        InputError: not such a file, or its length is not what its header says.
    """
    content, header = source.content, 4 + 4 * axes
    if len(content) < header:
        raise InputError(f"{source.path} has {len(content)} bytes, less than an IDX header: it is truncated.")
    if content[:4] != bytes([0, 0, 8, axes]):
        raise InputError(f"{source.path} begins with {content[:4].hex()}; an IDX file of bytes with {axes} axes begins with {bytes([0, 0, 8, axes]).hex()}.")
    shape = struct.unpack(f">{axes}I", content[4:header])
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        what = "truncated" if len(content) < expected else "too long"
        raise InputError(f"{source.path} is {what}: {len(content)} bytes, its header {shape} promises {expected}.")
    if 0 in shape:
        raise InputError(f"{source.path} holds no sample: empty data.")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def _is_official(which: str, split: str, position: int, source: Source, count: int) -> bool:
    """Whether this is the published file.

    Raises:
        InputError: it is the published file of the other data set; or it has the official size, is not the official file, and nobody vouched for it.
    """
    found = source.md5()
    for name, splits in _OFFICIAL.items():
        for other, digests in splits.items():
            if found in digests and (name, other, digests.index(found)) != (which, split, position):
                raise InputError(f"{source.path} is a file of {name} ({other} split), not of {which} ({split} split): the two sets use the same file names.")
    if found == _OFFICIAL[which][split][position]:
        return True
    if count == _COUNTS[split] and not source.vouched:
        raise InputError(
            f"{source.path} has the official size but not the official content of {which}: it is damaged or altered. "
            f"To use it all the same, vouch for it: sha256={{{source.path.name!r}: …}}."
        )
    return False
