"""Random streams: every block of paths owns one, named by (seed, purpose, block).

A stream is ``SeedSequence([seed, purpose, block])``; all 624 words of the CPU generator's state come from it (``torch.manual_seed``
would keep 32 bits and make birthday collisions likely after 65,000 blocks). On CUDA the 64-bit Philox key comes from it.
There is no global random state: whoever needs numbers is handed a generator.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch

from sgdsde.types import InputError

_MT_WORDS = 624
_VECTORISED_FROM = 4096


def seed_sequence(seed: int, purpose: str, block: int = 0) -> np.random.SeedSequence:
    """``SeedSequence([seed, crc32(purpose), block])``: equal names give equal streams on every machine.

    Raises:
        InputError: the seed is not a non-negative integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed = {seed!r}; wanted a non-negative integer.")
    return np.random.SeedSequence([int(seed), zlib.crc32(purpose.encode()), int(block)])


class Stream(torch.Generator):
    """A block's generator that knows what it is called, for kernels whose numbers hang on the path and not on the block (:mod:`sgdsde.counter`)."""

    seed_: int
    purpose: str
    #: the place of the block's first path in the whole ensemble, where the ensemble says so
    first_path: int | None = None


def stream(seed: int, purpose: str, block: int = 0, device: torch.device | str = "cpu") -> Stream:
    """The generator of one block of paths, on the device where its numbers are wanted."""
    sequence = seed_sequence(seed, purpose, block)
    device = torch.device(device)
    generator = Stream(device=device)
    generator.seed_, generator.purpose = int(seed), purpose
    if device.type != "cpu":
        generator.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))
        return generator
    generator.manual_seed(0)
    state = generator.get_state().numpy().copy()
    generator.set_state(torch.from_numpy(_with_mersenne_words(state, sequence.generate_state(_MT_WORDS, np.uint32))))
    return generator


def normals(like: torch.Tensor, width: int, generator: torch.Generator, scale: float = 1.0) -> torch.Tensor:
    """scale·N(0, I), ``[P, width]``, in the dtype and on the device of ``like`` ``[P, …]``.

    torch fills float64 on the CPU without vector instructions (17 ns a number where float32 takes 3.4). There, large fills use the same
    Box–Muller transform through torch's vectorised functions, 1.8 times as fast: √(−2 log(1−u))·(cos 2πv, sin 2πv).
    """
    z = torch.empty(like.shape[0], width, dtype=like.dtype, device=like.device)
    if z.dtype != torch.float64 or z.device.type != "cpu" or z.numel() < _VECTORISED_FROM:
        return z.normal_(0.0, scale, generator=generator) if z.numel() else z
    half = (z.numel() + 1) // 2
    radius = torch.empty(half, dtype=z.dtype).uniform_(generator=generator)
    radius.neg_().log1p_().mul_(-2.0 * scale**2).sqrt_()
    angle = torch.empty(half, dtype=z.dtype).uniform_(0.0, 2 * math.pi, generator=generator)
    flat = z.view(-1)
    torch.cos(angle, out=flat[:half])
    flat[:half].mul_(radius)
    rest = flat.numel() - half
    flat[half:].copy_(angle[:rest].sin_().mul_(radius[:rest]))
    return z


def _with_mersenne_words(state: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The serialised CPU generator with its Mersenne-Twister words replaced; the layout is found, not assumed.

    torch stores the words as 64-bit integers. ``manual_seed(0)`` leaves Knuth's initial table there, whose first entries for seed 0
    are 0, 1, 1812433255: we search for them, so that a change of torch's layout is noticed and not silently misread.
    """
    table = state[: state.size // 8 * 8].view(np.uint64)
    # Knuth's recurrence started at 0: x_1 = 1, x_2 = 1812433253·(1 ^ (1 >> 30)) + 2
    hits = np.flatnonzero((table[:-2] == 0) & (table[1:-1] == 1) & (table[2:] == 1812433255))
    if hits.size != 1:
        raise RuntimeError("torch's CPU generator has an unknown state layout; sgdsde.rng must be taught this torch version.")
    table[hits[0] : hits[0] + _MT_WORDS] = words.astype(np.uint64)
    return state
