"""The shape of the package: imports go one way, files stay short and say what they are, nothing random is global, help needs no torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sgdsde

ROOT = Path(sgdsde.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# fmt: off
#: a module imports only from what stands before it; a folder's files also from each other, without cycles
ORDER = [
    "columns", "heap", "types", "given", "rng", "threefry", "box_muller", "compiled", "counter",
    "stats", "symmetric", "control_variate", "error_ratio", "survival", "power", "plots",
    "objective", "asked", "calculus", "value_function", "objectives", "observables", "data",
    "noise", "noises", "frozen_noise", "curvature",
    "sde", "sdes", "kernel", "kernels",
    "region", "regions", "monitor", "monitors", "oracles", "trajectory", "loop", "ensemble", "simulate",
    "forecast", "outlook", "quasi_stationary", "exit_result", "exit_blocks", "exits",
    "splitting_moves", "splitting_pieces", "splitting_cycles", "splitting_plan", "splitting_result", "splitting_setup", "splitting",
    "local_control", "martingale_control", "comparison", "coupled_difference", "model_choice", "compare", "order",
    "cubature", "closure", "mixture", "predicted_error", "skewness", "one_step_error", "integration_bias", "existence", "smoothness",
    "atlas_result", "advice", "atlas",
    "store", "training", "bounds", "scripts",
    "runs", "zone", "measurement", "archive", "claim", "measurements", "claims", "ledger",
    "terminal", "words", "report", "listing", "figures", "atlas_command", "completion", "cli", "__main__",
]
# fmt: on
MOST_LINES = 300


def place(module: str) -> str:
    """The part of the package in which a module stands: ``sgdsde.kernels.sgd`` → ``kernels``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "sgdsde"


def module_of(file: Path) -> str:
    parts = ["sgdsde", *file.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str) -> Iterator[str]:
    """The modules of this package that a source imports, wherever in it, and the public names that it uses of the package itself."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "sgdsde":
                    yield from _used(tree, alias.asname or "sgdsde")
                elif alias.name.startswith("sgdsde."):
                    yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            if node.module == "sgdsde":
                yield from (_public(alias.name) for alias in node.names if not alias.name.startswith("__"))
            elif node.module and node.module.startswith("sgdsde."):
                folder = ROOT.joinpath(*node.module.split(".")[1:])
                yield from (f"{node.module}.{alias.name}" if (folder / f"{alias.name}.py").exists() else node.module for alias in node.names)


def _used(tree: ast.AST, name: str) -> Iterator[str]:
    """What is used of ``import sgdsde as name``; its own file and version are no import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name and not node.attr.startswith("__"):
            yield _public(node.attr)


def _public(name: str) -> str:
    return "sgdsde." + sgdsde._NAMES.get(name, name)


def wrong_ways(module: str, source: str) -> list[str]:
    """The imports of a module that do not point backwards in the order."""
    here = place(module)
    assert here in ORDER, f"{module} has no place in the order; give it one"
    found = []
    for imported in imports(source):
        there = place(imported)
        inside = there == here and imported != f"sgdsde.{here}"
        if there not in ORDER or not (inside or ORDER.index(there) < ORDER.index(here)):
            found.append(imported)
    return found


INSIDE = [file for file in FILES if file != ROOT / "__init__.py"]


@pytest.mark.parametrize("file", INSIDE, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_one_way(file: Path) -> None:
    assert wrong_ways(module_of(file), file.read_text(encoding="utf-8")) == []


def test_imports_inside_a_folder_make_no_cycle() -> None:
    graph = {module_of(file): {name for name in imports(file.read_text(encoding="utf-8")) if place(name) == place(module_of(file))} for file in INSIDE}
    faces = {module_of(file) for file in INSIDE if file.name == "__init__.py"}
    TopologicalSorter({name: needs - faces - {name} for name, needs in graph.items() if name not in faces}).prepare()


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("sgdsde.kernels.sgd", "from sgdsde.simulate import simulate", ["sgdsde.simulate"]),
        ("sgdsde.kernels.sgd", "from sgdsde import simulate", ["sgdsde.simulate"]),
        ("sgdsde.kernels.sgd", "def f():\n    import sgdsde.loop", ["sgdsde.loop"]),
        ("sgdsde.kernels.sgd", "import sgdsde as sg\nsg.__version__, sg.simulate", ["sgdsde.simulate"]),
        ("sgdsde.kernels.sgd", "from sgdsde.kernels import heun", []),
        ("sgdsde.kernels.sgd", "from sgdsde.kernels import Heun", ["sgdsde.kernels"]),
        ("sgdsde.kernels.sgd", "from sgdsde.kernels.heun import Heun\nfrom sgdsde.types import Status", []),
        ("sgdsde.types", "from sgdsde.rng import stream", ["sgdsde.rng"]),
        ("sgdsde.loop", "from sgdsde.shiny import new", ["sgdsde.shiny"]),
    ],
)
def test_a_wrong_import_would_be_seen(module: str, source: str, wrong: list[str]) -> None:
    assert wrong_ways(module, source) == wrong


def test_a_cycle_would_be_seen() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    with pytest.raises(AssertionError, match="no place"):
        wrong_ways("sgdsde.shiny", "")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_short_and_say_what_they_are(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert file.stem not in {"utils", "util", "helpers", "common", "misc"}


#: functions that draw numbers, of torch with and of numpy without a generator as an argument
TORCH_DRAWS = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson", "rand_like", "randn_like", "randint_like"}
NUMPY_STREAMS = {"default_rng", "SeedSequence", "Generator", "RandomState", "PCG64", "Philox", "SFC64", "BitGenerator"}
FORBIDDEN = {"eval", "exec", "torch.load", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load", "torch.manual_seed", "torch.seed", "random.seed"}


class Dangers(ast.NodeVisitor):
    """Calls that read code from data, or draw from a global stream that they do not give back as it was."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_With(self, node: ast.With) -> None:
        if not any("torch.random.fork_rng" in ast.unparse(item.context_expr) for item in node.items):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name, keywords = ast.unparse(node.func), {keyword.arg for keyword in node.keywords}
        parts = name.split(".")
        drawn = parts[0] == "torch" and len(parts) == 2 and parts[1] in TORCH_DRAWS and "generator" not in keywords
        global_numpy = parts[:2] in (["np", "random"], ["numpy", "random"]) and len(parts) == 3 and parts[2] not in NUMPY_STREAMS
        if name in FORBIDDEN or drawn or global_numpy:
            self.found.append(name)
        self.generic_visit(node)


def dangers(source: str) -> list[str]:
    visitor = Dangers()
    visitor.visit(ast.parse(source))
    return visitor.found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_evaluated_from_data_nor_drawn_from_a_global_stream(file: Path) -> None:
    assert dangers(file.read_text(encoding="utf-8")) == []


def test_dangers_would_be_seen() -> None:
    assert dangers("torch.randn(3)") == ["torch.randn"]
    assert dangers("with torch.random.fork_rng():\n    torch.manual_seed(0)") == []
    assert dangers("torch.randn(3, generator=g); np.random.default_rng(0).normal()") == []
    assert dangers("np.random.normal(); eval('1'); yaml.load(f); torch.manual_seed(0)") == ["np.random.normal", "eval", "yaml.load", "torch.manual_seed"]


def fresh(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


def test_import_and_help_do_not_wait_for_torch() -> None:
    done = fresh("import sys, sgdsde; sgdsde.__version__; dir(sgdsde); assert 'torch' not in sys.modules")
    assert done.returncode == 0, done.stderr
    done = fresh(
        "import sys\nsys.argv = ['sgdsde', '--help']\nfrom sgdsde.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\nassert 'torch' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr
    assert "verify" in done.stdout
    assert fresh("import sys, sgdsde; sgdsde.simulate; assert 'torch' not in sys.modules").returncode != 0  # the check can fail


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="simulat"):
        sgdsde.simulat  # noqa: B018
    assert set(sgdsde._MODULES) | set(sgdsde._NAMES) <= set(dir(sgdsde))
