"""sgdsde: SGD and the stochastic differential equations that model it.

The names below are loaded on first use, so that the command line can print its help without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = ("objectives", "noises", "sdes", "kernels", "oracles", "calculus", "claims", "data", "plots", "rng", "stats", "types", "order")
_NAMES = {
    "Objective": "objective",
    "Facts": "objective",
    "Noise": "noise",
    "SDE": "sde",
    "Kernel": "kernel",
    "Claim": "claim",
    "Estimate": "types",
    "Status": "types",
    "Trajectory": "trajectory",
    "simulate": "simulate",
    "compare": "compare",
    "Comparison": "compare",
}
__all__ = ["__version__", *_MODULES, *_NAMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(f"sgdsde.{_NAMES[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"sgdsde.{name}")
    else:
        raise AttributeError(f"module 'sgdsde' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
