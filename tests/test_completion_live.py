"""Tab completion in a real shell on a pseudo-terminal: the line that the README gives, then the tab key."""

from __future__ import annotations

import os
import pty
import select
import shutil
import sys
import time
from pathlib import Path

import pytest

SHELLS = {"bash": ["bash", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("shell", [pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"no {name} here")) for name in SHELLS])
def test_the_tab_key_completes_a_command_an_option_and_a_claim(shell: str) -> None:
    process, terminal = pty.fork()
    if process == 0:
        place = Path(sys.executable).parent
        os.execvpe(SHELLS[shell][0], SHELLS[shell], {**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"})
    try:
        _type(terminal, f'eval "$(sgdsde completion {shell})"; echo ready-$((1+1))\n', "ready-2")
        _type(terminal, "sgdsde verif\t", "verify")
        _type(terminal, " --cl\t", "--claim")
        _type(terminal, " B4-l\t", "B4-local")
    finally:
        os.write(terminal, b"\x03\nexit\n")
        os.close(terminal)
        os.waitpid(process, 0)


def _type(terminal: int, keys: str, awaited: str, patience: float = 60.0) -> None:
    """Press keys, and wait until the shell shows what is awaited."""
    os.write(terminal, keys.encode())
    shown, end = "", time.monotonic() + patience
    while awaited not in shown:
        assert time.monotonic() < end, f"{keys!r} shows {shown!r}, not {awaited!r}"
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
