"""The systemd unit is one that systemd accepts without a word."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "units" / "failoverd.service"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_verifies_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    # Neither the program nor its manual page is installed where the tests run.
    text = UNIT.read_text().replace("/usr/bin/failoverd", "/bin/true")
    unit.write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    ours = [line for line in (result.stdout + result.stderr).splitlines() if UNIT.name in line]
    assert (result.returncode, ours) == (0, [])
