"""What --dry-run takes the kernel to do, held against a kernel that is stricter."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pairdriver import Driver
from toykernel import MAC, ToyKernel, address, route

from failoverd.config.spec import Config, Master, Tc
from failoverd.model.events import ReleaseAsked
from failoverd.model.links import Bond, Filter, Link
from failoverd.model.links import Tc as LinkTc
from failoverd.model.pairs import Inet
from failoverd.model.requests import (
    AddAddress,
    AddAltname,
    AddClsact,
    AddRedirect,
    AddRoute,
    CreateBond,
    DeleteLink,
    DropAddress,
    DropAltname,
    DropClsact,
    DropRedirect,
    HearAll,
    Rename,
    Request,
    SetActive,
    SetAllMulticast,
    SetLinkLocal,
    SetMaster,
    SetMtu,
    SetPromiscuous,
    SetUp,
)
from failoverd.plan.foresee import Foreseen

NIC = Link(2, "ens3", MAC, MAC, up=True, carrier=True)
VF = Link(3, "ens4", MAC, MAC, mtu=9000)
BOND = Link(9, "ens3", kind="bond", mtu=1400, bond=Bond(mode=1))
OURS, OTHER = address("10.0.0.2/24", 2), address("10.0.0.3/24", 2)
DEFAULT, FAR = route("0.0.0.0/0", 2, "10.0.0.1"), route("10.1.0.0/16", 2, "10.0.0.1")


def world(*links: Link) -> Foreseen:
    return Foreseen({link.ifindex: link for link in links})


def machine(datapath: str = "bond") -> Driver:
    """A NIC with an address, a route and an alternative name, and its VF."""
    kernel = ToyKernel()
    nic = kernel.plug("ens3", "virtio", up=True)
    kernel.plug("ens4", "pci")
    kernel.links[nic] = replace(kernel.links[nic], altnames=frozenset({"enp1s0"}))
    kernel.do_all(address("10.0.0.2/24", nic), address("10.0.0.3/24", nic), route("0.0.0.0/0", nic, "10.0.0.1"))
    kernel.news.clear()
    return Driver(kernel, Config(master=Master(create="always", datapath=datapath), tc=Tc(carrier_poll=1e6)))


def shape(links: dict[int, Link]) -> dict[int, tuple[object, ...]]:
    """What the planner looks at in a device, but for what only the wire knows."""
    return {
        i: (x.name, x.kind, x.up, x.mtu, x.master, x.altnames, x.bond.active if x.bond else 0, *ways(x))
        for i, x in links.items()
    }


def ways(link: Link) -> tuple[object, ...]:
    """What a redirection changes; the numbers of a filter are the kernel's business."""
    filters = {(f.hook, f.redirect, f.ours) for f in link.tc.filters}
    return (link.tc.slot, filters, link.all_multicast, link.link_local)


def fours(inet: dict[int, Inet], links: dict[int, Link]) -> dict[int, set[bytes]]:
    """The IPv4 addresses of every device: the kernel makes and loses those of IPv6 by itself."""
    return {i: {a.local for a in inet.get(i, Inet()).addresses if a.family == 2} for i in links}


def test_what_is_foreseen_of_a_join_and_a_release_is_what_a_kernel_does() -> None:
    driver = machine()
    kernel = driver.kernel
    foreseen = Foreseen(dict(kernel.links), dict(kernel.inet))
    apply_all(foreseen, driver)
    assert any(link.kind == "bond" for link in foreseen.links.values())
    driver.events.append(ReleaseAsked(MAC))
    apply_all(foreseen, driver)
    assert not any(link.kind == "bond" for link in foreseen.links.values())


def test_what_is_foreseen_of_a_redirection_is_what_a_kernel_does() -> None:
    driver = machine("tc")
    foreseen = Foreseen(dict(driver.kernel.links), dict(driver.kernel.inet))
    apply_all(foreseen, driver)
    assert {f.redirect for link in foreseen.links.values() for f in link.tc.filters} == {2, 3}
    driver.events.append(ReleaseAsked(MAC))
    apply_all(foreseen, driver)
    assert not any(link.tc.filters for link in foreseen.links.values())


def apply_all(foreseen: Foreseen, driver: Driver) -> None:
    """Let the daemon come to rest, and give all it sent to the foreseen world as well."""
    driver.sent.clear()
    driver.settle()
    assert driver.sent
    for request in (request for batch in driver.sent for request in batch):
        foreseen.apply(request)
    assert shape(foreseen.links) == shape(driver.kernel.links)
    assert fours(foreseen.inet, foreseen.links) == fours(driver.kernel.inet, driver.kernel.links)


def test_a_bond_gets_the_next_ifindex() -> None:
    create = CreateBond("fo525400fa1101", MAC, 1400, 100, 1)
    foreseen = world(NIC, VF)
    assert foreseen.apply(create) == (4,)
    made = foreseen.links[4]
    assert (made.name, made.mac, made.mtu, made.kind, made.up) == ("fo525400fa1101", MAC, 1400, "bond", False)
    assert made.bond == Bond(mode=1, miimon=100, fail_over_mac=1)
    assert world().apply(create) == (1,)


def test_a_bond_opens_what_it_takes_and_the_first_slave_carries() -> None:
    foreseen = world(replace(NIC, up=False), VF, BOND)
    assert foreseen.apply(SetMaster(3, 9)) == (3, 9)
    assert foreseen.links[3] == replace(VF, master=9, up=True, carrier=True, mtu=1400)
    assert foreseen.links[9].bond == Bond(mode=1, active=3)
    assert foreseen.links[9].carrier
    foreseen.apply(SetMaster(2, 9))
    assert foreseen.links[9].bond == Bond(mode=1, active=3)
    assert foreseen.apply(SetActive(9, 2)) == (9,)
    assert foreseen.links[9].bond == Bond(mode=1, active=2)


def test_another_kind_of_master_has_no_active_slave() -> None:
    foreseen = world(VF, Link(8, "br0", kind="bridge"))
    foreseen.apply(SetMaster(3, 8))
    assert foreseen.links[3].master == 8
    assert foreseen.links[8].bond is None


def test_what_a_bond_lets_go_is_closed() -> None:
    foreseen = world(replace(NIC, master=9), BOND)
    assert foreseen.apply(SetMaster(2, 0)) == (2, 9)
    assert (foreseen.links[2].master, foreseen.links[2].up, foreseen.links[2].carrier) == (0, False, False)


def test_a_deleted_bond_lets_all_of_its_slaves_go() -> None:
    foreseen = world(replace(NIC, master=9), replace(VF, master=9), Link(5, "eth7", up=True), BOND)
    assert foreseen.apply(DeleteLink(9)) == (2, 3, 9)
    assert foreseen.links.keys() == {2, 3, 5}
    assert [link.master for link in foreseen.links.values()] == [0, 0, 0]
    assert [link.ifindex for link in foreseen.links.values() if link.up] == [5]


@pytest.mark.parametrize(
    ("request_", "after"),
    [
        (SetUp(2, up=False), replace(NIC, up=False, carrier=False)),
        (SetUp(2, up=True), NIC),
        (SetMtu(2, 9000), replace(NIC, mtu=9000)),
        (Rename(2, "ens3nsby"), replace(NIC, name="ens3nsby")),
        (AddAltname(2, "enp1s0"), replace(NIC, altnames=frozenset({"enp1s0"}))),
        (DropAltname(2, "enp1s0"), NIC),
        (HearAll(2, on=True), NIC),
        (SetAllMulticast(2, on=True), replace(NIC, all_multicast=True)),
        (SetPromiscuous(2, on=True), replace(NIC, promiscuous=True)),
        (SetLinkLocal(2, on=True), replace(NIC, link_local=True)),
        (AddClsact(2), replace(NIC, tc=LinkTc("clsact"))),
        (DropClsact(2), NIC),
        (DropRedirect(2, "egress"), NIC),
    ],
)
def test_a_device_is_changed_and_tells_of_it(request_: Request, after: Link) -> None:
    foreseen = world(NIC, VF)
    assert foreseen.apply(request_) == (2,)
    assert foreseen.links == {2: after, 3: VF}


def test_only_our_filter_on_that_hook_is_dropped() -> None:
    theirs = Filter("egress", 1, 1, "bpf")
    foreseen = world(replace(NIC, tc=LinkTc("clsact", "", frozenset({theirs}))), VF)
    foreseen.apply(AddRedirect(2, "egress", 3))
    foreseen.apply(AddRedirect(2, "ingress", 3))
    foreseen.apply(DropRedirect(2, "egress"))
    assert {(f.hook, f.ours) for f in foreseen.links[2].tc.filters} == {("egress", False), ("ingress", True)}
    foreseen.apply(DropClsact(2))
    assert foreseen.links[2].tc == LinkTc()


def test_a_carrier_is_not_expected_of_a_device_that_had_none() -> None:
    foreseen = world(VF)
    foreseen.apply(SetUp(3, up=True))
    assert foreseen.links[3] == replace(VF, up=True)


def test_an_alternative_name_that_was_there_is_dropped() -> None:
    foreseen = world(replace(NIC, altnames=frozenset({"enp1s0", "lan"})))
    foreseen.apply(DropAltname(2, "enp1s0"))
    assert foreseen.links[2].altnames == {"lan"}


def test_addresses_and_routes_are_foreseen_where_they_are_put() -> None:
    foreseen = world(NIC, VF)
    for request in (AddAddress(OURS), AddAddress(OTHER), AddRoute(DEFAULT), AddRoute(FAR)):
        assert foreseen.apply(request) == ()
    assert foreseen.look((2, 3)) == {2: Inet((OURS, OTHER), (DEFAULT, FAR)), 3: Inet()}
    foreseen.apply(AddAddress(OURS))
    assert sorted(foreseen.look((2,))[2].addresses, key=lambda a: a.local) == [OURS, OTHER]
    foreseen.apply(DropAddress(OTHER))
    assert foreseen.look((2,)) == {2: Inet((OURS,), (DEFAULT, FAR))}
