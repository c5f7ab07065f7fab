"""The project's wheel, as pip makes it, from a copy: a build leaves its own files in the tree it is made from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("bin", "completions", "docs/man", "failoverd", "neighbours", "units", "udev-rules")
SOURCES = (*FOLDERS, "pyproject.toml", "README.md", "LICENSE")


def build(where: Path) -> Path:
    """Make it in this directory. Nothing is fetched: what builds it is among the development packages."""
    copy = where / "source"
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-index"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(where), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(where.glob("*.whl"))
