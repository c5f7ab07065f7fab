"""The wheels, as pip makes them, from a copy: a build leaves its own files in the tree it is made from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("bin", "completions", "docs/man", "failoverd", "neighbours", "units", "udev-rules")
SOURCES = (*FOLDERS, "pyproject.toml", "README.md", "LICENSE")
LAB = ("lab",)
CNI = ("cni",)
ETCD = ("etcd",)
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")


def build(where: Path) -> Path:
    """The product's. Nothing is fetched: what builds it is among the development packages."""
    return _build(where, SOURCES, "")


def build_lab(where: Path) -> Path:
    """The lab's."""
    return _build(where, LAB, "lab")


def build_cni(where: Path) -> Path:
    """The CNI plugin's."""
    return _build(where, CNI, "cni")


def build_etcd(where: Path) -> Path:
    """That of the service that follows etcd."""
    return _build(where, ETCD, "etcd")


def _build(where: Path, sources: Sequence[str], folder: str) -> Path:
    copy = where / "source"
    for name in sources:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, symlinks=True, ignore=LEFT_OUT)
        else:
            shutil.copy(source, copy / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-index"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(where), str(copy / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(where.glob("*.whl"))
