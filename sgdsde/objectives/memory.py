"""Memory is estimated before it is taken: what a result and its work would need, what the machine has, and how much work goes in one piece.

Work that can be cut (replicas do not interact, a mean over samples is a sum of means) is cut into pieces; what cannot be cut, because it is the result itself,
is refused with its size before any of it is allocated.
"""

from __future__ import annotations

import os

import torch

from sgdsde.types import InputError

#: numbers that one piece of work may hold at once, by type of device: a few times a core's cache, or enough to fill a GPU
PIECE_NUMBERS = {"cpu": 2**19, "cuda": 2**27}

#: requests below this many numbers need not be looked at
LARGE = 2**24

#: share of the free memory that one request may take
_SHARE = 0.8


def available_bytes(device: torch.device) -> int:
    """Free memory of a CUDA device; of the host the memory that the kernel calls available, or all of it where that is not told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def require(numbers: int, like: torch.Tensor, *, what: str, instead: str) -> None:
    """Refuse ``numbers`` numbers of the dtype of ``like`` on its device where they do not fit.

    Raises:
        InputError: they would take more than 80 % of what is free; the message names ``what`` and what to do ``instead``.
    """
    wanted, free = numbers * like.element_size(), available_bytes(like.device)
    if wanted > _SHARE * free:
        raise InputError(f"{what} would take {wanted / 2**30:.1f} GiB of {free / 2**30:.1f} GiB free on {like.device}. {instead}")


def replicas_in_a_piece(numbers_each: int, device: torch.device) -> int:
    """How many replicas of ``numbers_each`` numbers make one piece of work, at least one."""
    return max(1, PIECE_NUMBERS.get(device.type, PIECE_NUMBERS["cuda"]) // max(1, numbers_each))
