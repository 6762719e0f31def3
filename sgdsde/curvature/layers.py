"""Layer blocks: the ranges of θ that belong to each parameter tensor, and the principal blocks of any operator on them."""

from __future__ import annotations

from sgdsde.curvature.operator import Block, Operator, as_operator
from sgdsde.given import is_name
from sgdsde.objectives.network import Network
from sgdsde.types import InputError, expected, suggest


def layer_blocks(network: Network) -> dict[str, slice]:
    """The range of each parameter tensor in θ, by its name (``0.weight``, ``0.bias`` …); frozen tensors have none, tied ones one.

    Example:
        >>> x = torch.zeros(2, 3)
        >>> network = sg.objectives.Network(torch.nn.Linear(3, 2), "mse", x, x[:, :2])
        >>> sg.curvature.layer_blocks(network)
        {'weight': slice(0, 6, None), 'bias': slice(6, 8, None)}
    """
    expected(network, Network, "network", "made by sg.objectives.Network(module, loss, inputs, targets)")
    blocks, start = {}, 0
    for name, size in zip(network.names, network.sizes, strict=True):
        blocks[name] = slice(start, start + size)
        start += size
    return blocks


def block_operator(operator: Operator, part: slice) -> Block:
    """The principal block of an operator on a range of parameters, for instance ``layer_blocks(network)["0.weight"]``.

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 2.0, 1.0])))
        >>> sg.curvature.block_operator(A, slice(0, 2)).dim
        2
    """
    return Block(operator, part)


def layer_operators(operator: Operator, network: Network) -> dict[str, Block]:
    """The principal block of an operator for every parameter tensor of the network that has entries, by name.

    Raises:
        InputError: the operator does not act on this network's parameters.

    Example:
        >>> x = torch.ones(2, 3, dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Linear(3, 2).double(), "mse", x, x[:, :2])
        >>> H = sg.curvature.hessian_operator(network, network.flatten())
        >>> {name: block.dim for name, block in sg.curvature.layer_operators(H, network).items()}
        {'weight': 6, 'bias': 2}
    """
    blocks = layer_blocks(network)
    if as_operator(operator).dim != network.dim:
        raise InputError(f"{operator.label or 'The operator'} has dimension {operator.dim}, the network {network.dim} parameters: it is no operator of it.")
    named = {name: Block(operator, part) for name, part in blocks.items() if part.stop > part.start}
    for name, block in named.items():
        block.label = f"{operator.label}, {name}"
    return named


def layer_operator(operator: Operator, network: Network, name: str) -> Block:
    """The block of one parameter tensor.

    Raises:
        InputError: no trainable tensor of that name, or one without entries.

    Example:
        >>> x = torch.ones(2, 3, dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Linear(3, 2).double(), "mse", x, x[:, :2])
        >>> H = sg.curvature.hessian_operator(network, network.flatten())
        >>> sg.curvature.layer_operator(H, network, "bias").dim
        2
    """
    known = layer_blocks(network)
    if is_name(name, known) and known[name].stop == known[name].start:
        raise InputError(f"{name!r} has no entries (an empty layer): it has no block.")
    if not is_name(name, known):
        raise InputError(f"{name!r} is no trainable parameter of this network (a frozen or tied one is none)." + suggest(name, list(known)))
    return layer_operators(operator, network)[name]
