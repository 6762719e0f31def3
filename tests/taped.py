"""A CUDA graph in Python: operations are taped once with their places in memory, then run again on whatever stands there.

As on a device, taping runs nothing that writes to memory that was there before, a replay runs no Python of the model, and Python numbers are those of the
taping. What a pass would get wrong on a device (a buffer that is not filled again, a state that is not copied in, a time that stands still) it gets wrong here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Tape(TorchDispatchMode):
    """What ``run`` does; a call does it again."""

    made = 0

    def __init__(self, run: Callable[[], None], device: torch.device) -> None:
        super().__init__()
        self._tape: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        Tape.made += 1
        with self:
            run()

    def __call__(self) -> None:
        with torch.no_grad():  # what differentiation there was is on the tape
            for func, args, kwargs, kept in self._tape:
                result = func(*args, **kwargs)
                for there, new in zip(_several(kept), _several(result), strict=False):
                    there.copy_(new)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        written = [i for i, part in enumerate(func._schema.arguments) if part.alias_info is not None and part.alias_info.is_write]
        if written:
            self._tape.append((func, args, kwargs, None))
            first = written[0]
            return args[first] if first < len(args) else kwargs[func._schema.arguments[first].name]
        result = func(*args, **kwargs)
        if not any(part.alias_info is not None for part in func._schema.returns):  # a view needs no second run
            self._tape.append((func, args, kwargs, result))
        return result


def _several(result: Any) -> list[Tensor]:
    if result is None:
        return []
    return [result] if isinstance(result, Tensor) else list(result)
