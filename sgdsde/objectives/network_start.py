"""Draws of a module's own initial distribution, from a given generator and without a trace in global random state.

PyTorch's initialisers take no generator: for the time of the draws the global CPU generator takes on the state of the given one, which then
continues where they ended.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde.rng import stream
from sgdsde.types import InputError


def redraw(module: nn.Module, flatten: Callable[[nn.Module], Tensor], paths: int, generator: torch.Generator) -> Float[Tensor, "paths dim"]:
    """``paths`` draws, each flattened, on the generator's device.

    Raises:
        InputError: a submodule holds parameters and has no ``reset_parameters``.
    """
    copied = copy.deepcopy(module).cpu()
    resets = list(_resets(copied))
    source = generator
    if generator.device.type != "cpu":
        source = stream(int(torch.randint(2**62, (), generator=generator, device=generator.device)), "network initial")
    rows = []
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator.get_state(source))  # torch's own part of it: a stream may have other sources
        for _ in range(paths):
            for reset in resets:
                reset()
            rows.append(flatten(copied))
        torch.Generator.set_state(source, torch.get_rng_state())
    return torch.stack(rows).to(generator.device)


def _resets(module: nn.Module) -> Iterator[Callable[[], None]]:
    """Children before parents: a parent's reset may overrule its children's (as in attention)."""
    for name, part in reversed(list(module.named_modules())):
        if not any(True for _ in part.parameters(recurse=False)):
            continue
        reset = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
        if reset is None:
            raise InputError(
                f"{type(part).__name__} ({name or 'the module itself'}) holds parameters and has no reset_parameters(): its initial distribution "
                "is unknown. Write that method, or build theta0 with flatten(module) from modules that you made."
            )
        yield reset
