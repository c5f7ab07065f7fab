"""Style, types and floors, as tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(tool: str, *arguments: str, **environment: str) -> None:
    """Run a tool of this virtual environment over the project; what it says is the failure."""
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    env = os.environ | environment
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{tool} {' '.join(arguments)}\n{result.stdout}{result.stderr}"


def test_style() -> None:
    run("ruff", "check", ".")


def test_types() -> None:
    run("mypy")


def test_types_of_the_tools() -> None:
    run("mypy", "tools", "bench")


def test_types_of_the_tests() -> None:
    """As pytest sees them: each folder is a place to import from. A comparison with something like `approx` is no
    mistake in a test, nor is a function for its effect where a value is expected; there is more than one conftest."""
    folders = [*(ROOT / "tests").rglob(""), ROOT / "tools" / "docs", ROOT / "bench"]
    places = [str(path) for path in folders if path.name != "__pycache__"]
    lenient = [f"--disable-error-code={code}" for code in ("comparison-overlap", "func-returns-value")]
    # mypy takes nothing from a cache that was written with other error codes, and writes over it.
    cache = "--cache-dir=.mypy_cache/tests"
    run("mypy", cache, *lenient, "--exclude=/conftest\\.py$", "tests", MYPYPATH=":".join(places))


def test_floors() -> None:
    """The CNI plugin and failoverd-etcd are found in the tree, also where the environment was made before they were."""
    run("lint-imports", PYTHONPATH=f"{ROOT / 'cni'}:{ROOT / 'etcd'}")
