"""What stands in the package's plural folders, read from the source without importing it: listing must not wait for torch.

A name's description is the first sentence of the docstring of its class. Claims are described by their ``title``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

#: what can be listed, the folder in which it stands, and the types it descends from
FOLDERS = {
    "models": ("sdes", {"SDE", "ModifiedEquation"}),
    "objectives": ("objectives", {"Objective"}),
    "noises": ("noises", {"Noise", "CountedNoise", "GaussianNoise", "HeavyTailedNoise"}),
    "kernels": ("kernels", {"Kernel", "DrivenKernel"}),
}
KINDS = ("claims", *FOLDERS)


@dataclass(frozen=True)
class Item:
    """A name and one sentence about it."""

    name: str
    text: str


def listing(kind: str) -> list[Item]:
    """The items of a kind in :data:`KINDS`, in alphabetical order (claims: by number)."""
    if kind == "claims":
        return sorted(_claims(), key=lambda item: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", item.name)])
    folder, roots = FOLDERS[kind]
    exported = _exported(folder)
    classes = {node.name: node for node in _classes(folder)}
    found = [Item(name, _sentence(node)) for name, node in classes.items() if name in exported and _descends(name, classes, roots)]
    return sorted(found, key=lambda item: item.name.lower())


def _descends(name: str, classes: dict[str, ast.ClassDef], roots: set[str]) -> bool:
    if name in roots:
        return True
    bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)] if name in classes else []
    return any(_descends(base, classes, roots) for base in bases)


def _claims() -> Iterator[Item]:
    for node in _classes("claims"):
        values = {
            target.id: statement.value.value
            for statement in node.body
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        if "id" in values and "title" in values:
            yield Item(str(values["id"]), str(values["title"]))


def _classes(folder: str) -> Iterator[ast.ClassDef]:
    for file in sorted(resources.files("sgdsde").joinpath(folder).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".py"):
            yield from (node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef))


def _exported(folder: str) -> set[str]:
    tree = ast.parse(resources.files("sgdsde").joinpath(folder, "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return set(ast.literal_eval(node.value))
    return set()


def _sentence(node: ast.ClassDef) -> str:
    text = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text)
    return re.split(r"(?<=[^A-Z])\. (?=[A-Z`])", text)[0].rstrip(".").replace("``", "")
