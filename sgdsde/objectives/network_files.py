"""An ensemble of networks as one safetensors file: each parameter by its name, ``[P, *shape]``, and what is needed to refuse a file that does not fit.

Nothing is ever unpickled: the file holds arrays and strings.
"""

from __future__ import annotations

import os
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sgdsde.objectives.network import Network
from sgdsde.types import InputError

FORMAT = "sgdsde networks 1"


def save_networks(path: str | Path, network: Network, theta: Float[Tensor, "paths dim"]) -> None:
    """Write θ ``[P, dim]`` under the network's parameter names; a file of that name is replaced in one go.

    Raises:
        InputError: θ does not fit the network.

    Example:
        >>> import pathlib, tempfile
        >>> x = torch.zeros(2, 3)
        >>> network = sg.objectives.Network(torch.nn.Linear(3, 2), "mse", x, x[:, :2])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sg.objectives.save_networks(pathlib.Path(folder) / "net.safetensors", network, network.flatten()[None])
        ...     [path.name for path in pathlib.Path(folder).iterdir()]
        ['net.safetensors']
    """
    if theta.ndim != 2 or theta.shape[1] != network.dim:
        raise InputError(f"theta has shape {tuple(theta.shape)}; wanted [paths, {network.dim}].")
    target = Path(path)
    named = {name: part.detach().cpu().contiguous() for name, part in network.unflatten(theta).items()}
    metadata = {"format": FORMAT, "module": type(network.module).__name__, "paths": str(theta.shape[0])}
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    save_file(named, temporary, metadata=metadata)
    os.replace(temporary, target)


def load_networks(path: str | Path, network: Network) -> Float[Tensor, "paths dim"]:
    """θ ``[P, dim]`` on the CPU, in the dtype of the file.

    Raises:
        InputError: no such file, no file of this kind, other names or other shapes than the network's.

    Example:
        >>> import tempfile
        >>> x = torch.zeros(2, 3)
        >>> network = sg.objectives.Network(torch.nn.Linear(3, 2), "mse", x, x[:, :2])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sg.objectives.save_networks(folder + "/net.safetensors", network, network.flatten()[None])
        ...     torch.equal(sg.objectives.load_networks(folder + "/net.safetensors", network)[0], network.flatten())
        True
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source} does not exist; wanted a file written by save_networks.")
    try:
        with safe_open(source, framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
            if (file.metadata() or {}).get("format") != FORMAT:
                raise InputError(f"{source} was not written by save_networks (format {(file.metadata() or {}).get('format')!r}; wanted {FORMAT!r}).")
            _refuse(source, found, network)
            return network.flatten({name: file.get_tensor(name) for name in network.names})
    except SafetensorError as error:
        raise InputError(f"{source} is no safetensors file: {error}") from error


def _refuse(source: Path, found: dict[str, tuple[int, ...]], network: Network) -> None:
    """Compare the header with the network, before any array is read."""
    wanted = dict(zip(network.names, network.shapes, strict=True))
    if set(found) != set(wanted):
        raise InputError(f"{source} holds the parameters {sorted(found)}; the network has {sorted(wanted)}.")
    for name, shape in wanted.items():
        if found[name][1:] != shape:
            raise InputError(f"parameter {name!r} in {source} has shape {found[name]}; wanted [paths, ...] of shape {shape}.")
    if len({shape[0] for shape in found.values()}) != 1:
        raise InputError(f"{source} holds different numbers of replicas for different parameters: {found}.")
