"""Threefry4x64-20: four 64-bit words of a 256-bit counter under a 256-bit key, by additions, rotations and exclusive-ors alone.

    x ← counter + key;   twenty rounds of  (x₀ += x₁, x₁ ← (x₁ ⋘ R) ⊕ x₀,  x₂ += x₃, x₃ ← (x₃ ⋘ R') ⊕ x₂)  with x₁ and x₃ changing places,
    after every fourth round the next four of the five key words (the fifth is their parity), and its number, are added.

Nothing in it multiplies, so processors with vector instructions make eight words at once. Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy
as 1, 2, 3 (SC 2011), after the cipher Threefish; passes BigCrush from 12 rounds on. The tests hold it against their published vectors.
"""

from __future__ import annotations

from jaxtyping import Int
from torch import Tensor

#: how far the two words of round r mod 8 turn to the left
ROTATIONS = ((14, 16), (52, 57), (23, 40), (5, 37), (25, 33), (46, 12), (58, 22), (32, 32))
ROUNDS = 20
#: C₂₄₀, with which the parity of the key words begins
PARITY = 0x1BD11BDAA9FC1A22

Words = Int[Tensor, "*shape"]


def threefry(counter: tuple[Words, Words, Words, Words], key: tuple[int, int, int, int]) -> tuple[Words, Words, Words, Words]:
    """The four words of each counter, on int64 tensors of one shape (64-bit words as signed numbers), any device."""
    keys = [signed(word) for word in (*key, PARITY ^ key[0] ^ key[1] ^ key[2] ^ key[3])]
    x = [part + word for part, word in zip(counter, keys, strict=False)]
    for r in range(ROUNDS):
        for low, high, turn in zip((0, 2), (1, 3) if r % 2 == 0 else (3, 1), ROTATIONS[r % 8], strict=True):
            x[low] += x[high]
            x[high] = _rotated(x[high], turn).bitwise_xor_(x[low])
        if r % 4 == 3:
            for j in range(4):
                x[j] += keys[(r // 4 + 1 + j) % 5]
            x[3] += r // 4 + 1
    return x[0], x[1], x[2], x[3]


def _rotated(word: Words, turn: int) -> Words:
    """To the left; a right shift of a signed number drags its sign along, which is masked away."""
    return (word >> 64 - turn).bitwise_and_((1 << turn) - 1).bitwise_or_(word << turn)


def signed(word: int) -> int:
    """A 64-bit word as the signed number of the same bits."""
    return (word + 2**63) % 2**64 - 2**63
