"""``sgdsde atlas``: the atlas of a shipped objective from the command line. Help does not import torch; values are read as YAML, names from the listing."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from sgdsde.types import SgdsdeError
from sgdsde.words import carried_out, number, whole

if TYPE_CHECKING:
    from sgdsde.noise import Noise

#: objectives that are made from data
ON_DATA = ("LeastSquares", "LogisticRegression")


@dataclass(frozen=True)
class Arguments:
    """Which SDE model to trust for SGD on an objective, at a point.

    Examples:

    sgdsde atlas DoubleWell --eta .1 --theta=-1.3 --covariance .25

    sgdsde atlas Quadratic --option 'hessian=[9, .5]' --eta .1 --theta=1,1 --covariance '[[1, .9], [.9, 1]]'

    sgdsde atlas LogisticRegression --components 5 --batch-size 4 --eta .5
    """

    objective: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """see: sgdsde list objectives. LeastSquares and LogisticRegression take the first two digits of scikit-learn"""
    eta: float
    """step size"""
    theta: Annotated[str, tyro.conf.arg(metavar="X,X,…")] = "0"
    """the point; one number stands for that number in every coordinate. Write --theta=-1,2 for negative numbers"""
    covariance: Annotated[str, tyro.conf.arg(metavar="YAML")] = "1"
    """Gaussian noise: its covariance, a matrix or a multiple of the identity"""
    batch_size: Annotated[str | None, tyro.conf.arg(metavar="B", help_behavior_hint="")] = None
    """minibatch noise, drawn with replacement, in place of Gaussian noise"""
    components: Annotated[int, tyro.conf.arg(metavar="K")] = 5
    """principal components of the digits"""
    option: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=YAML")] = ()
    """an argument of the objective; may be given again"""
    horizon: Annotated[str | None, tyro.conf.arg(metavar="T", help_behavior_hint="(default: 16 steps)")] = None
    """SDE time at which errors are predicted"""
    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="MODEL")] = ()
    """only this model; may be given again (see: sgdsde list models)"""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """write every number there"""


def main_atlas(arguments: Sequence[str]) -> int:
    """Parse and carry out; returns the exit status: 0, or 2 for wrong usage."""
    return carried_out(Arguments, arguments, _carry_out, prog="sgdsde atlas", said=(SgdsdeError, OSError))


def _carry_out(command: Arguments) -> int:
    from sgdsde.atlas import atlas
    from sgdsde.types import InputError

    if command.json is not None and not command.json.resolve().parent.is_dir():
        raise InputError(f"--json {command.json}: there is no folder {command.json.parent}; wanted a file in a folder that exists.")
    horizon, batch_size = number(command.horizon, "--horizon"), whole(command.batch_size, "--batch-size", low=1)
    noise = _noise(command, batch_size)
    dim = noise.objective.dim
    try:
        numbers = [float(part) for part in command.theta.split(",")]
    except ValueError:
        raise InputError(f"--theta={command.theta}: wanted numbers with commas between them, for example --theta=-1.3,0.4.") from None
    theta = numbers * dim if len(numbers) == 1 else numbers
    found = atlas(noise, command.eta, theta, horizon=horizon, models=list(command.model) or None)
    print(found)
    if command.json is not None:
        command.json.write_text(found.to_json(indent=1) + "\n", encoding="utf-8")
    return 0


def _noise(command: Arguments, batch_size: int | None) -> Noise:
    from sgdsde import objectives
    from sgdsde.data import digits
    from sgdsde.listing import listing
    from sgdsde.noises import Gaussian, Minibatch
    from sgdsde.types import InputError, suggest

    names = [item.name for item in listing("objectives")]
    if command.objective not in names:
        raise InputError(f"{command.objective!r} is no objective." + suggest(command.objective, names))
    options = dict(_option(text) for text in command.option)
    if command.objective in ON_DATA:
        data = digits(classes=2, components=command.components)
        options = {"x": data.x, "y": data.y} | options
    objective = _made(command.objective, getattr(objectives, command.objective), options)
    if batch_size is not None:
        return Minibatch(objective, batch_size)
    return Gaussian(objective, _yaml(command.covariance, "--covariance"))


def _made(name: str, kind: Any, options: dict[str, Any]) -> Any:
    """The objective, after its arguments' names were held against its signature."""
    from sgdsde.types import InputError, suggest

    known = inspect.signature(kind).parameters
    for key in options:
        if key not in known:
            raise InputError(f"--option {key}: {name} has no such argument." + suggest(key, list(known)))
    missing = [key for key, parameter in known.items() if parameter.default is parameter.empty and key not in options]
    if missing:
        raise InputError(f"{name} needs {', '.join(missing)}; give {'it' if len(missing) == 1 else 'them'} with --option {missing[0]}=YAML.")
    return kind(**options)


def _option(text: str) -> tuple[str, Any]:
    from sgdsde.types import InputError

    key, separator, value = text.partition("=")
    if not separator:
        raise InputError(f"--option {text}: wanted KEY=YAML, for example --option dim=2.")
    return key, _yaml(value, f"--option {key}")


def _yaml(text: str, what: str) -> Any:
    import yaml

    from sgdsde.types import InputError

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{what}: {text!r} is no YAML ({str(error).splitlines()[0]}).") from error
