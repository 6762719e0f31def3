"""The catalogue of claims, one per file: whatever :class:`sgdsde.claim.Claim` stands in this folder belongs to it."""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import iter_modules

from sgdsde.claim import Claim


def catalogue() -> tuple[Claim, ...]:
    """One instance of every claim, in the order of their identifiers (A2 before A11)."""
    found = [cls() for cls in _classes()]
    return tuple(sorted(found, key=lambda claim: _order(claim.id)))


def _classes() -> list[type[Claim]]:
    names = sorted(info.name for info in iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return [value for module in modules for value in vars(module).values() if _is_claim(value, module.__name__)]


def _is_claim(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, Claim) and value is not Claim and value.__module__ == module


def _order(identifier: str) -> tuple[str, int, str]:
    match = re.fullmatch(r"([A-Z]+)(\d+)(.*)", identifier)
    assert match is not None, f"claim identifier {identifier!r}: wanted a letter and a number"
    return match[1], int(match[2]), match[3]
