"""Compiled modules with one place changed, for the tests that must notice: only the function that holds the place, and who calls it, is compiled anew."""

from __future__ import annotations

import inspect
import types
from pathlib import Path
from typing import Any


def mutant(module: types.ModuleType, right: str, wrong: str) -> Any:
    """``module`` with ``wrong`` in the place of ``right``, which it holds once."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert source.count(right) == 1
    changed = types.ModuleType("mutant")
    exec(compile(source.replace(right, wrong), "<mutant>", "exec"), changed.__dict__)
    texts = {name: inspect.getsource(found.py_func) for name, found in vars(module).items() if hasattr(found, "py_func")}
    touched = {name for name, text in texts.items() if right in text}
    while more := {name for name, text in texts.items() if any(f"{other}(" in text for other in touched)} - touched:  # who calls them
        touched |= more
    for name in set(texts) - touched:
        setattr(changed, name, getattr(module, name))
    return changed
