"""What failoverd's reaction is measured with: the tap on netlink sockets, and what is made of its notes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import step as stepbench
from raw import build
from raw.tap import ROOM, Noted, Tap
from reaction import reaction

from failoverd.config.spec import Damping
from failoverd.core.state import State
from failoverd.core.step import step
from failoverd.model.actions import Action, Send
from failoverd.model.events import Event
from failoverd_lab.crowd import carrier, machine

NEWLINK, GETLINK, DONE, DELTFILTER = 16, 18, 3, 45
ASK = """
import socket, struct
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
    sock.sendto(struct.pack("=IHHII16x", 32, 18, 0x301, 1, 0), (0, 0))
    while struct.unpack_from("=H", sock.recv(1 << 16), 4)[0] != 3:
        pass
"""
"""Asks the kernel for its links, which changes nothing."""


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc, which builds the tap")
def test_the_tap_notes_what_is_sent_and_received(tmp_path: Path) -> None:
    tap = Tap(build.build(tmp_path)[0], tmp_path)
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", ASK], env=os.environ | tap.environment, check=True)
    noted = list(tap.noted())
    assert (noted[0].is_received, noted[0].type) == (False, GETLINK)
    assert (noted[-1].is_received, noted[-1].type) == (True, DONE)
    assert {one.type for one in noted[1:-1]} == {NEWLINK}
    assert 1 in {one.ifindex for one in noted if one.type == NEWLINK}, "lo"
    moments = [begun, *(one.at for one in noted), time.monotonic()]
    assert moments == sorted(moments), "one clock, which is time.monotonic"
    assert list(tap.noted(tap.used() - 1)) == noted[-1:]
    tap.clear()
    assert not list(tap.noted())


def test_notes_that_did_not_fit_are_told(tmp_path: Path) -> None:
    tap = Tap(tmp_path / "none.so", tmp_path)
    with (tmp_path / "tap").open("r+b") as file:
        file.write((ROOM + 1).to_bytes(8, sys.byteorder))
    with pytest.raises(ValueError, match="measure fewer events"):
        next(tap.noted())


def test_a_machine_without_a_compiler_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.CannotMeasureError, match="apt install gcc"):
        build.build(tmp_path)


def test_a_reaction_is_from_the_first_event_to_the_first_request_after_it() -> None:
    noted = [
        Noted(1.0, 7, False, DELTFILTER, 3, 0),
        Noted(2.0, 7, True, NEWLINK, 4, 0),
        Noted(2.5, 7, True, NEWLINK, 4, 0),
        Noted(2.6, 7, True, DELTFILTER, 3, 0),
        Noted(3.0, 7, False, DELTFILTER, 3, 0),
    ]
    assert reaction(noted, lambda one: one.ifindex == 4, lambda one: one.type == DELTFILTER) == 1.0
    assert reaction(noted[:4], lambda one: one.ifindex == 4, lambda one: one.type == DELTFILTER) is None


def test_each_measured_loss_of_a_carrier_asks_for_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is as before, in between; a loss while a switch is under way would be cheaper."""
    one = machine(10, 1)
    one.state.config = replace(one.state.config, damping=Damping(enabled=False))
    lost = carrier(one)[0]
    asked: list[bool] = []

    def spy(state: State, event: Event, now: float) -> list[Action]:
        actions = list(step(state, event, now))
        if event == lost:
            asked.append(any(isinstance(action, Send) for action in actions))
        return actions

    monkeypatch.setattr(stepbench, "step", spy)
    assert stepbench.microseconds(one, carrier, times=5) > 0
    assert asked == [True] * 5
