"""What the daemon does is what it is on record for: requests, signals, states and reasons, in their order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "golden.py"
HISTORIES = 60
"""Of the random histories, the first and always the same; `tools/golden.py check` compares all of them.

All 200 with the scenarios take 305 s of CPU time, some three minutes of it for the other 140: too much for each run of
the tests. Rejected: another part from run to run, by the date or the commit. It would fail where nothing was changed,
and pass when it is run again; what changes the core has to pass the whole check once anyway, before it lands.
"""


def test_the_golden_record_is_kept() -> None:
    done = subprocess.run([sys.executable, TOOL, "check", str(HISTORIES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
