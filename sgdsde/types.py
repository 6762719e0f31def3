"""The words of the package: estimates with error bars, path status, conventions, errors.

Everything a result is made of and nothing that computes one. Imports no other module of the package, and torch only where points are made:
errors and estimates must be had without waiting for it.
"""

from __future__ import annotations

import enum
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    import torch


class SgdsdeError(ValueError):
    """Base of every error that a user's input can cause. Its message says what came, what was wanted, what to do."""


class InputError(SgdsdeError):
    """The input has a wrong shape, type or value."""


class DomainError(SgdsdeError):
    """A model does not exist where it was asked for (a logarithm of a negative number, an indefinite diffusion)."""


class OracleRefusal(SgdsdeError):
    """An oracle cannot give the accuracy it promises, and says why instead of answering."""


class SgdsdeWarning(UserWarning):
    """Something the user should know and may accept."""


def warn(message: str) -> None:
    """Warn in the name of the caller's caller."""
    warnings.warn(message, SgdsdeWarning, stacklevel=3)


class Status(enum.IntEnum):
    """What became of a path. The number is what stands in ``Trajectory.status``.

    Example:
        >>> sg.Status.CENSORED.name, int(sg.Status.DIVERGED)
        ('CENSORED', 3)
    """

    OK = 0  #: reached the horizon
    EXITED = 1  #: left the region (or met the ``stop`` condition); frozen where it did
    CENSORED = 2  #: still inside the region at the horizon
    DIVERGED = 3  #: became non-finite; its state is NaN from then on
    OUT_OF_DOMAIN = 4  #: reached a point where the model does not exist; frozen at its last finite point at a tick


@dataclass(frozen=True)
class Estimate:
    """A number (or an array of numbers, one per saved time) with its uncertainty.

    ``low`` and ``high`` bound a confidence interval (95 % unless the maker says otherwise); ``n`` is the number of independent
    samples behind the value. An exact value has ``stderr = 0`` and ``low = high = value``.

    Example:
        >>> estimate = sg.Estimate.normal(2.0, 0.1, n=400)
        >>> print(estimate)
        2 ± 0.1 [1.804, 2.196] (n = 400)
    """

    value: Any
    stderr: Any
    n: int
    low: Any
    high: Any

    @staticmethod
    def exact(value: Any) -> Estimate:
        """An estimate without uncertainty, for oracles."""
        return Estimate(value, np.zeros_like(np.asarray(value, dtype=float))[()], 0, value, value)

    @staticmethod
    def normal(value: Any, stderr: Any, n: int, z: float = 1.959963984540054) -> Estimate:
        """value ± z·stderr, the normal interval (z = 1.96: 95 %)."""
        value, stderr = np.asarray(value, dtype=float)[()], np.asarray(stderr, dtype=float)[()]
        return Estimate(value, stderr, n, value - z * stderr, value + z * stderr)

    def __getitem__(self, index: Any) -> Estimate:
        """The estimate at one saved time (or a slice of times)."""
        value, stderr, low, high = (np.asarray(part)[index] for part in (self.value, self.stderr, self.low, self.high))
        return Estimate(value, stderr, self.n, low, high)

    def __str__(self) -> str:
        if np.ndim(self.value) == 0:
            return f"{self.value:.6g} ± {self.stderr:.2g} [{self.low:.6g}, {self.high:.6g}] (n = {self.n})"
        return f"Estimate of shape {np.shape(self.value)} (n = {self.n})"


@dataclass(frozen=True)
class Conventions:
    """What every number in a result presupposes (docs/theory/conventions.md); printed with tables, reports and files."""

    eta: float | None = None
    batch_size: int | None = None
    n: int | None = None
    sampling: str = "none"
    loss: str = "mean over samples"
    calculus: str = "Itô"
    time: str = "SDE time t = k·eta"
    dtype: str = "float64"
    device: str = "cpu"

    def __str__(self) -> str:
        parts = [f"eta={self.eta}", f"B={self.batch_size}", f"n={self.n}", f"sampling={self.sampling}", f"loss={self.loss}"]
        return ", ".join([*parts, self.calculus, self.time, self.dtype, self.device])


@dataclass
class Tally:
    """Counters that models fill while they are evaluated: how often, and how badly, their domain was violated.

    ``flagged`` marks, per path of the block in flight, that the model did not exist there; ``counts`` adds up events by
    name (``log clipped``, ``psd projected``, ``evaluations`` …); ``worst`` keeps the largest value by name (``psd defect``).
    """

    flagged: torch.Tensor | None = None
    counts: dict[str, int] = field(default_factory=dict)
    worst: dict[str, float] = field(default_factory=dict)
    #: whether models may read numbers of the ensemble in force; not where their operations are recorded to be replayed
    looks: ClassVar[bool] = True

    def flag(self, mask: torch.Tensor) -> None:
        """These paths (bool[P]) met the model's end."""
        matches = self.flagged is not None and self.flagged.shape == mask.shape
        self.flagged = (self.flagged | mask) if matches and self.flagged is not None else mask.clone()

    def add(self, name: str, count: int | torch.Tensor) -> None:
        """``count`` more events."""
        self.counts[name] = self.counts.get(name, 0) + int(count)

    def largest(self, name: str, value: float | torch.Tensor) -> None:
        """``value``, if it exceeds what is known."""
        self.worst[name] = max(self.worst.get(name, float(value)), float(value))

    def copy(self) -> Tally:
        """These counters as they stand now."""
        return Tally(None, dict(self.counts), dict(self.worst))

    def merge(self, other: Tally) -> None:
        """Add another block's counters to these."""
        for name, count in other.counts.items():
            self.add(name, count)
        for name, value in other.worst.items():
            self.largest(name, value)


_tally: ContextVar[Tally | None] = ContextVar("sgdsde_tally", default=None)


@contextmanager
def tallying(tally: Tally | None = None) -> Iterator[Tally]:
    """Collect what models report about their domain inside this block, in ``tally`` or a new one; each worker collects its own."""
    tally = Tally() if tally is None else tally
    token = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(token)


def may_look() -> bool:
    """Whether a model may read numbers of its points, to take a shorter way or to raise. Where not: the general way, to equal numbers, and NaN for an error."""
    tally = _tally.get()
    return tally is None or tally.looks


def report_flags(mask: torch.Tensor) -> None:
    """A model says: at these paths (bool[P]) I do not exist. It must return NaN there as well."""
    tally = _tally.get()
    if tally is not None:
        tally.flag(mask)


def report_count(name: str, count: int | torch.Tensor) -> None:
    """Add ``count`` events under ``name`` to the tally in force, if any."""
    tally = _tally.get()
    if tally is not None:
        tally.add(name, count)


def report_worst(name: str, value: float | torch.Tensor) -> None:
    """Keep the largest value seen under ``name`` in the tally in force, if any; −∞ stands for none."""
    tally = _tally.get()
    if tally is not None:
        tally.largest(name, value)


def as_points(theta: Any, dim: int, *, name: str = "theta") -> torch.Tensor:
    """``theta`` as a floating tensor ``[paths, dim]``: Python numbers and NumPy input become float64, tensors keep their dtype.

    Raises:
        InputError: the last axis is not ``dim``, the input is empty or holds NaN or infinity.
    """
    import torch

    if isinstance(theta, torch.Tensor):
        points = theta if theta.is_floating_point() or theta.is_complex() else theta.to(torch.float64)
        if points.dtype not in (torch.float64, torch.float32):
            raise InputError(f"{name} has dtype {points.dtype}; wanted float64 or float32, for example {name}.double().")
    else:
        points = torch.as_tensor(numbers(theta, name))
    if points.ndim == 0 and dim == 1:
        points = points.reshape(1, 1)
    if points.ndim == 1:
        points = points[None]  # [1, dim]
    if points.ndim != 2 or points.shape[1] != dim or points.shape[0] == 0:
        raise InputError(f"{name} has shape {tuple(points.shape)}; wanted [paths, {dim}] or [{dim}]. The objective has dimension {dim}.")
    if not bool(torch.isfinite(points).all()):
        raise InputError(f"{name} holds NaN or infinity; start from finite points.")
    return points.detach()


def numbers(values: Any, name: str) -> np.ndarray[Any, Any]:
    """``values`` as an array of float64.

    Raises:
        InputError: words, complex numbers, rows of different lengths, None.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} = {values!r:.200}; wanted real numbers.") from None


def real(value: Any, name: str) -> float:
    """``value`` as a float: a number, or an array or tensor that holds one.

    Raises:
        InputError: words, truth values, complex numbers, arrays.
    """
    try:
        if isinstance(value, str | bytes | bool | np.bool_) or np.iscomplexobj(value):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name} = {value!r:.200}; wanted a number.") from None


def positive(value: float, name: str) -> float:
    """``value`` as a float, refused unless it is a number, finite and above zero."""
    number = real(value, name)
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{name} = {value}; wanted a finite number > 0.")
    return number


def expected(value: Any, kind: type, name: str, advice: str) -> Any:
    """``value``, refused unless it is a ``kind``; ``advice`` says how one is had."""
    if isinstance(value, kind):
        return value
    if isinstance(value, type):
        raise InputError(f"{name} is the class {value.__name__}; wanted a sg.{kind.__name__} made from it or another: {advice}.")
    raise InputError(f"{name} is of type {type(value).__name__}; wanted a sg.{kind.__name__}: {advice}.")


def whole(owner: Any, name: str, least: int) -> None:
    """Refuses an object whose attribute ``name`` is missing or no integer ≥ ``least``."""
    value = getattr(owner, name, None)
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{type(owner).__name__}.{name} = {value!r}; wanted an integer ≥ {least}, set by the class or in its __init__.")


@contextmanager
def untouched(points: torch.Tensor, what: str) -> Iterator[None]:
    """Refuses a function that changes the points it is given: the run would go on from what it leaves.

    Raises:
        InputError: ``points`` were written to meanwhile.
    """
    version = points._version
    yield
    if points._version != version:
        raise InputError(f"{what} changed the points that it was given, in place; wanted a function that leaves them as they are (work on a clone).")


def suggest(word: Any, known: Mapping[str, Any] | list[str]) -> str:
    """“ Did you mean …?” for an unknown name, with all known names; a name that differs in its case only comes before all others."""
    import difflib

    word = str(word)
    close = [name for name in known if name.lower() == word.lower()] or difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return (f" Did you mean {close[0]!r}?" if close else "") + f" Known: {', '.join(sorted(known))}."
