"""Random streams: every block of paths owns one, named by (seed, purpose, block).

A stream is ``SeedSequence([seed, purpose, block])``; all 624 words of the CPU generator's state come from it (``torch.manual_seed``
would keep 32 bits and make birthday collisions likely after 65,000 blocks). On CUDA the 64-bit Philox key comes from it.
There is no global random state: whoever needs numbers is handed a generator.

Normals of float64 on the CPU come from the stream's second source, NumPy's SFC64 and ziggurat: 7.5 ns a number in fills of any size, where torch, which
has no vector instructions for them, takes 17. Everything else (float32, uniform numbers, indices) comes from torch's own generator.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

from sgdsde.types import InputError

_MT_WORDS = 624
_SFC_BYTES = 32


def seed_sequence(seed: int, purpose: str, block: int = 0) -> np.random.SeedSequence:
    """``SeedSequence([seed, crc32(purpose), block])``: equal names give equal streams on every machine.

    Raises:
        InputError: the seed is not a non-negative integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"seed = {seed!r}; wanted a non-negative integer.")
    return np.random.SeedSequence([int(seed), zlib.crc32(purpose.encode()), int(block)])


class Stream(torch.Generator):
    """A block's generator. It knows what it is called, for kernels whose numbers hang on the path and not on the block (:mod:`sgdsde.counter`).

    Its state is the one of both its sources.
    """

    seed_: int
    purpose: str
    #: where normals of float64 on the CPU come from; None on other devices
    ziggurat: np.random.Generator | None = None
    #: the place of the block's first path in the whole ensemble, where the ensemble says so
    first_path: int | None = None

    def get_state(self) -> torch.Tensor:
        """The bytes of torch's state and, on the CPU, the 32 bytes of SFC64's after them."""
        state = super().get_state()
        if self.ziggurat is None:
            return state
        words: np.ndarray = self.ziggurat.bit_generator.state["state"]["state"]
        return torch.cat([state, torch.from_numpy(words.view(np.uint8).copy())])

    def set_state(self, state: torch.Tensor) -> Stream:
        if self.ziggurat is not None:
            state, words = state[:-_SFC_BYTES], state[-_SFC_BYTES:]
            whole = self.ziggurat.bit_generator.state
            whole["state"]["state"] = words.numpy().copy().view(np.uint64)
            self.ziggurat.bit_generator.state = whole
        super().set_state(state)
        return self


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
    generator.ziggurat = np.random.Generator(np.random.SFC64(sequence.spawn(1)[0]))
    return generator


def normals(like: torch.Tensor, width: int, generator: torch.Generator, scale: float = 1.0, *, out: torch.Tensor | None = None) -> torch.Tensor:
    """scale·N(0, I), ``[P, width]``, in the dtype and on the device of ``like`` ``[P, …]``; written to ``out``, of that shape, where it is given."""
    z = torch.empty(like.shape[0], width, dtype=like.dtype, device=like.device) if out is None else out
    ziggurat = generator.ziggurat if isinstance(generator, Stream) and z.dtype == torch.float64 else None
    if ziggurat is None:
        return z.normal_(0.0, scale, generator=generator) if z.numel() else z
    ziggurat.standard_normal(out=z.numpy())
    return z if scale == 1.0 else z.mul_(scale)


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
