"""The guest's script, run as the guest runs it, in a network namespace of its own: there it hears itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from failoverd_lab import guestprobe, traffic


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal: proc(5), SigCgt."""
    [mask] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")]
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)


def run(tmp_path: Path, address: str, setup: str, seconds: float) -> dict[str, Any]:
    output = tmp_path / "out.json"
    command = f'{setup}; echo ready; exec {sys.executable} "$@"'
    argv = ["unshare", "--map-root-user", "--net", "sh", "-ec", command, "sh"]
    argv += [guestprobe.__file__, address, "100", str(output)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        until(lambda: catches(process.pid, signal.SIGTERM))
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    found: dict[str, Any] = json.loads(output.read_text())
    return found


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_sends_at_its_rate_and_hears(tmp_path: Path, address: str) -> None:
    found = run(tmp_path, address, "ip link set lo up", 1)
    diary = traffic.diary(found)
    assert len(diary.sent) > 20
    assert [number for number, _ in diary.sent] == list(range(1, len(diary.sent) + 1))
    first = diary.sent[0][1]
    assert all(at >= first + (number - 1) / 100 - 1e-6 for number, at in diary.sent)
    heard = dict(diary.heard)
    assert set(heard) >= {number for number, _ in diary.sent[:-1]}
    assert all(-0.002 < heard[number] - at < 0.5 for number, at in diary.sent[:-1])
    assert all(b > a for (a, _), (b, _) in pairwise(diary.heard))
    assert found["errors"] == {}


def test_no_network_is_no_reason_to_stop(tmp_path: Path) -> None:
    found = run(tmp_path, "10.0.0.1", "true", 0.5)
    assert len(found["sent"]) > 10
    assert found["heard"] == []
    assert found["errors"] == {"ENETUNREACH": len(found["sent"])}


def test_it_speaks_as_the_peer_does() -> None:
    assert (guestprobe.PORT, guestprobe.MAGIC) == (traffic.PORT, traffic.MAGIC)
    assert guestprobe.PROBE.format == traffic.PROBE.format
