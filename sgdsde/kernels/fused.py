"""Element-wise linear steps with counter-based normals, fused for the GPU: K steps of a path in registers, one read and one write of memory.

    x⁺_c = F_c x_c + s_c + G_c √dt·z(key, step, path, c)         (diagonal F and G: every model on a diagonal quadratic with diagonal noise)

A lane holds four words of one counter (:mod:`sgdsde.counter`), so up to eight coordinates, and calls Threefry4x64 once a step. Its numbers are those of the
CPU's ``CounterStreams`` to the last digit. Written in Triton, which PyTorch's CUDA builds bring along (imported there only); without a GPU the tests
run it in Triton's interpreter (``TRITON_INTERPRET=1``), where Triton is installed.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from sgdsde.kernels.fused_normals import EXACT, normal_pair, threefry

#: lanes of a program: one a thread, so that float64 stays in registers too
_BLOCK = 128


@triton.jit
def _place(word, skip, per_path, width, paths, second: tl.constexpr):  # type: ignore[no-untyped-def]
    """Where a word's cosine (or sine) lives: offset in x, coordinate, and whether there is such a place."""
    local = word - skip
    path = local // per_path
    coordinate = 2 * (local % per_path) + (1 if second else 0)
    return path * width + coordinate, coordinate, (local >= 0) & (path < paths) & (coordinate < width)


@triton.jit
def _linear_steps(x, F, s, G, first_word, skip, paths, width, per_path, key0, key1, first_step, steps, block: tl.constexpr):  # type: ignore[no-untyped-def]
    """``steps`` steps of all paths in place."""
    real: tl.constexpr = x.dtype.element_ty
    lane = (tl.program_id(0) * block + tl.arange(0, block)).to(tl.int64)
    counter = (lane + first_word).to(tl.uint64)
    zero = counter * 0
    k0 = zero + key0.to(tl.uint64)
    k1 = zero + key1.to(tl.uint64)
    at0, c0, ok0 = _place(4 * lane, skip, per_path, width, paths, False)
    bt0, d0, pk0 = _place(4 * lane, skip, per_path, width, paths, True)
    at1, c1, ok1 = _place(4 * lane + 1, skip, per_path, width, paths, False)
    bt1, d1, pk1 = _place(4 * lane + 1, skip, per_path, width, paths, True)
    at2, c2, ok2 = _place(4 * lane + 2, skip, per_path, width, paths, False)
    bt2, d2, pk2 = _place(4 * lane + 2, skip, per_path, width, paths, True)
    at3, c3, ok3 = _place(4 * lane + 3, skip, per_path, width, paths, False)
    bt3, d3, pk3 = _place(4 * lane + 3, skip, per_path, width, paths, True)
    x0, y0 = tl.load(x + at0, ok0, 0.0), tl.load(x + bt0, pk0, 0.0)
    x1, y1 = tl.load(x + at1, ok1, 0.0), tl.load(x + bt1, pk1, 0.0)
    x2, y2 = tl.load(x + at2, ok2, 0.0), tl.load(x + bt2, pk2, 0.0)
    x3, y3 = tl.load(x + at3, ok3, 0.0), tl.load(x + bt3, pk3, 0.0)
    F0, s0, G0 = tl.load(F + c0, ok0, 0.0), tl.load(s + c0, ok0, 0.0), tl.load(G + c0, ok0, 0.0)
    E0, r0, H0 = tl.load(F + d0, pk0, 0.0), tl.load(s + d0, pk0, 0.0), tl.load(G + d0, pk0, 0.0)
    F1, s1, G1 = tl.load(F + c1, ok1, 0.0), tl.load(s + c1, ok1, 0.0), tl.load(G + c1, ok1, 0.0)
    E1, r1, H1 = tl.load(F + d1, pk1, 0.0), tl.load(s + d1, pk1, 0.0), tl.load(G + d1, pk1, 0.0)
    F2, s2, G2 = tl.load(F + c2, ok2, 0.0), tl.load(s + c2, ok2, 0.0), tl.load(G + c2, ok2, 0.0)
    E2, r2, H2 = tl.load(F + d2, pk2, 0.0), tl.load(s + d2, pk2, 0.0), tl.load(G + d2, pk2, 0.0)
    F3, s3, G3 = tl.load(F + c3, ok3, 0.0), tl.load(s + c3, ok3, 0.0), tl.load(G + c3, ok3, 0.0)
    E3, r3, H3 = tl.load(F + d3, pk3, 0.0), tl.load(s + d3, pk3, 0.0), tl.load(G + d3, pk3, 0.0)
    for step in range(steps):
        w0, w1, w2, w3 = threefry(counter, zero + (first_step + step).to(tl.uint64), k0, k1)
        z, v = normal_pair(w0, real)
        x0, y0 = F0 * x0 + s0 + G0 * z, E0 * y0 + r0 + H0 * v
        z, v = normal_pair(w1, real)
        x1, y1 = F1 * x1 + s1 + G1 * z, E1 * y1 + r1 + H1 * v
        z, v = normal_pair(w2, real)
        x2, y2 = F2 * x2 + s2 + G2 * z, E2 * y2 + r2 + H2 * v
        z, v = normal_pair(w3, real)
        x3, y3 = F3 * x3 + s3 + G3 * z, E3 * y3 + r3 + H3 * v
    tl.store(x + at0, x0, ok0)
    tl.store(x + bt0, y0, pk0)
    tl.store(x + at1, x1, ok1)
    tl.store(x + bt1, y1, pk1)
    tl.store(x + at2, x2, ok2)
    tl.store(x + bt2, y2, pk2)
    tl.store(x + at3, x3, ok3)
    tl.store(x + bt3, y3, pk3)


def linear_steps(x: Tensor, F: Tensor, s: Tensor, G: Tensor, *, key: tuple[int, int], first_path: int, first_step: int, steps: int) -> Tensor:
    """``steps`` fused steps of paths first_path, first_path + 1, …; ``x [P, width ≥ 2]`` is left alone, F, s, G are ``[width]`` (G holds √dt)."""
    paths, width = x.shape
    per_path = (width + 1) // 2
    first_word, skip = divmod(first_path * per_path, 4)
    lanes = -(-(skip + paths * per_path) // 4)
    out = x.contiguous().clone()
    signed = [word - 2**64 if word >= 2**63 else word for word in key]
    points = (out, F.contiguous(), s.contiguous(), G.contiguous(), first_word, skip, paths, width, per_path)
    _linear_steps[(triton.cdiv(lanes, _BLOCK),)](*points, signed[0], signed[1], first_step, steps, block=_BLOCK, **EXACT)
    return out
