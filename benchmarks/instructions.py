"""The fused GPU steps counted, not timed: instructions of a step in the binary that ptxas makes for an H100, and the rate that issuing them allows.

``python benchmarks/instructions.py`` prints the table and stores ``benchmarks/instructions.md``; it needs Triton (with its nvdisasm) and no device. An upper
bound: it leaves out that warps wait for results and for memory, and counts branches that are hardly ever taken.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import triton
from page import Page
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from sgdsde.kernels.fused import _BLOCK, _linear_steps
from sgdsde.kernels.fused_dense import _dense_steps, program_size
from sgdsde.kernels.fused_normals import EXACT

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
#: of an H100 SXM (NVIDIA's white paper): multiprocessors, boost clock, warp instructions a clock: in all, of integers, of float64, of special functions
UNITS, CLOCK, ISSUE, INTEGER, DOUBLE, SPECIAL = 132, 1.755e9, 4, 2, 2, 0.5
_INTEGERS = ("LOP3", "SHF", "IADD3", "VIADD", "ISETP", "LEA", "I2FP", "I2F")
_DOUBLES = ("DFMA", "DMUL", "DADD", "DSETP")


def binary(dense: tuple[int, int] | None, real: str) -> bytes:
    """The cubin of a kernel for compute capability 9.0."""
    target = GPUTarget("cuda", 90, 32)
    if dense is None:
        names = ["x", "F", "s", "G", "first_word", "skip", "paths", "width", "per_path", "key0", "key1", "first_step", "steps", "block"]
        kinds = [f"*{real}"] * 4 + ["i64"] + ["i32"] * 4 + ["i64"] * 2 + ["i32"] * 2 + ["constexpr"]
        source = ASTSource(fn=_linear_steps, signature=dict(zip(names, kinds, strict=True)), constexprs={(13,): _BLOCK})
    else:
        names = ["x", "F", "s", "Gc", "Gs", "first_path", "paths", "dim", "per_path", "key0", "key1", "first_step", "steps", "D", "W", "block", "share"]
        kinds = [f"*{real}"] * 5 + ["i64"] + ["i32"] * 3 + ["i64"] * 2 + ["i32"] * 2 + ["constexpr"] * 4
        constants = {(13,): dense[0], (14,): dense[1], (15,): program_size(*dense, 4 if real == "fp32" else 8), (16,): 1}
        source = ASTSource(fn=_dense_steps, signature=dict(zip(names, kinds, strict=True)), constexprs=constants)
    return bytes(compile(source, target=target, options=EXACT).asm["cubin"])


def loop(cubin: bytes) -> tuple[Counter[str], int, int]:
    """The instructions of the loop over steps, registers a thread, bytes spilled."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        lines = subprocess.run([TOOLS / "nvdisasm", "-c", file], capture_output=True, text=True, check=True).stdout.splitlines()
        usage = subprocess.run([TOOLS / "cuobjdump", "-res-usage", file], capture_output=True, text=True, check=True)
    labels = {match[1]: i for i, line in enumerate(lines) if (match := re.match(r"\s*(\.L_x_\d+):", line))}
    bodies = [
        lines[labels[match[1]] : i + 1]
        for i, line in enumerate(lines)
        if (match := re.search(r"BRA.*`\((\.L_x_\d+)\)", line)) and labels.get(match[1], i) < i - 1
    ]
    words = (re.search(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?(\w+)", line) for line in max(bodies, key=len))
    found = usage.stdout + usage.stderr
    registers, stack = (int(re.search(rf"{name}:(\d+)", found)[1]) for name in ("REG", "STACK"))  # type: ignore[index]
    return Counter(word[1] for word in words if word), registers, stack


def clocks(counts: Counter[str]) -> float:
    """Of a multiprocessor for one warp's step: the busiest of its ways of issuing."""
    integers, doubles = sum(counts[name] for name in _INTEGERS), sum(counts[name] for name in _DOUBLES)
    return max(counts.total() / ISSUE, integers / INTEGER, doubles / DOUBLE, counts["MUFU"] / SPECIAL)


def main() -> None:
    page, _ = Page.from_command_line(Path(__file__).stem, "The fused GPU steps, counted")
    page.text(
        f"Counted in the binaries that Triton {triton.__version__} and its ptxas make for compute capability 9.0; nothing is timed. The bound is what issuing",
        f"a step's instructions allows an H100 ({UNITS} multiprocessors at {CLOCK / 1e9} GHz, {ISSUE} warp instructions a clock in all, {INTEGER} of integers,",
        f"{DOUBLE} of float64): no wait is counted. What is promised, and not yet measured, is 10¹¹ coordinate-steps a second of element-wise models.",
    )
    table = page.table(["dtype", "threads", "steps", "registers", "bytes spilled", "instructions a step", "coordinates", "clocks", "bound, coordinate-steps/s"])
    for real, size in (("fp32", 4), ("fp64", 8)):
        for dense in (None, (2, 1), (4, 2), (16, 8)):
            counts, registers, spilled = loop(binary(dense, real))
            coordinates = 8 * 32 if dense is None else dense[0] * program_size(*dense, size) / 4  # of a warp: a program has four
            rate = coordinates / clocks(counts) * UNITS * CLOCK
            name = "element-wise" if dense is None else f"dense, d = {dense[0]}"
            table.row(
                real.replace("fp", "float"),
                "a warp of 32",
                name,
                registers,
                spilled,
                counts.total(),
                f"{coordinates:.0f}",
                f"{clocks(counts):.0f}",
                f"{rate:.1e}",
            )
    page.close()


if __name__ == "__main__":
    main()
