"""Small dense linear steps with counter-based normals, fused for the GPU: K steps of a block of paths in registers, one read and one write of memory.

    x⁺ = F x + s + G √dt·z(key, step, path)         (F [d, d], G [d, m] full: every linear model with non-commuting H and Σ), d, m ≤ 16

A program holds the points of a few paths as a tile ``[paths, d]`` and their words as a tile ``[paths, ⌈m/2⌉]``. Products are sums over a tile ``[paths, d, d]``
in registers, exact to the dtype (no TF32). Each word calls Threefry4x64 for itself, four times as often as needed, so that words need not travel between lanes.
Its numbers are those of the CPU's ``CounterStreams`` to rounding.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from sgdsde.kernels.fused_normals import EXACT, normal_pair, threefry

#: of a program of four warps, at most: numbers of the tile of products (64 a thread, in float32), and words (2 a thread: Threefry holds a dozen registers each)
_PRODUCTS, _WORDS = 8192, 256


@triton.jit
def _dense_steps(  # type: ignore[no-untyped-def]
    x, F, s, Gc, Gs, first_path, paths, dim, per_path, key0, key1, first_step, steps, D: tl.constexpr, W: tl.constexpr, block: tl.constexpr, share: tl.constexpr
):
    """``steps`` steps of all paths in place; Gc and Gs are the columns of G√dt that meet the cosines and the sines, ``[dim, per_path]``."""
    real: tl.constexpr = x.dtype.element_ty
    path = (tl.program_id(0) * block + tl.arange(0, block)).to(tl.int64)
    i, w = tl.arange(0, D), tl.arange(0, W)
    here = (path < paths)[:, None] & (i < dim)[None, :]
    place = path[:, None] * dim + i[None, :]
    drift = tl.load(F + i[:, None] * dim + i[None, :], (i < dim)[:, None] & (i < dim)[None, :], 0.0)
    shift = tl.load(s + i, i < dim, 0.0)
    noisy = (i < dim)[:, None] & (w < per_path)[None, :]
    cosines = tl.load(Gc + i[:, None] * per_path + w[None, :], noisy, 0.0)
    sines = tl.load(Gs + i[:, None] * per_path + w[None, :], noisy, 0.0)
    word = ((path + first_path) // share)[:, None] * per_path + w[None, :]  # in one dimension of noise two paths share a word
    second = ((path + first_path) % share == 1)[:, None]
    lane = word % 4
    counter = (word // 4).to(tl.uint64)
    zero = counter * 0
    k0 = zero + key0.to(tl.uint64)
    k1 = zero + key1.to(tl.uint64)
    at = tl.load(x + place, here, 0.0)
    for step in range(steps):
        w0, w1, w2, w3 = threefry(counter, zero + (first_step + step).to(tl.uint64), k0, k1)
        u, v = normal_pair(tl.where(lane == 0, w0, tl.where(lane == 1, w1, tl.where(lane == 2, w2, w3))), real)
        u = tl.where(second, v, u)
        kick = tl.sum(u[:, None, :] * cosines[None, :, :] + v[:, None, :] * sines[None, :, :], 2)
        at = tl.sum(at[:, None, :] * drift[None, :, :], 2) + shift[None, :] + kick
    tl.store(x + place, at, here)


def program_size(D: int, W: int, bytes_each: int) -> int:
    """Paths of a program for D coordinates and W words each: as many as stay in registers."""
    return max(1, min(_PRODUCTS // (D * max(D, W)), _WORDS // W) * 4 // bytes_each)


def dense_steps(x: Tensor, F: Tensor, s: Tensor, G: Tensor, *, key: tuple[int, int], first_path: int, first_step: int, steps: int) -> Tensor:
    """``steps`` fused steps of paths first_path, first_path + 1, …; ``x [P, d]`` is left alone, F ``[d, d]``, s ``[d]``, G ``[d, m]`` (holds √dt)."""
    paths, dim = x.shape
    width = G.shape[1]
    per_path = (width + 1) // 2
    D, W = triton.next_power_of_2(dim), triton.next_power_of_2(per_path)
    block = program_size(D, W, x.element_size())
    cosines, sines = G[:, 0::2].contiguous(), G.new_zeros(dim, per_path)
    sines[:, : width // 2] = G[:, 1::2]
    out = x.contiguous().clone()
    signed = [word - 2**64 if word >= 2**63 else word for word in key]
    points = (out, F.contiguous(), s.contiguous(), cosines, sines, first_path, paths, dim, per_path)
    shape = {"D": D, "W": W, "block": block, "share": 2 if width == 1 else 1}
    _dense_steps[(triton.cdiv(paths, block),)](*points, signed[0], signed[1], first_step, steps, **shape, **EXACT)
    return out
