"""Style, types and floors, as tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(tool: str, *arguments: str) -> None:
    """Run a tool of this virtual environment over the project; what it says is the failure."""
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{tool} {' '.join(arguments)}\n{result.stdout}{result.stderr}"


def test_style() -> None:
    run("ruff", "check", ".")


def test_types() -> None:
    run("mypy")


def test_types_of_the_tools() -> None:
    run("mypy", "tools")


def test_floors() -> None:
    run("lint-imports")
