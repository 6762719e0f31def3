"""One command for a GPU machine: the CUDA-marked tests, and every table that needs a device; stored as ``benchmarks/device.md``.

    python benchmarks/device.py              on a CUDA device: about ten minutes; exit status 0, or 1 if a test or a table failed (the page says which)
    python benchmarks/device.py --dry-run    the same code at tiny sizes on the CPU; nothing is stored
    python benchmarks/device.py --parts fused,spectra --out DIR      some of the tables, into another folder

Without a CUDA device it says so, stores nothing and ends with status 2. From a checkout that is not installed: ``PYTHONPATH=.``. Beside PyTorch with CUDA
(which brings Triton), NumPy, SciPy, scikit-learn and tqdm it needs torchsde, trampoline, jaxtyping, wadler_lindig and safetensors, as wheels where there is
no network; for the tests, pytest and hypothesis with what they need: where those are missing the page says that the tests were not run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import device_tables
import scaling
import torch
from device_tables import FULL, TINY, Sizes
from page import HERE, Page, fail

#: tests beside these are the same on every machine
MARK = "pytest.mark.gpu"


def tests(page: Page, sizes: Sizes) -> None:
    """The CUDA-marked tests, by pytest in a process of its own."""
    page.text("## Tests on the device")
    missing = [name for name in ("pytest", "hypothesis", "xdist") if find_spec(name) is None]
    if "pytest" in missing or "hypothesis" in missing:
        page.text(f"Not run: {' and '.join(missing)} not installed here.")
        return
    root = HERE.parent
    modules = sorted(file for file in (root / "tests").rglob("test_*.py") if MARK in file.read_text(encoding="utf-8"))
    if sizes.device == "cpu":
        modules = [file for file in modules if file.stem == "test_fused"]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *map(str, modules)]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    print(done.stdout)
    page.text(f"{len(modules)} modules: {done.stdout.strip().splitlines()[-1].strip('= ') if done.stdout.strip() else done.stderr.strip()[-300:]}.")
    if done.returncode:
        raise RuntimeError(f"pytest ended with status {done.returncode}")


def growth(page: Page, sizes: Sizes) -> None:
    """The tables of ``scaling.py`` on this device."""
    page.text("## How cost grows")
    scaling.measure(page, sizes.device)


PARTS = {
    "tests": tests,
    "fused": device_tables.fused,
    "general": device_tables.general,
    "ensembles": device_tables.ensembles,
    "spectra": device_tables.spectra,
    "growth": growth,
}


def surroundings(device: str) -> str:
    """The device and what drives it, in words."""
    try:
        triton = f"Triton {version('triton')}"
    except PackageNotFoundError:
        triton = "no Triton"
    if device == "cpu":
        return f"Dry run on the CPU: nothing here is a measurement; {triton}."
    properties = torch.cuda.get_device_properties(0)
    memory = f"{properties.total_memory / 2**30:.0f} GiB, {properties.multi_processor_count} multiprocessors"
    return f"**{properties.name}** ({memory}), CUDA {torch.version.cuda}, {triton}. TF32 off, one device, one thread of linear algebra on the host."


def measure(page: Page, sizes: Sizes, parts: list[str]) -> list[str]:
    """Fill the page; the names of the parts that failed. One that fails does not cost the others, and the page says what happened to it."""
    page.text(surroundings(sizes.device))
    failed = []
    for name in parts:
        try:
            PARTS[name](page, sizes)
        except Exception as error:  # the time on a device is lent: what can still be measured is measured, and the status tells
            traceback.print_exc()
            page.text(f"**{name} failed**: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            failed.append(name)
    return failed


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description="Everything that needs a CUDA device")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes on the CPU, nothing stored")
    parser.add_argument("--parts", help=f"some of {','.join(PARTS)}; needs --out")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to store in")
    given = parser.parse_args()
    parts = given.parts.split(",") if given.parts else list(PARTS)
    if unknown := [name for name in parts if name not in PARTS]:
        fail(f"--parts: {', '.join(unknown)} unknown; wanted some of {', '.join(PARTS)}.", 2)
    if given.parts and given.out == HERE and not given.dry_run:
        fail("--parts measures some of the tables, and device.md holds all of them: give --out FOLDER.", 2)
    if not given.dry_run and not torch.cuda.is_available():
        stored = "device.md is left as it is" if (HERE / "device.md").exists() else "nothing is stored"
        fail(f"No CUDA device: torch {torch.__version__} finds none here. Nothing was measured; {stored}. --dry-run tries the code on the CPU.", 2)
    with tempfile.TemporaryDirectory() as folder:
        page = Page("device", "On a CUDA device", quick=given.dry_run, folder=Path(folder) if given.dry_run else given.out)
        failed = measure(page, TINY if given.dry_run else FULL, parts)
        page.close()
    print(f"\n{'Dry run: nothing stored' if given.dry_run else f'Stored {given.out / page.name}.md'}; failed: {', '.join(failed) or 'none'}.")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
