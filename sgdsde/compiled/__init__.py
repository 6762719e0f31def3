"""Compiled inner loops for the CPU, where numba is installed (``pip install 'sgdsde[compiled]'``); without it the torch versions run instead.

Every function here has a slower twin in torch that defines it; the tests hold the two together, to the last digit where both are sums and products in a fixed
order. Nothing here is imported before ``available()`` has said yes.
"""

from __future__ import annotations

from functools import cache


@cache
def available() -> bool:
    """Whether numba is installed and agrees with the NumPy that is here."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True
