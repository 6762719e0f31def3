"""Configurations: frozen dataclasses, filled from defaults < profile < file < command line, every value checked against its field's type.

Fields may be bool, int, float, str, a ``Literal``, ``X | None`` or ``tuple[X, …]``. :func:`option` adds a sentence of help and bounds. NaN is never a
setting and infinity only where a field says so. What comes out is hashed into the run's name, so equal settings must have one spelling only.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sgdsde.types import InputError, suggest

C = TypeVar("C")
_MAX_TEXT = 1000
_MAX_INT = 2**63 - 1


def option(
    default: Any, help: str, *, low: float | None = None, high: float | None = None, above: float | None = None, infinite: bool = False, empty: bool = False
) -> Any:
    """A field with a sentence of help and bounds low ≤ x ≤ high, x > above (for each element of a tuple); ``empty``: a tuple may have no element (``none``)."""
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high, "above": above, "infinite": infinite, "empty": empty})


@dataclass(frozen=True)
class Setting:
    """One field of a configuration, as it is read: its type, default, help and bounds."""

    name: str
    kind: Any
    default: Any
    help: str
    bounds: Mapping[str, Any]


def settings(config: type) -> dict[str, Setting]:
    """The fields of a configuration class, in order."""
    hints = typing.get_type_hints(config)
    return {
        field.name: Setting(field.name, hints[field.name], field.default, field.metadata.get("help", ""), field.metadata)
        for field in dataclasses.fields(config)
    }


def resolve(config: type[C], layers: Sequence[tuple[str, Mapping[str, Any]]]) -> C:
    """The configuration from its defaults and layers (source, values), later ones winning.

    Raises:
        InputError: an unknown key (with a suggestion), a value of the wrong type or out of bounds; the source is named.
    """
    known, chosen = settings(config), {}
    for source, values in layers:
        for key, value in values.items():
            if not isinstance(key, str) or key not in known:
                raise InputError(f"{source}: {_shown(key)} is no setting of this study." + suggest(str(key)[:_MAX_TEXT], list(known)))
            chosen[key] = convert(value, known[key], source)
    return config(**chosen)


def plain(config: Any) -> dict[str, Any]:
    """A configuration as JSON values; two configurations are equal iff these are."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(config).items()}


def convert(value: Any, setting: Setting, source: str) -> Any:
    """A value from a file (any YAML type) or from the command line (text) as the field's type, within its bounds.

    Raises:
        InputError: it cannot be.
    """
    try:
        return _converted(value, setting.kind, setting.bounds)
    except _Refused as why:
        raise InputError(f"{source}: {setting.name} = {_shown(value)}; {why}.") from None


class _Refused(Exception):
    """What was wanted, in words."""


def _converted(value: Any, kind: Any, bounds: Mapping[str, Any]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.strip().lower() == "none"):
            return None
        return _converted(value, next(part for part in arguments if part is not type(None)), bounds)
    if origin is tuple:
        return _tuple(value, arguments[0], bounds)
    if origin is Literal:
        if value not in arguments or isinstance(value, bool):
            raise _Refused(f"wanted one of {', '.join(map(str, arguments))}")
        return value
    if kind is bool:
        return _bool(value)
    if kind is int:
        return _bounded(_int(value), bounds)
    if kind is float:
        return _bounded(_float(value, bool(bounds.get("infinite"))), bounds)
    if kind is str:
        if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
            raise _Refused(f"wanted printable text of at most {_MAX_TEXT} characters")
        return value
    raise TypeError(f"a configuration cannot hold {kind!r}")


def _tuple(value: Any, kind: Any, bounds: Mapping[str, Any]) -> tuple[Any, ...]:
    may_be_empty = bool(bounds.get("empty"))
    if may_be_empty and (value in ((), []) or (isinstance(value, str) and value.strip().lower() == "none")):
        return ()
    wanted = "wanted values separated by commas (in a file: a list), " + ("or none (in a file: none or [])" if may_be_empty else "at least one")
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
        if not any(value) or (kind is str and not all(value)):  # an empty word is none
            raise _Refused(wanted)
    if isinstance(value, (bool, int, float)):
        value = [value]
    if not isinstance(value, (list, tuple)) or not 0 < len(value) <= 10_000:
        raise _Refused(wanted)
    converted = tuple(_converted(item, kind, bounds) for item in value)
    if len(set(converted)) < len(converted):
        raise _Refused("a value stands there twice")
    return converted


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise _Refused("wanted true or false")


def _int(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and len(value) < 40:
        number = _number_or_none(value)
        value = number if number is not None else value
    if isinstance(value, float) and value.is_integer():  # 1e6 is the way people write a million
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Refused("wanted a whole number")
    if abs(value) > _MAX_INT:
        raise _Refused("wanted a whole number of at most 63 bits")
    return value


def _float(value: Any, infinite: bool) -> float:
    if isinstance(value, str) and value.isascii() and len(value) < 400:
        number = _number_or_none(value)
        value = number if number is not None else value
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _Refused("wanted a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number) or (math.isinf(number) and not infinite):
        raise _Refused("wanted a finite number")
    return number + 0.0  # −0 and 0 are one setting


def _number_or_none(text: str) -> int | float | None:
    for reader in (int, float):
        try:
            return reader(text)
        except ValueError:
            continue
    return None


def _bounded(number: Any, bounds: Mapping[str, Any]) -> Any:
    low, high, above = bounds.get("low"), bounds.get("high"), bounds.get("above")
    if low is not None and number < low:
        raise _Refused(f"wanted at least {low}")
    if high is not None and number > high:
        raise _Refused(f"wanted at most {high}")
    if above is not None and number <= above:
        raise _Refused(f"wanted more than {above}")
    return number


def _shown(value: Any) -> str:
    """A value in a message: short, on one line, whatever it holds (a whole number may have more digits than Python prints)."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "…"
