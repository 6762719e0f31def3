"""Counter-based normals: the number of (key, step, path, coordinate) is a pure function of these four, by Threefry4x64-20 and Box–Muller.

    words of four 64-bit numbers:  threefry(counter = (i // 4, step, 0, 0), (key₀, key₁, 0, 0))[i % 4],   i = path·⌈width/2⌉ + j
    word j of a path is the pair of its coordinates 2j and 2j + 1  (the last is left out where it is beyond the width)
    width 1:  word i is the pair of the paths 2i and 2i + 1

So the same path gets the same numbers in a block of any size, after any resumption and whichever other paths have finished: on every CPU to the last digit
(:mod:`sgdsde.box_muller`), with numba and without; on a GPU to rounding. Threefry has no multiplication, which vector instructions of CPUs lack in 64 bits.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sgdsde import compiled
from sgdsde.box_muller import normal_pairs
from sgdsde.rng import seed_sequence
from sgdsde.threefry import signed, threefry

_LOW, _MANTISSA = 0xFFFFFFFF, 2**52 - 1

Key = tuple[int, int]


def key_of(seed: int, purpose: str) -> Key:
    """The 128-bit key of (seed, purpose).

    Raises:
        InputError: the seed is not a non-negative integer.
    """
    first, second = seed_sequence(seed, f"counter {purpose}").generate_state(2, np.uint64)
    return int(first), int(second)


def counter_normals(key: Key, step: int, paths: Int[Tensor, " P"], width: int, *, dtype: torch.dtype, scale: float = 1.0) -> Float[Tensor, "P width"]:
    """scale·N(0, I) for each of ``paths`` (ascending), on their device; float32 or float64."""
    if not width or not len(paths):
        return torch.zeros(len(paths), width, dtype=dtype, device=paths.device)
    z = _shared(key, step, paths, dtype) if width == 1 else _normals(key, step, paths, width, dtype)
    return z if scale == 1.0 else z * scale


def counter_words(key: Key, step: int, paths: Int[Tensor, " P"], count: int) -> Int[Tensor, "P count"]:
    """``count`` 64-bit words for each of ``paths`` (ascending), on their device: those whose pairs :func:`counter_normals` makes of width 2·count."""
    if not count or not len(paths):
        return torch.zeros(len(paths), count, dtype=torch.int64, device=paths.device)
    if paths.device.type == "cpu" and compiled.available():
        from sgdsde.compiled.counter_fill import counter_words as filled

        return filled(key, step, paths, count)
    return _words(key, step, paths, count)


def indices(words: Int[Tensor, "*shape"], n: int | Tensor) -> Int[Tensor, "*shape"]:
    """⌊n·w/2⁶⁴⌋ of each word, uniform on 0 … n − 1 up to n/2⁶⁴; n < 2³¹."""
    high, low = (words >> 32) & _LOW, words & _LOW
    return (high * n + ((low * n) >> 32)) >> 32


def uniforms(words: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """(⌊w/2¹²⌋ + ½)/2⁵² of each word, in float64: exact, never 0, never 1."""
    return (((words >> 12) & _MANTISSA).to(torch.float64) + 0.5) * 2.0**-52


def _normals(key: Key, step: int, paths: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    if paths.device.type == "cpu" and compiled.available():
        from sgdsde.compiled.counter_fill import counter_fill

        return counter_fill(key, step, paths, width, dtype)
    return normal_pairs(_words(key, step, paths, (width + 1) // 2), dtype).flatten(1)[:, :width]


def _shared(key: Key, step: int, paths: Tensor, dtype: torch.dtype) -> Tensor:
    """Width 1, ``[P, 1]``: two paths a word."""
    if paths.device.type != "cpu":
        return _normals(key, step, paths // 2, 2, dtype).gather(1, (paths % 2)[:, None])
    first, last = int(paths[0]), int(paths[-1])
    if last - first + 1 == len(paths):
        pairs = torch.arange(first // 2, last // 2 + 1)
        return _normals(key, step, pairs, 2, dtype).view(-1, 1)[first % 2 : first % 2 + len(paths)]
    pairs, place = torch.unique_consecutive(paths // 2, return_inverse=True)
    return _normals(key, step, pairs, 2, dtype).view(-1, 1)[2 * place + paths % 2]


def _words(key: Key, step: int, paths: Tensor, count: int) -> Tensor:
    """The definition, in torch. On a CPU each counter is made once; on a device each word makes its own, so that nobody waits for a count of them."""
    index = paths[:, None] * count + torch.arange(count, device=paths.device)  # [P, count]
    if paths.device.type != "cpu":
        return _four_words(key, step, index // 4).gather(-1, (index % 4)[..., None])[..., 0]
    if int(paths[-1]) - int(paths[0]) + 1 == len(paths):
        block, skip = divmod(int(index[0, 0]), 4)
        blocks = torch.arange(block, int(index[-1, -1]) // 4 + 1)
        return _four_words(key, step, blocks).flatten()[skip : skip + index.numel()].view_as(index)
    blocks, place = torch.unique_consecutive((index // 4).flatten(), return_inverse=True)
    return _four_words(key, step, blocks).flatten()[place * 4 + (index % 4).flatten()].view_as(index)


def _four_words(key: Key, step: int, block: Tensor) -> Tensor:
    """``[*shape, 4]`` of counters ``[*shape]``."""
    zero = torch.zeros_like(block)
    return torch.stack(threefry((block, zero + signed(step), zero, zero), (*key, 0, 0)), -1)
