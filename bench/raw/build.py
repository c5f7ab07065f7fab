"""Compile the tap and the loop with the machine's C compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
CANNOT = 77
"""The exit status of a benchmark that this machine cannot run, as automake has it for a skipped test."""


class CannotMeasureError(Exception):
    """This machine lacks something; the text says what, and what to do."""


def compiler() -> str:
    """Return the path of the C compiler. Raises CannotMeasureError."""
    found = shutil.which("gcc") or shutil.which("cc")
    if not found:
        raise CannotMeasureError("there is no C compiler (gcc or cc), which builds what is compared; apt install gcc")
    return found


def build(folder: Path) -> tuple[Path, Path]:
    """Compile into a folder; return the tap, a shared library, and the loop, a program. Raises CannotMeasureError."""
    gcc, tap, loop = compiler(), folder / "tap.so", folder / "loop"
    for options, source, target in (
        (["-shared", "-fPIC"], HERE / "tap.c", tap),
        ([], HERE / "loop.c", loop),
    ):
        command = [gcc, "-O2", "-Wall", "-Wextra", *options, "-o", str(target), str(source), "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotMeasureError(
                f"{source.name} does not compile; are libc6-dev and linux-libc-dev there? {done.stderr}"
            )
    return tap, loop
