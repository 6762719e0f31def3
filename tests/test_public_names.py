"""The public names of the package are there, and stay functions whatever is imported first."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sgdsde as sg


@pytest.mark.parametrize("first", ["sgdsde.simulate", "sgdsde.compare", "sgdsde.kernels", "sgdsde.oracles"])
def test_functions_are_not_hidden_by_modules_of_the_same_name(first: str) -> None:
    code = f"import {first}, sgdsde as sg; from sgdsde.compare import Loss; assert callable(sg.simulate) and callable(sg.compare)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("name", sg.__all__)
def test_every_listed_name_loads(name: str) -> None:
    assert getattr(sg, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        _ = sg.simulat  # type: ignore[attr-defined]
