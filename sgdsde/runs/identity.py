"""What a run is: a hash of its configuration and of the code that decides its numbers. And where it ran: versions, git state, machine.

Two runs with one identity hold the same numbers. Blocks of different code are never mixed: a changed line in the numerics is another run, beside the old one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import sgdsde

#: parts of the package that show numbers or store them and never make any
_FACES = (
    "report",
    "figures",
    "plots",
    "store",
    "runs",
    "claims",
    "cli.py",
    "columns.py",
    "words.py",
    "terminal.py",
    "atlas_command.py",
    "completion.py",
    "__main__.py",
    "listing.py",
)
_YET_NUMERICS = ("runs/reducers.py", "runs/study.py")
_PACKAGES = ("sgdsde", "torch", "torchsde", "numpy", "scipy", "scikit-learn", "numba", "llvmlite", "safetensors", "distributed")
#: what decides the last bits beside the code, by its version or by being there
_DECISIVE = ("torch", "torchsde", "numpy", "scipy", "scikit-learn", "numba", "llvmlite")


def identity(name: str, config: Mapping[str, Any], code: str) -> str:
    """12 hexadecimal digits of SHA-256 over the study's name, its resolved configuration and the code."""
    text = json.dumps({"study": name, "config": config, "code": code}, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=16)
def code_digest(*files: Path) -> str:
    """16 hexadecimal digits over the package's numerics, further ``files`` (a study), the versions of what they stand on, and the kind of processor."""
    digest = hashlib.sha256()
    root = Path(sgdsde.__file__).parent
    for path in [*_numerics(root), *files]:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    digest.update(json.dumps([versions(_DECISIVE), platform.machine()], sort_keys=True).encode())
    return digest.hexdigest()[:16]


def versions(packages: tuple[str, ...] = _PACKAGES) -> dict[str, str]:
    """Installed versions; what is not there is left out."""
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def surroundings() -> dict[str, Any]:
    """Versions, git state and machine, for the manifest; nothing in it is ever compared."""
    return {
        "versions": versions() | {"python": platform.python_version()},
        "git": git_state(Path(sgdsde.__file__).resolve().parents[1]),
        "machine": {"host": platform.node(), "system": platform.platform(), "processor": processor(), "cores": os.cpu_count()},
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit, and whether tracked files differ from it; None outside a repository or without git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return {"commit": commit.strip(), "changed": sorted(line[3:] for line in changed.splitlines())[:50]}


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor's name: results are equal bit for bit on the same kind only."""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _numerics(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in _FACES or place.as_posix() in _YET_NUMERICS:
            yield path


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True).stdout
