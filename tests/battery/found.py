"""What the batteries run over: the classes that stand in each folder of the package, and the examples that each of them brings."""

from types import ModuleType
from typing import Any

import pytest


def classes(package: ModuleType, base: type) -> list[type]:
    """The public classes of a folder that are instances of its concept."""
    found = [getattr(package, name) for name in package.__all__]
    return [item for item in found if isinstance(item, type) and issubclass(item, base)]


def examples(package: ModuleType, base: type) -> list[Any]:
    """Every example of every class, as parameters named Class0, Class1, …; a class without examples shows as a failing one."""
    parameters = []
    for cls in classes(package, base):
        for index, example in enumerate(getattr(cls, "examples", list)()):
            parameters.append(pytest.param(example, id=f"{cls.__name__}{index}"))
    return parameters
