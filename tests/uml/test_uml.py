"""What needs a kernel with bonds and VLANs, in User Mode Linux: each file inside_*.py in a kernel of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from umlkernel import kernel, run

HERE = Path(__file__).parent
FILES = sorted(path.name for path in HERE.glob("inside_*.py"))


@pytest.mark.skipif(kernel() is None, reason="user-mode-linux is not installed")
@pytest.mark.parametrize("name", FILES)
def test_inside(name: str, tmp_path: Path) -> None:
    options = ["-q", "-x", "--color=no", "-p", "no:cacheprovider", "--basetemp=/var/tmp/pytest"]
    done = run(tmp_path, sys.executable, "-m", "pytest", *options, str(HERE / name))
    assert (done.status, " passed" in done.text) == (0, True), done.text
