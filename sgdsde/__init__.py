"""sgdsde: SGD and the stochastic differential equations that model it.

The names below are loaded on first use, so that the command line can print its help without importing torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_MODULES = (
    "objectives",
    "noises",
    "sdes",
    "kernels",
    "monitors",
    "oracles",
    "calculus",
    "claims",
    "curvature",
    "data",
    "plots",
    "power",
    "regions",
    "rng",
    "stats",
    "training",
    "bounds",
    "types",
    "order",
)
_NAMES = {
    "expected_exit": "forecast",
    "QuasiStationary": "quasi_stationary",
    "rare_exit_time": "splitting",
    "RareExit": "splitting_result",
    "Objective": "objective",
    "Facts": "objective",
    "Noise": "noise",
    "SDE": "sde",
    "Kernel": "kernel",
    "Claim": "claim",
    "Estimate": "types",
    "Status": "types",
    "Trajectory": "trajectory",
    "Region": "region",
    "exit_times": "exits",
    "ExitTimes": "exits",
    "simulate": "simulate",
    "compare": "compare",
    "Comparison": "compare",
    "atlas": "atlas",
    "Atlas": "atlas_result",
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


class _Package(ModuleType):
    """``sgdsde.simulate`` is the function, not the module of that name, whatever is imported first: importing a submodule sets it on its
    package, which would hide the public name.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _NAMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)
