"""The XML of each kind, and of names that are odd."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from interfaces import entry, ip, link, route, stock_of, xml

from failoverd.inventory.facts import BondOptions, BridgeOptions, VlanOptions
from failoverd.inventory.naming import xml_obstacle
from failoverd.inventory.xml import lines_of


def test_an_ethernet_interface() -> None:
    stock = stock_of(link(2, "eth0"))
    stock.set_addresses(
        2, [ip("10.0.0.2", 24), ip("10.0.0.3", 32), ip("2001:db8::2", 64, from_router=True), ip("fe80::2", 64)]
    )
    stock.set_routes([route(2, "10.0.0.1", protocol=16), route(2, "fe80::ff", protocol=9)])
    stock.set_speed(2, entry(stock, 2).seen, 1000)
    assert "\n".join(lines_of(stock, entry(stock, 2))) == (
        "<interface type='ethernet' name='eth0'>\n"
        "  <mtu size='1500'/>\n"
        "  <protocol family='ipv4'>\n"
        "    <dhcp/>\n"
        "    <ip address='10.0.0.2' prefix='24'/>\n"
        "    <ip address='10.0.0.3' prefix='32'/>\n"
        "    <route gateway='10.0.0.1'/>\n"
        "  </protocol>\n"
        "  <protocol family='ipv6'>\n"
        "    <autoconf/>\n"
        "    <ip address='2001:db8::2' prefix='64'/>\n"
        "    <ip address='fe80::2' prefix='64'/>\n"
        "    <route gateway='fe80::ff'/>\n"
        "  </protocol>\n"
        "  <link speed='1000' state='up'/>\n"
        "  <mac address='52:54:00:00:00:02'/>\n"
        "</interface>"
    )


@pytest.mark.parametrize("mac", ["", "0a:00:00:01", ":".join(["80"] * 20)])
def test_what_is_no_mac_is_left_out(mac: str) -> None:
    assert "mac" not in "".join(xml(stock_of(link(2, "tun0", mac=mac, operstate="unknown")), 2))


def test_a_speed_is_told_only_while_the_link_is_up() -> None:
    stock = stock_of(link(2, "eth0", operstate="dormant"))
    stock.set_speed(2, entry(stock, 2).seen, 1000)
    assert "<link state='dormant'/>" in xml(stock, 2)


def test_an_ipv4_gateway_that_is_an_ipv6_address_is_not_valid_there() -> None:
    stock = stock_of(link(2, "eth0"))
    stock.set_routes([route(2, "fe80::1", family=4)])
    assert not [line for line in xml(stock, 2) if "protocol" in line or "route" in line]


def test_dhcp_of_ipv6_is_that_of_its_route() -> None:
    stock = stock_of(link(2, "eth0"))
    stock.set_leased(frozenset({2}))
    stock.set_routes([route(2, "fe80::1", protocol=16)])
    text = "".join(xml(stock, 2))
    assert "<protocol family='ipv4'><dhcp/></protocol>" in text
    assert "<protocol family='ipv6'><dhcp/><route gateway='fe80::1'/></protocol>" in text


def test_a_bridge_has_its_ports_and_neither_link_nor_mac() -> None:
    stock = stock_of(
        link(2, "br0", kind="bridge", options=BridgeOptions(stp=True, forward_delay=250)),
        link(3, "vnet0", kind="tun", master=2),
        link(4, "bond0", kind="bond", master=2, options=BondOptions("802.3ad", miimon=100)),
        link(5, "s0", master=4),
        link(6, "s0.7", kind="vlan", lower=5, master=2, options=VlanOptions(7)),
        link(7, "x\udcff-y", master=2),
        link(8, "br1", kind="bridge", master=2),
    )
    stock.set_addresses(3, [ip("10.0.0.3", 24)])
    assert xml(stock, 2) == [
        "<interface type='bridge' name='br0'>",
        "<mtu size='1500'/>",
        "<bridge stp='on' delay='2.5'>",
        "<interface type='bond' name='bond0'>",
        "<link state='up'/>",
        "<bond mode='802.3ad'>",
        "<miimon freq='100' downdelay='0' updelay='0' carrier='netif'/>",
        "<interface type='ethernet' name='s0'>",
        "<link state='up'/>",
        "<mac address='52:54:00:00:00:05'/>",
        "</interface>",
        "</bond>",
        "</interface>",
        "<interface type='ethernet' name='br1'>",
        "<link state='up'/>",
        "<mac address='52:54:00:00:00:08'/>",
        "</interface>",
        "<interface type='vlan' name='s0.7'>",
        "<link state='up'/>",
        "<vlan tag='7'>",
        "<interface name='s0'/>",
        "</vlan>",
        "</interface>",
        "<interface type='ethernet' name='vnet0'>",
        "<link state='up'/>",
        "<mac address='52:54:00:00:00:03'/>",
        "</interface>",
        "<!-- x\\udcff\\x2dy is left out: its name cannot be in XML -->",
        "</bridge>",
        "</interface>",
    ]
    ElementTree.fromstring("\n".join(xml(stock, 2)))
    assert xml(stock_of(link(2, "br0", kind="bridge")), 2)[-2] == "<bridge stp='off' delay='15'/>"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            BondOptions("active-backup", primary=5, miimon=50, updelay=200, downdelay=100, netif_carrier=False),
            [
                "<bond mode='active-backup'>",
                "<miimon freq='50' downdelay='100' updelay='200' carrier='ioctl'/>",
                "s1 s0",
            ],
        ),
        (
            BondOptions("balance-rr", arp_interval=100, arp_validate="all", arp_target="10.0.0.9"),
            ["<bond mode='balance-rr'>", "<arpmon interval='100' target='10.0.0.9' validate='all'/>", "s0 s1"],
        ),
        (
            BondOptions("", arp_interval=100, arp_target="10.0.0.9"),
            ["<bond>", "<arpmon interval='100' target='10.0.0.9'/>", "s0 s1"],
        ),
        (BondOptions("broadcast", arp_interval=100), ["<bond mode='broadcast'>", "s0 s1"]),
        (None, ["<bond>", "s0 s1"]),
    ],
)
def test_a_bond_has_its_primary_first(options: Any, expected: list[str]) -> None:
    stock = stock_of(
        link(2, "bond0", kind="bond", options=options),
        link(4, "s0", master=2, kind="vlan", lower=5, options=VlanOptions(3)),
        link(5, "s1", master=2),
    )
    lines = xml(stock, 2)
    slaves = [line.split("'")[3] for line in lines if "'ethernet'" in line]
    assert [*lines[3 : 2 + len(expected)], " ".join(slaves)] == expected
    assert "mac" not in "".join(lines[:4])


def test_a_bond_without_slaves_has_an_empty_element() -> None:
    stock = stock_of(link(2, "bond0", kind="bond", options=BondOptions("balance-rr")))
    assert xml(stock, 2)[-2] == "<bond mode='balance-rr'/>"


@pytest.mark.parametrize("slaves", [(), ("x\udcff",)])
def test_a_bond_without_slaves_that_xml_can_have_is_an_ethernet_in_its_bridge(slaves: tuple[str, ...]) -> None:
    stock = stock_of(
        link(2, "br0", kind="bridge"),
        link(3, "bond0", kind="bond", master=2, options=BondOptions("802.3ad")),
        *(link(4 + number, name, master=3) for number, name in enumerate(slaves)),
    )
    inside = xml(stock, 2)[3:7]
    assert inside[0] == "<interface type='ethernet' name='bond0'>"
    assert "<mac address='52:54:00:00:00:03'/>" in inside


def test_a_vlan_names_the_interface_it_stands_on() -> None:
    stock = stock_of(
        link(2, "a&b"),
        link(3, "nodot", kind="vlan", lower=2, options=VlanOptions(4094)),
        link(4, "far", kind="vlan"),
        link(5, "odd", kind="vlan", lower=2),
        link(6, "vm.e0"),
    )
    assert xml(stock, 3)[-4:-1] == ["<vlan tag='4094'>", "<interface name='a&amp;b'/>", "</vlan>"]
    assert (xml(stock, 4)[0], xml(stock, 6)[0]) == (
        "<interface type='ethernet' name='far'>",
        "<interface type='ethernet' name='vm.e0'>",
    )
    assert "<vlan tag='0'>" in xml(stock, 5)


@pytest.mark.parametrize("name", ["a&b", "<x>", "é", "{", "'\"", "--all", "7", "x\U0001f600", "a\x85b"])
def test_an_odd_name_is_escaped(name: str) -> None:
    stock = stock_of(link(2, name))
    assert ElementTree.fromstring("\n".join(xml(stock, 2))).get("name") == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("x\udcffy", r"the name x\\udcffy is no UTF-8"),
        ("x\x01", r"the name x\\x01 has a character that XML does not allow"),
        ("x\uffff", "does not allow"),
    ],
)
def test_a_name_that_xml_cannot_have_is_refused_with_a_reason(name: str, why: str) -> None:
    stock = stock_of(link(2, name))
    with pytest.raises(ValueError, match=why):
        lines_of(stock, entry(stock, 2))
    assert xml_obstacle("eth0") == ""
