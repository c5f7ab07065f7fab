"""`make demo-fleet` shows what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "tools" / "demo_fleet.py"


def test_the_demo_comes_to_its_end() -> None:
    done = subprocess.run([sys.executable, str(DEMO)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, last = (part.splitlines() for part in done.stdout.split("NODE ")[1:])
    assert [line.split()[:3] for line in first[1:4]][-1] == ["m3", "ens3", "accelerated"]
    assert [line.split()[:3] for line in last[1:4]] == [
        ["m1", "-", "-"],
        ["m2", "-", "-"],
        ["m3", "ens3", "on-standby"],
    ]
    assert "put in one transaction" in done.stdout
