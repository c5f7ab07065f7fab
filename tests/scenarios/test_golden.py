"""What the daemon does is what it is on record for: requests, signals, states and reasons, in their order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "golden.py"
HISTORIES = 60
"""Of the random histories; `tools/golden.py check` compares all of them."""


def test_the_golden_record_is_kept() -> None:
    done = subprocess.run([sys.executable, TOOL, "check", str(HISTORIES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
