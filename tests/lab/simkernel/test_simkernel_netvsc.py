"""hv_netvsc and its VF, as the driver's source has it; there is no Hyper-V here to hold it against."""

from __future__ import annotations

from hands import MAC, OTHER, V4, Hands

from failoverd_lab.simkernel import linkmsg, wire
from failoverd_lab.simkernel import uapi as n
from failoverd_lab.simkernel.linkmsg import IFINFO


def machine(up: bool = True) -> tuple[Hands, int]:
    hands = Hands()
    nic = hands.kernel.plug("eth0", MAC, "vmbus", "hv_netvsc", "f8615163")
    if up:
        hands.admin.configure(nic, (V4,))
    return hands, nic


def state(hands: Hands, index: int) -> tuple[str, bool, int]:
    seen = next(link for link in hands.kernel.links() if link.ifindex == index)
    return seen.master, seen.up, seen.mtu


def test_a_vf_is_taken_in_at_once_and_opened_a_little_later() -> None:
    hands, nic = machine()
    hands.admin.set_mtu(nic, 1400)
    vf = hands.plug("eth1")
    assert state(hands, vf) == ("eth0", False, 1500)
    assert hands.kernel.path_to("192.0.2.2") == nic
    hands.pass_time(0.2)
    assert state(hands, vf) == ("eth0", True, 1400)
    assert hands.kernel.path_to("192.0.2.2") == hands.kernel.carries(nic) == vf
    hands.kernel.set_medium(vf, False)
    assert hands.kernel.path_to("192.0.2.2") == nic


def test_its_master_has_no_rtnl_kind() -> None:
    hands, nic = machine()
    device = hands.kernel.net.devices[hands.plug("eth1")]
    attrs = wire.table(linkmsg.body(device)[IFINFO.size :])
    assert wire.number(attrs[n.IFLA_MASTER]) == nic
    assert n.IFLA_LINKINFO not in attrs
    assert device.reported_flags() & n.IFF_SLAVE


def test_it_goes_down_and_up_with_its_master_and_has_its_mtu() -> None:
    hands, nic = machine(up=False)
    vf = hands.plug("eth1")
    hands.pass_time(0.2)
    assert state(hands, vf) == ("eth0", False, 1500)
    hands.admin.set_up(nic)
    assert state(hands, vf)[1]
    hands.admin.set_mtu(nic, 1300)
    assert state(hands, vf)[2] == 1300
    hands.admin.set_up(nic, False)
    assert not state(hands, vf)[1]


def test_what_is_not_its_vf_is_none_of_its_business() -> None:
    hands, _ = machine()
    first = hands.plug("eth1")
    others = hands.plug("eth2"), hands.plug("eth3", "virtio"), hands.plug("eth4", mac=OTHER)
    assert state(hands, first)[0] == "eth0"
    assert {state(hands, index)[0] for index in others} == {""}


def test_either_of_the_two_may_go() -> None:
    hands, nic = machine()
    vf = hands.plug("eth1")
    hands.kernel.unplug(vf)
    hands.pass_time(0.2)
    assert hands.kernel.path_to("192.0.2.2") == nic
    vf = hands.plug("eth1")
    hands.kernel.unplug(nic)
    hands.pass_time(0.2)
    assert state(hands, vf)[0] == ""


def test_a_vf_that_takes_no_such_mtu_stays_down() -> None:
    hands, nic = machine()
    hands.admin.set_mtu(nic, 9000)
    vf = hands.plug("eth1", max_mtu=1500)
    hands.pass_time(0.2)
    assert state(hands, vf) == ("eth0", False, 1500)
