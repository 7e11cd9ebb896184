"""Random draws that belong to a row: Philox4x64-10 and what is made of its first word.

Owns the generator, the keys of the draws and the identity of a row. What a draw is used for
stands with the rule that uses it (``model.py``).
"""

import hashlib
import math
from fractions import Fraction

MASK = (1 << 64) - 1

# Multipliers and Weyl increments of Philox4x64 (Salmon et al., "Parallel random numbers: as easy
# as 1, 2, 3", SC'11; the same numbers stand in Random123).
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
INCREMENTS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
ROUNDS = 10

Block = tuple[int, int, int, int]


def philox(counter: Block, key: tuple[int, int]) -> Block:
    """Return the four words that Philox4x64-10 makes of a counter and a key."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0 = MULTIPLIERS[0] * c0
        p1 = MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & MASK, (p0 >> 64) ^ c3 ^ k1, p0 & MASK
        k0 = (k0 + INCREMENTS[0]) & MASK
        k1 = (k1 + INCREMENTS[1]) & MASK
    return c0, c1, c2, c3


def purpose_key(name: str) -> int:
    """Return the key word of a purpose: its ASCII name, padded to eight bytes, little endian."""
    return int.from_bytes(name.encode("ascii").ljust(8, b"\0"), "little")


def identity_of_request(request_id: str) -> tuple[int, int]:
    """Return (low, high) of a row that has a request id."""
    # rule: Q34 (128 bits of BLAKE2b)
    digest = hashlib.blake2b(request_id.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def first_word(
    seed: int, purpose: str, identity: tuple[int, int], attempt: int = 1, copy: int = 0
) -> int:
    """Return the 64 random bits that belong to a purpose, a row, its attempt and its copy."""
    # rule: Q34 (seed, identity, attempt and copy, purpose; the draw's index is 0)
    counter = (*identity, attempt | copy << 32, 0)
    return philox(counter, (seed & MASK, purpose_key(purpose)))[0]


def between(
    low: int,
    high: int,
    *,
    seed: int,
    purpose: str,
    identity: tuple[int, int],
    attempt: int = 1,
    copy: int = 0,
) -> int:
    """Draw an integer from ``low`` to ``high``, both included.

    Parameters
    ----------
    low, high
        Bounds, in the unit of the result.
    seed
        The replay's seed.
    purpose
        Name of what the draw decides; at most eight ASCII characters.
    identity
        (low word, high word) of the row whose luck this is.
    attempt
        Which try of the row.
    copy
        Which copy of the row, where there are several.
    """
    if low == high:
        return low
    word = first_word(seed, purpose, identity, attempt, copy)
    return low + ((word * (high - low + 1)) >> 64)


def chance(
    share: float,
    *,
    seed: int,
    purpose: str,
    identity: tuple[int, int],
    attempt: int = 1,
    copy: int = 0,
) -> bool:
    """Tell whether something of this probability happens."""
    if share >= 1:
        return True
    return first_word(seed, purpose, identity, attempt, copy) < math.floor(Fraction(share) * 2**64)


def fnv1a(text: str) -> int:
    """Return the 64 bits of FNV-1a over the UTF-8 of a text."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value
