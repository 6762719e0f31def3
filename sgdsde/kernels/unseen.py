"""What a recorded pass of steps sees in place of a tally and of the time: nothing that could be read, since a replay runs no Python.

Counters are tensors on the device of the paths, added up by the pass itself and read when the replays are over. The time stands for no number: a step that
reads it would keep the value of the pass that was recorded.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from sgdsde.types import InputError, Tally, report_count, report_worst


class Unseen(Tally):
    """The tally of a pass. Models may not look while it is in force (``types.may_look``).

    What they report as Python numbers is the same at every pass; tensors are added up from pass to pass. Flags are dropped: a flagged path is NaN, and the
    loop runs the ticks of a path that becomes NaN again, where models may look.
    """

    looks = False

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[str, Tensor] = {}
        self._tops: dict[str, Tensor] = {}

    def flag(self, mask: Tensor) -> None:
        return None

    def add(self, name: str, count: int | Tensor) -> None:
        if not isinstance(count, Tensor):
            return super().add(name, count)
        if name not in self._sums:
            self._sums[name] = torch.zeros((), dtype=torch.int64, device=count.device)
        self._sums[name].add_(count)

    def largest(self, name: str, value: float | Tensor) -> None:
        if not isinstance(value, Tensor):
            return super().largest(name, value)
        if name not in self._tops:
            self._tops[name] = torch.full((), -torch.inf, dtype=value.dtype, device=value.device)
        top = self._tops[name]
        torch.fmax(top, value, out=top)

    def forget(self) -> None:
        """Zero the sums, in place: a recording knows where they are."""
        for total in self._sums.values():
            total.zero_()
        for top in self._tops.values():
            top.fill_(-torch.inf)

    def begin_pass(self) -> None:
        """Forget the Python numbers of the pass before."""
        self.counts.clear()
        self.worst.clear()

    def report(self, passes: int) -> None:
        """Tell the tally in force what ``passes`` passes have met; the host waits for it here."""
        for name, count in self.counts.items():
            report_count(name, count * passes)
        for name, value in self.worst.items():
            report_worst(name, value)
        for name, total in self._sums.items():
            if number := int(total):
                report_count(name, number)
        for name, top in self._tops.items():
            if (found := float(top)) > -torch.inf:
                report_worst(name, found)


class Timeless:
    """Stands where a step is told the time: with a number added it is itself, every other use is refused.

    Raises:
        InputError: the step reads it.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner

    def _shifted(self, other: Any) -> Timeless:
        return self if isinstance(other, int | float) else self._read()

    def _read(self, *_: Any) -> NoReturn:
        raise InputError(
            f"{self._owner} reads the time in its step. Recorded steps are replayed at other times than the one at which they were recorded, so they "
            "cannot know it: run the kernel itself."
        )

    __add__ = __radd__ = __sub__ = _shifted
    __float__ = __int__ = __index__ = __bool__ = __array__ = _read
    __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __pow__ = __rpow__ = __neg__ = __abs__ = __round__ = _read
    __lt__ = __le__ = __gt__ = __ge__ = _read
    __eq__ = _read
    __hash__ = _read

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        for value in (*args, *(kwargs or {}).values()):
            if isinstance(value, Timeless):
                value._read()
        return NotImplemented
