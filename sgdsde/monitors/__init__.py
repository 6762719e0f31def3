"""Ways of watching a path, one per file; see :class:`sgdsde.monitor.Monitor`."""

from sgdsde.given import is_name
from sgdsde.monitor import Monitor
from sgdsde.monitors.bridge import Bridge
from sgdsde.monitors.iterates import Iterates
from sgdsde.monitors.shift import SHIFT, Shift
from sgdsde.monitors.shift_outward import ShiftOutward
from sgdsde.types import InputError, suggest

MONITORS: dict[str, type[Monitor]] = {monitor.name: monitor for monitor in (Iterates, Bridge, Shift, ShiftOutward)}

__all__ = ["MONITORS", "SHIFT", "Bridge", "Iterates", "Shift", "ShiftOutward", "as_monitor"]


def as_monitor(monitor: str | Monitor) -> Monitor:
    """A monitor as it is, or by its name: ``iterates``, ``bridge``, ``shift``, ``shift outward``.

    Raises:
        InputError: the name is unknown.
    """
    if isinstance(monitor, Monitor):
        return monitor
    if not is_name(monitor, MONITORS):
        raise InputError(f"monitor={monitor!r} is no monitor." + suggest(str(monitor), list(MONITORS)))
    return MONITORS[monitor]()
