"""Every public name shows its use: an example in its docstring, run here, with numbers that can be checked by hand wherever there are such.

Examples assume ``import math``, ``import numpy as np``, ``import torch`` and ``import sgdsde as sg``.
"""

from __future__ import annotations

import doctest
import inspect
import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde import columns
from sgdsde.runs import printed

MODULES = ("oracles", "curvature", "noises", "sdes", "kernels", "objectives", "calculus")
ASSUMED = {"math": math, "np": np, "torch": torch, "sg": sg}


def own(module: ModuleType) -> list[str]:
    """The public names of a module: those it exports, or the functions that it defines; no modules, no constants."""
    exported = getattr(module, "__all__", None) or [name for name, item in vars(module).items() if getattr(item, "__module__", "") == module.__name__]
    return sorted(name for name in exported if not name.startswith("_") and callable(getattr(module, name)) and inspect.getmodule(getattr(module, name)))


PUBLIC = {f"sg.{name}": getattr(sg, name) for name in sg._NAMES} | {
    f"sg.{module}.{name}": getattr(getattr(sg, module), name) for module in MODULES for name in own(getattr(sg, module))
}


def examples(item: Any, name: str, assumed: dict[str, Any] = ASSUMED) -> doctest.DocTest:
    """The examples of an item's own docstring."""
    docstring = vars(item).get("__doc__") if isinstance(item, type) else item.__doc__
    return doctest.DocTestParser().get_doctest(docstring or "", dict(assumed), name, None, None)


def failures(test: doctest.DocTest) -> str:
    """What went wrong, as doctest tells it; empty where nothing did."""
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    return "".join(told)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_that_is_true(name: str) -> None:
    test = examples(PUBLIC[name], name)
    assert test.examples, f"{name} has no example (>>>) in its docstring"
    assert any(example.want for example in test.examples), f"{name}: its example shows no result"
    assert name.rpartition(".")[2] in "".join(example.source for example in test.examples) or isinstance(PUBLIC[name], type), f"{name} is not in its example"
    assert failures(test) == ""


@pytest.mark.parametrize("module", [columns, printed], ids=lambda module: module.__name__)
def test_examples_elsewhere_are_true(module: ModuleType) -> None:
    tests = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert tests
    assert [failures(test) for test in tests] == [""] * len(tests)


def test_the_checks_can_fail() -> None:
    """A wrong number, an error and a missing example are seen; so is an export that nobody described."""

    def wrong() -> None:
        """Two.

        >>> sg.oracles.svag_variance_ratio(0.5, 1)
        1.2
        """

    def broken() -> None:
        """Refused.

        >>> sg.kernels.SGD(None, -1.0)
        SGD
        """

    assert "1.33" in failures(examples(wrong, "wrong"))
    assert "Exception" in failures(examples(broken, "broken"))
    assert not examples(own, "own").examples
    assert "sg.oracles.sgd_mean_exit" in PUBLIC
    assert "sg.calculus.hvp" in PUBLIC
    assert len(PUBLIC) > 200
