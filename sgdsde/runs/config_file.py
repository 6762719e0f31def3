"""Configuration files: one flat YAML table, read safely and without YAML 1.1's surprises.

The loader is a ``SafeLoader`` (no objects, no code) that knows YAML 1.2's scalars only: ``1e-3`` is a number, ``no`` and ``12:30`` are text. A key that stands
there twice, anchors, aliases and nesting are refused: a setting has one place.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from sgdsde.types import InputError

MAX_BYTES = 2**18


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars on top of the safe constructor."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's own name and form)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        return int(str(self.construct_scalar(node)))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        return float(str(self.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+.0123456789"),
)


def load(path: Path) -> dict[str, Any]:
    """The settings in a file; an empty file holds none.

    Raises:
        InputError: the file cannot be read, is no flat YAML table, or names a key twice; line and column are told.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"--config {path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"--config {path}: larger than {MAX_BYTES // 1024} KiB; wanted a table of settings.")
    return parse(data, f"--config {path}")


def parse(data: bytes, source: str) -> dict[str, Any]:
    """The settings in YAML text.

    Raises:
        InputError: as :func:`load`.
    """
    try:
        loader = _Loader(data.decode("utf-8"))
        try:
            _refuse_structure(data.decode("utf-8"), source)
            node = loader.get_single_node()
            return {} if node is None else _table(loader, node, source)
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 text (byte {error.start}).") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{source}: not YAML{place}: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise InputError(f"{source}: not YAML: {' '.join(str(error).split())[:200]}.") from None
    except (RecursionError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: a value cannot be read ({str(error)[:80] or type(error).__name__}).") from None


def _refuse_structure(text: str, source: str) -> None:
    """Anchors, aliases and deep nesting, found on the way and not at the end: thousands of brackets would take the parser seconds."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = f" (line {event.start_mark.line + 1})" if event.start_mark else ""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InputError(f"{source}: anchors and aliases are not allowed{line}; write the value out.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > 3:
            raise InputError(f"{source}: tables inside a table are not allowed{line}.")


def _table(loader: _Loader, node: yaml.Node, source: str) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null"):
        return {}
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise InputError(f"{source}: wanted a table of settings, one 'name: value' a line.")
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise InputError(f"{source}, line {line}: a setting's name must be plain text.")
        if key_node.value in values:
            raise InputError(f"{source}, line {line}: {key_node.value[:60]!r} stands there twice.")
        values[key_node.value] = _value(loader, value_node, f"{source}, line {line}")
    return values


def _value(loader: _Loader, node: yaml.Node, place: str) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_object(node)
    if isinstance(node, yaml.SequenceNode):
        if node.tag == "tag:yaml.org,2002:seq" and all(isinstance(item, yaml.ScalarNode) for item in node.value):
            return [loader.construct_object(item) for item in node.value]
        raise InputError(f"{place}: a list may hold plain values only.")
    raise InputError(f"{place}: tables inside a table are not allowed.")
