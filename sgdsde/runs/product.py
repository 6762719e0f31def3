"""What a worker hands back for a block: its bytes, their digest, and how it went. Made where the block ran, checked where it arrives."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdsde.store import Tree, encode
from sgdsde.types import SgdsdeError


class NotFinite(SgdsdeError):
    """A block returned NaN or infinity where only numbers make sense. Paths that diverged are counted by the reducers and never look like this."""


class Garbled(SgdsdeError):
    """What arrived is not what the worker sent."""


@dataclass(frozen=True)
class Product:
    """A block's result on its way to the store. ``keep`` = False hands it back without storing it (a failure that must be tried again next time)."""

    data: bytes
    sha256: str
    facts: Mapping[str, Any]
    keep: bool = True

    def checked(self) -> Product:
        """This product, if it arrived as it was sent.

        Raises:
            Garbled: it did not.
        """
        if hashlib.sha256(self.data).hexdigest() != self.sha256:
            raise Garbled("a result was garbled on its way from the worker")
        return self


def product_of(tree: Tree, *, seconds: float, keep: bool = True, **facts: Any) -> Product:
    """Pack a tree, with the worker's name and its peak memory."""
    data = encode(tree)
    worker = f"{platform.node()}:{os.getpid()}"
    known = {"seconds": round(seconds, 4), "worker": worker, "mib": peak_memory(), **facts}
    return Product(data, hashlib.sha256(data).hexdigest(), known, keep)


def refuse_non_finite(tree: Tree, place: str = "result") -> None:
    """Raise where a float of the tree is NaN or infinite.

    Raises:
        NotFinite: the first such place is told.
    """
    items: list[tuple[str, Tree]] = []
    if isinstance(tree, Mapping):
        items = [(f"{place}.{key}", value) for key, value in tree.items()]
    elif isinstance(tree, (list, tuple)):
        items = [(f"{place}[{index}]", value) for index, value in enumerate(tree)]
    elif isinstance(tree, (float, np.ndarray, np.generic)) and not bool(np.isfinite(tree).all()):
        raise NotFinite(f"{place} holds NaN or infinity")
    for name, value in items:
        refuse_non_finite(value, name)


def peak_memory() -> int:
    """The largest resident size of this process so far, in MiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(size / 2**20 if sys.platform == "darwin" else size / 2**10)
