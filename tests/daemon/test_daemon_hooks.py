"""What failoverd-hooks is told, by a real socket that has a queue like systemd's."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from signals import PENDING

from failoverd.daemon.hooks import Hooks
from failoverd.daemon.paths import Paths
from failoverd.model.signals import FailedOver, Joined, LinkRenamed, Moment, Released, Signal

MAC = "52:54:00:fa:11:01"
NOW = Moment(1_700_000_000.25, 12.5)
NIC, VF, BOND = 2, 3, 4

Record = dict[int, dict[str, str] | None]


class Ear:
    """The other end."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def heard(self) -> list[Any]:
        found = []
        while True:
            try:
                found.append(json.loads(self.socket.recv(1 << 16)))
            except BlockingIOError:
                return found


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    ear = Ear(tmp_path / "socket")
    yield ear
    ear.socket.close()


def hooks(tmp_path: Path, record: Record | None = None) -> Hooks:
    found = record if record is not None else {}
    return Hooks(lambda ifindex: found.get(ifindex, {}), tmp_path / "socket")


def row(ifindex: int, name: str, verdict: str = "paired", bus: str = "pci") -> dict[str, Any]:
    return {"ifindex": ifindex, "name": name, "verdict": verdict, "bus": bus}


def master(active: str, *, state: str = "accelerated", datapath: str = "bond", **slaves: int) -> dict[str, Any]:
    found: dict[str, Any] = {"name": "ens3", "ifindex": BOND, "datapath": datapath, "active": active, "state": state}
    names = {NIC: "ens3nsby", VF: "ens4"}
    for role in ("primary", "standby"):
        found[role] = {"ifindex": slaves[role], "name": names[slaves[role]]} if role in slaves else None
    return found


ROWS = [row(NIC, "ens3nsby", bus="virtio"), row(VF, "ens4"), row(BOND, "ens3", bus="")]
ALONE = {"masters": [], "nics": [row(NIC, "ens3", "alone", "virtio")]}
ON_VF = {"masters": [master("ens4", primary=VF, standby=NIC)], "nics": ROWS}
ON_STANDBY = {"masters": [master("ens3nsby", state="on-standby", primary=VF, standby=NIC)], "nics": ROWS}
UNPLUGGED = {"masters": [master("ens3nsby", state="on-standby", standby=NIC)], "nics": [ROWS[0], ROWS[2]]}


def uevents(ear: Ear) -> list[tuple[str, int]]:
    return sorted((message["uevent"], message["ifindex"]) for message in ear.heard())


def fill(receiver: Hooks) -> int:
    """Say so much that no more fits. How often that was."""
    for number in range(100_000):
        try:
            receiver.signalled(Joined("ens3", MAC), NOW)
        except OSError:
            return number
    raise AssertionError("this queue has no end")


# Hooks


@pytest.mark.parametrize(
    ("signal", "found"),
    [
        (
            FailedOver("ens3", "ens4", "ens3nsby", "it has no carrier", 12.0, MAC, VF, NIC, 0.0012345, "standby"),
            {
                "EVENT": "failed-over",
                "MASTER": "ens3",
                "MAC": MAC,
                "FROM": "ens4",
                "FROM_IFINDEX": "3",
                "TO": "ens3nsby",
                "TO_IFINDEX": "2",
                "TO_ROLE": "standby",
                "REASON": "it has no carrier",
                "SILENCE_SECONDS": "0.001234",
                "NAMESPACE": "",
            },
        ),
        (
            FailedOver("ens3", "", "ens4", "no slave could carry before", 12.0, MAC, 0, VF, 3.0, "primary"),
            {
                "EVENT": "failed-over",
                "MASTER": "ens3",
                "MAC": MAC,
                "FROM": "",
                "FROM_IFINDEX": "",
                "TO": "ens4",
                "TO_IFINDEX": "3",
                "TO_ROLE": "primary",
                "REASON": "no slave could carry before",
                "SILENCE_SECONDS": "3.000000",
                "NAMESPACE": "",
            },
        ),
        (
            LinkRenamed(VF, "ens4", "fast\udcff", True, "ens3", "primary", MAC),
            {
                "EVENT": "link-renamed",
                "MASTER": "ens3",
                "MAC": MAC,
                "IFINDEX": "3",
                "OLD_NAME": "ens4",
                "NEW_NAME": "fast\udcff",
                "ROLE": "primary",
                "WAS_UP": "1",
            },
        ),
        (
            Joined("ens3", MAC, BOND, "ens4", VF, "primary"),
            {
                "EVENT": "joined",
                "MASTER": "ens3",
                "MAC": MAC,
                "IFINDEX": "4",
                "ACTIVE": "ens4",
                "ACTIVE_IFINDEX": "3",
                "ACTIVE_ROLE": "primary",
            },
        ),
        (
            PENDING,
            {
                "EVENT": "link-pending",
                "LINK": "web-ct",
                "KIND": "veth",
                "DEVICE": "eth1",
                "NAMESPACE": "container label:role=web",
                "IFINDEX": "",
                "REASON": "container-absent",
                "DETAIL": "no container has the label role=web; start one",
            },
        ),
        (Released("ens3", MAC, NIC), {"EVENT": "released", "MASTER": "ens3", "MAC": MAC, "IFINDEX": "2"}),
    ],
)
def test_a_signal_is_an_environment(tmp_path: Path, ear: Ear, signal: Signal, found: dict[str, str]) -> None:
    hooks(tmp_path).signalled(signal, NOW)
    (message,) = ear.heard()
    wanted = {f"FAILOVERD_{key}": value for key, value in found.items()}
    when = {"FAILOVERD_TIME": "1700000000.250000", "FAILOVERD_MONOTONIC": "12.500000"}
    assert message == {"hook": {**wanted, **when}}


def test_nobody_listening_is_no_trouble(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "failoverd"):
        receiver = hooks(tmp_path)
        receiver.signalled(Joined("ens3", MAC), NOW)
        receiver.stepped(ON_VF)
        assert len(caplog.messages) == 1
        assert "failoverd-hooks does not listen" in caplog.messages[0]
        ear = Ear(tmp_path / "socket")
        receiver.signalled(Joined("ens3", MAC), NOW)
        assert len(ear.heard()) == 1
        ear.socket.close()
        receiver.signalled(Joined("ens3", MAC), NOW)
        assert len(caplog.messages) == 2, "a socket that nobody has open"


def test_what_does_not_fit_is_dropped_counted_and_never_waited_for(
    tmp_path: Path, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = hooks(tmp_path)
    fitted = fill(receiver)
    with pytest.raises(OSError, match="its queue is full, what follows is dropped"):
        receiver.signalled(Joined("ens3", MAC), NOW)
    assert len(ear.heard()) == fitted
    receiver.signalled(Joined("ens3", MAC), NOW)
    assert caplog.messages == [f"{tmp_path / 'socket'}: 2 messages were dropped while its queue was full"]
    assert len(ear.heard()) == 1


def test_a_socket_of_somebody_else_is_told_of(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(tmp_path / "socket"))
        other.listen()
        why = f"no hooks, no udev events: Protocol wrong type for socket: '{tmp_path}/socket'"
        with pytest.raises(OSError, match=why):
            hooks(tmp_path).signalled(Joined("ens3", MAC), NOW)


# Events for udev


def test_a_role_and_who_carries_are_told_when_they_change(tmp_path: Path, ear: Ear) -> None:
    receiver = hooks(tmp_path)
    receiver.stepped(ALONE)
    assert uevents(ear) == []
    receiver.stepped(ON_VF)
    assert uevents(ear) == [("ens3nsby", NIC), ("ens4", VF)]
    receiver.stepped(ON_VF)
    assert uevents(ear) == []
    receiver.stepped(ON_STANDBY)
    assert uevents(ear) == [("ens3nsby", NIC), ("ens4", VF)]
    receiver.stepped(UNPLUGGED)
    assert uevents(ear) == []
    again = {"masters": ON_VF["masters"], "nics": ROWS}
    receiver.stepped(again)
    assert uevents(ear) == [("ens3nsby", NIC), ("ens4", VF)], "another VF, if with the ifindex of the first"
    receiver.stepped({"masters": [master("", state="released")], "nics": ROWS})
    assert uevents(ear) == [("ens3nsby", NIC), ("ens4", VF)]


def test_a_start_is_told_only_where_udev_knows_otherwise(tmp_path: Path, ear: Ear) -> None:
    marks = {"FAILOVERD_ROLE": "standby", "FAILOVERD_ACTIVE": "0", "FAILOVERD_MASTER": "ens3", "NM_UNMANAGED": "1"}
    receiver = hooks(tmp_path, {NIC: marks, VF: {}})
    receiver.stepped(ON_VF)
    assert uevents(ear) == [("ens4", VF)]
    receiver = hooks(tmp_path, {NIC: marks})
    receiver.stepped(ALONE)
    assert uevents(ear) == [("ens3", NIC)], "it was released while nobody was there"


def test_a_nic_that_udev_works_on_is_told_of_later(tmp_path: Path, ear: Ear) -> None:
    record: Record = {}
    receiver = hooks(tmp_path, record)
    receiver.stepped(UNPLUGGED)
    uevents(ear)
    record[VF] = None
    receiver.stepped({**ON_VF, "masters": UNPLUGGED["masters"]})
    assert uevents(ear) == []
    record[VF] = {"FAILOVERD_ROLE": "primary"}
    receiver.stepped(ON_STANDBY)
    assert uevents(ear) == [("ens4", VF)], "its role is news, whatever its MAC has marked it with before"


def test_who_was_marked_by_its_mac_and_is_turned_away_is_unmarked(tmp_path: Path, ear: Ear) -> None:
    record: Record = {}
    receiver = hooks(tmp_path, record)
    receiver.stepped(ON_VF)
    uevents(ear)
    record[9] = {"FAILOVERD_ROLE": "primary", "FAILOVERD_ACTIVE": "0", "FAILOVERD_MASTER": "ens3"}
    turned_away = {**ON_VF, "nics": [*ROWS, row(9, "ens9", "refused")]}
    receiver.stepped(turned_away)
    receiver.stepped(turned_away)
    assert uevents(ear) == [("ens9", 9)]


def test_masters_that_are_hardware_have_marks_too(tmp_path: Path, ear: Ear) -> None:
    receiver = hooks(tmp_path)
    rows = [row(NIC, "ens3", bus="virtio"), row(VF, "ens4")]
    receiver.stepped({"masters": [], "nics": rows})
    tc = {**master("ens4", datapath="tc", primary=VF, standby=NIC), "ifindex": NIC}
    receiver.stepped({"masters": [tc], "nics": rows})
    assert uevents(ear) == [("ens3", NIC), ("ens4", VF)]
    receiver.stepped({"masters": [{**tc, "state": "released", "primary": None}], "nics": rows})
    assert uevents(ear) == [("ens3", NIC), ("ens4", VF)]
    kernels = master("ens4", datapath="net_failover", primary=VF, standby=NIC)
    receiver.stepped({"masters": [kernels], "nics": [*rows, row(BOND, "ens3", bus="virtio")]})
    assert uevents(ear) == [("ens3", NIC), ("ens3", BOND), ("ens4", VF)]


def test_what_could_not_be_told_is_told_later(tmp_path: Path, ear: Ear) -> None:
    receiver = hooks(tmp_path)
    receiver.stepped(ALONE)
    fill(receiver)
    with pytest.raises(OSError, match="queue is full"):
        receiver.stepped(ON_VF)
    ear.heard()
    receiver.stepped(ON_VF)
    assert uevents(ear) == [("ens3nsby", NIC), ("ens4", VF)]


def test_the_socket_is_not_in_the_daemons_own_directory() -> None:
    assert Paths(Path("/run/failoverd"), Path("/var/lib/failoverd")).hooks == Path("/run/failoverd-hooks/socket")
    unit = Path(__file__).parents[2] / "units" / "failoverd-hooks.socket"
    assert "ListenDatagram=/run/failoverd-hooks/socket\n" in unit.read_text()
