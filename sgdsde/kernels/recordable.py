"""Which steps can be recorded and replayed: found by trying one on points that have no numbers (torch's ``meta`` device).

A recording holds the operations of one pass, with their places in memory. So a step must not read its numbers to decide what to do next (``bool(mask.any())``,
``.item()``, sizes that hang on values), must not bring numbers from the host, draw any, read the time, or call linear algebra that reports its success to
the host. What cannot be read on points without numbers, and what is brought to their device, shows at the first use; a step's constants may be brought once, so
it is tried twice.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from sgdsde.kernel import DrivenKernel
from sgdsde.kernels.recording import tensors
from sgdsde.kernels.unseen import Timeless, Unseen
from sgdsde.rng import stream
from sgdsde.types import InputError, SgdsdeError, tallying

_PATHS = 3
_NOWHERE = torch.device("meta")

#: methods and functions that read numbers
_READ = {"item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__array__", "is_nonzero", "equal", "allclose"}
#: functions that make tensors of the host's numbers
_BRING = {"tensor", "as_tensor", "asarray", "new_tensor"}
#: linear algebra of one kernel launch; all other (eigenvectors, factorisations, matrix exponentials) asks the host in between
_LAUNCHED = {"linalg_vector_norm", "linalg_cross", "linalg_vecdot", "linalg_diagonal"}


def refuse_unrecordable(kernel: DrivenKernel, theta: Tensor, *, owner: str) -> None:
    """Refuse a kernel whose step, from points like ``theta``, cannot be recorded.

    Raises:
        InputError: the message says what the step does, where, and what to do instead.
    """
    width = kernel.draw(theta[:1], stream(0, "probe", device=theta.device)).shape[1]
    points, drawn = (theta.new_empty((_PATHS, size), device=_NOWHERE) for size in (kernel.dim, width))
    for settled in (False, True):
        watch = _Watch(owner, settled)
        try:
            with tallying(Unseen()), _Functions(watch), _Operations(watch):
                moved = kernel.follow(points, Timeless(owner), drawn)  # type: ignore[arg-type]
        except SgdsdeError:
            raise
        except Exception as error:  # what this torch cannot do without numbers, it could not record either
            raise InputError(f"{owner} cannot be recorded: its step fails on points without numbers ({error}). Run the kernel itself.") from error
        if moved.device != _NOWHERE:
            watch.refuse("leaves the device of its points", "Run the kernel itself.")


class _Watch:
    """The rules. ``settled``: constants have been brought, nothing else may be."""

    def __init__(self, owner: str, settled: bool) -> None:
        self.owner, self.settled = owner, settled

    def refuse(self, what: str, advice: str) -> NoReturn:
        raise InputError(f"{self.owner} cannot be recorded: its step {what} ({_place()}). {advice}")

    def reads(self, name: str) -> NoReturn:
        self.refuse(
            f"reads its own numbers back to the host ({name})", "A recording cannot decide by them. Run the kernel itself, or take a model without such a step."
        )

    def brings(self, name: str) -> NoReturn:
        self.refuse(f"brings numbers from the host ({name})", "Keep constants on the device of the points: sgdsde.objective.like(constant, theta) does.")


class _Functions(TorchFunctionMode):
    """Reads and host numbers, where Python asks for them."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _READ and any(tensor.device == _NOWHERE for tensor in tensors(args)):
            self._watch.reads(name)
        result = func(*args, **(kwargs or {}))
        if name in _BRING and self._watch.settled and isinstance(result, Tensor) and result.device == _NOWHERE and not isinstance(args[-1], Tensor):
            self._watch.brings(f"torch.{name}")
        return result


class _Operations(TorchDispatchMode):
    """What torch itself calls: reads inside its functions, copies between devices, random numbers, linear algebra."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        given, name = list(tensors((args, kwargs))), func.overloadpacket.__name__
        here = any(tensor.device == _NOWHERE for tensor in given)
        if here:
            self._refuse(func, name, args)
        result = func(*args, **(kwargs or {}))
        made = list(tensors(result))
        here = here or any(tensor.device == _NOWHERE for tensor in made)
        if here and self._watch.settled:
            if torch.Tag.nondeterministic_seeded in func.tags:
                self._watch.refuse(f"draws random numbers ({name})", "Recorded steps take theirs from the kernel's increments only. Run the kernel itself.")
            copies = name in ("_to_copy", "copy_")
            if any(tensor.device != _NOWHERE and (copies or tensor.ndim) for tensor in (*given, *made)):  # a number may stand beside tensors
                self._watch.brings(name)
        return result

    def _refuse(self, func: Any, name: str, args: tuple[Any, ...]) -> None:
        masked = any(tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors(args[1])) if name in ("index", "index_put_", "index_put") else None
        sized = torch.Tag.dynamic_output_shape in func.tags if masked is None else masked
        if sized or torch.Tag.data_dependent_output in func.tags:
            self._watch.reads(name)
        if "linalg" in name and name not in _LAUNCHED:
            self._watch.refuse(
                f"calls linear algebra that waits for the host ({name})",
                "Eigenvectors are recorded in up to three dimensions, and where the Hessian is diagonal by its facts; SME2 and SME3 need none. "
                "Or run the kernel itself.",
            )


def _place() -> str:
    """Where in the model's code a rule was broken: the innermost frame that is neither torch's nor this module's."""
    frame, ours = sys._getframe(1), (str(Path(torch.__file__).parent), __file__)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(ours):
        frame = frame.f_back
    code = frame.f_code
    return f"{Path(code.co_filename).name}, line {frame.f_lineno}, in {code.co_name}"
