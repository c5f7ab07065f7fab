"""How old the process is, which says how slow the machine is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from failoverd.daemon.clock import process_age

PROGRAM = """
import sys, time
from failoverd.daemon.clock import process_age
time.sleep(float(sys.argv[1]))
print(process_age())
"""


def test_it_is_as_old_as_it_is() -> None:
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", PROGRAM, "0.3"], capture_output=True, text=True, check=True)
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert 0.3 <= float(done.stdout) + tick <= time.monotonic() - begun + 2 * tick


def test_a_name_with_brackets_and_spaces_does_not_mislead_it(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    fields = Path("/proc/self/stat").read_text("utf-8").rpartition(")")[2]
    stat.write_text(f"1 (a) 7 (b){fields}", "utf-8")
    assert abs(process_age(stat) - process_age()) < 1


def test_where_nothing_is_told_it_is_new(tmp_path: Path) -> None:
    assert process_age(tmp_path / "none") == 0
    (tmp_path / "stat").write_text("1 (x) S", "utf-8")
    assert process_age(tmp_path / "stat") == 0
