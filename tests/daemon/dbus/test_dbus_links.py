"""Declared links on a real dbus-daemon."""

from __future__ import annotations

import pytest
from busmachine import Machine, heard, listener, on_a_machine
from privatebus import PrivateBus
from signals import GOING, PENDING

from failoverd.daemon.dbus.interfaces import NAME, ROOT
from failoverd.daemon.dbus.objects import link_path


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("web", "web"), ("web-host", "web_2dhost"), ("lab.peer", "lab_2epeer"), ("1a1", "_31a1"), ("a_b", "a_5fb")],
)
def test_a_links_path_is_escaped_as_sd_bus_does(name: str, escaped: str) -> None:
    assert link_path(name) == f"{ROOT}/link/{escaped}"


def test_signals_come_from_the_links_object(bus: PrivateBus) -> None:
    async def body(machine: Machine) -> None:
        hears = await listener(machine, "hear", NAME, "LinkGoing")
        machine.presence.signalled(PENDING)
        machine.presence.signalled(GOING)
        pending, going = [one for one in await heard(hears) if one[1] == f"{NAME}.Link"]
        assert pending[:3] == [f"{ROOT}/link/web_2dct", f"{NAME}.Link", "LinkPending"]
        assert pending[3][:6] == ["veth", "eth1", PENDING.namespace, 0, "container-absent", PENDING.detail]
        assert (going[2], going[3][3:5]) == ("LinkGoing", [4, "undeclared"])

    on_a_machine(bus, body)
