"""Runs that survive, resume and spread: studies, configurations, the driver, executors, reading what is stored.

Names are loaded on first use: a worker must be able to set its threads before numpy is there.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "main_run": "command",
    "Study": "study",
    "StudyConfig": "study",
    "Summary": "study",
    "Line": "study",
    "option": "config",
    "Moments": "reducers",
    "Histogram": "reducers",
    "open_run": "reading",
    "durable_map": "durable",
    "Policy": "policy",
    "Watcher": "policy",
    "Stop": "signals",
    "listening": "signals",
    "workers_of": "executors",
    "WorkersLost": "workers",
}
__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'sgdsde.runs' has no attribute {name!r}")
    value = getattr(import_module(f"sgdsde.runs.{_NAMES[name]}"), name)
    globals()[name] = value
    return value
