"""Rows: active or not, types, gateways, evidence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from interfaces import entry, ip, link, route, stock_of

from failoverd.inventory.answers import generation_only, head_of, is_meant, unchanged
from failoverd.inventory.facts import VlanOptions
from failoverd.inventory.find import NotFoundError, find
from failoverd.inventory.gateways import Nexthop, gateway, resolved
from failoverd.inventory.questions import MOST, argument_error
from failoverd.inventory.rows import line_of, listed, row_of
from failoverd.inventory.stock import Stock


def row(stock: Stock, ifindex: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row_of(stock, entry(stock, ifindex)))
    return found


def test_a_row_says_all_that_is_known() -> None:
    stock = stock_of(
        link(2, "eth0", master=4, altnames=("enp1s0",), permanent_mac="52:54:00:00:00:99"),
        link(3, "eth0.5", kind="vlan", lower=2, options=VlanOptions(5)),
        link(4, "br0", kind="bridge", mac="", running=False, carrier=False, operstate="down"),
    )
    stock.set_addresses(3, [ip("10.0.0.2", 24), ip("fe80::1", 64), ip("2001:db8::2", 64, from_router=True)])
    stock.set_routes([route(3, "10.0.0.1", metric=5, protocol=16), route(3, "fe80::ff", protocol=9)])
    stock.set_speed(2, entry(stock, 2).seen, 1000)
    stock.set_roles({2: ("ens3", "primary")})
    assert row(stock, 2) == {
        "name": "eth0",
        "ifindex": 2,
        "type": "ethernet",
        "kind": None,
        "mac": "52:54:00:00:00:02",
        "permanent_mac": "52:54:00:00:00:99",
        "active": True,
        "up": True,
        "carrier": True,
        "state": "up",
        "speed": 1000,
        "mtu": 1500,
        "master": "br0",
        "lower": None,
        "vlan": None,
        "altnames": ["enp1s0"],
        "ipv4": [],
        "ipv6": [],
        "gateway4": None,
        "gateway6": None,
        "dhcp4": None,
        "dhcp6": None,
        "autoconf": None,
        "pair": "ens3",
        "role": "primary",
    }
    assert row(stock, 3) | {
        "type": "vlan",
        "kind": "vlan",
        "lower": "eth0",
        "vlan": 5,
        "ipv4": [{"address": "10.0.0.2", "prefix": 24}],
        "ipv6": [{"address": "fe80::1", "prefix": 64}, {"address": "2001:db8::2", "prefix": 64}],
        "gateway4": "10.0.0.1",
        "gateway6": "fe80::ff",
        "dhcp4": True,
        "dhcp6": None,
        "autoconf": True,
        "pair": None,
        "role": None,
    } == row(stock, 3)
    assert (row(stock, 4)["active"], row(stock, 4)["state"], row(stock, 4)["mac"]) == (True, "down", None)
    assert json.loads(line_of(entry(stock, 3))) == ["eth0.5", True, "52:54:00:00:00:03"]
    assert line_of(entry(stock, 3)) is line_of(entry(stock, 3))
    assert json.loads(listed(entry(stock, 3))) == ["eth0.5", True, "52:54:00:00:00:03", 3]
    assert row_of(stock, entry(stock, 3)) is row_of(stock, entry(stock, 3))


@pytest.mark.parametrize(
    ("about", "is_active"),
    [
        ({"up": True, "running": True}, True),
        ({"up": True, "running": False}, False),
        ({"up": False, "running": False}, False),
        ({"up": True, "running": False, "kind": "bridge"}, True),
        ({"up": False, "running": False, "kind": "bridge"}, False),
    ],
)
def test_active_is_up_and_running_and_of_a_bridge_up(about: dict[str, Any], is_active: bool) -> None:
    stock = stock_of(link(2, "eth0", **about))
    one = entry(stock, 2)
    assert one.seen.is_active is is_active
    assert (is_meant(one, "all"), is_meant(one, "active"), is_meant(one, "inactive")) == (
        True,
        is_active,
        not is_active,
    )


def test_a_lease_is_evidence_and_a_router_s_route_is() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    stock.set_leased(frozenset({2}))
    stock.set_routes([route(3, "fe80::1", protocol=9), route(3, "fe80::2", protocol=16)])
    assert (row(stock, 2)["dhcp4"], row(stock, 2)["autoconf"]) == (True, None)
    assert (row(stock, 3)["dhcp4"], row(stock, 3)["dhcp6"], row(stock, 3)["autoconf"]) == (None, True, True)


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ([], ""),
        ([route(2, "10.0.0.1", metric=100), route(2, "10.0.0.9", metric=5)], "10.0.0.9"),
        ([route(2, "", metric=1), route(2, "10.0.0.1", metric=100)], "10.0.0.1"),
        ([route(2, "fe80::1", family=4)], "fe80::1"),
        ([route(2, "fe80::1")], ""),
    ],
)
def test_the_gateway_is_that_of_the_lowest_metric(routes: list[Any], found: str) -> None:
    assert gateway(routes, 4) == found


def test_the_ways_of_nexthop_objects() -> None:
    objects = {
        1: Nexthop(1, 2, "10.0.0.1"),
        2: Nexthop(2, 3, "10.0.1.1"),
        3: Nexthop(3),
        9: Nexthop(9, members=(1, 2, 3, 4)),
    }
    routes = [route(5, "10.9.9.9"), route(0, "", nexthop=1), route(0, "", nexthop=9), route(0, "", nexthop=77)]
    assert [(one.ifindex, one.gateway, one.nexthop) for one in resolved(routes, objects)] == [
        (5, "10.9.9.9", 0),
        (2, "10.0.0.1", 1),
        (2, "10.0.0.1", 9),
        (3, "10.0.1.1", 9),
    ]


def test_a_vlan_without_a_nameable_lower_interface_is_an_ethernet() -> None:
    stock = stock_of(link(2, "a.5", kind="vlan"), link(3, "x\udcff"), link(4, "b.5", kind="vlan", lower=3))
    assert (row(stock, 2)["type"], row(stock, 4)["type"], row(stock, 4)["lower"]) == ("ethernet", "ethernet", "x\udcff")


def test_an_interface_is_found_by_its_name_first() -> None:
    same = "52:54:00:00:00:aa"
    stock = stock_of(
        link(2, "7", altnames=("enp1s0",)),
        link(7, "eth7"),
        link(8, "a", mac=same),
        link(9, "b", mac=same, altnames=("7",)),
    )
    assert find(stock, "7").seen.ifindex == 2
    assert find(stock, "enp1s0").seen.ifindex == 2
    assert find(stock, "52:54:00:00:00:07").seen.name == "eth7"
    assert find(stock, "8").seen.name == "a"
    for word, why in (
        (same.upper(), f"2 interfaces have the MAC {same.upper()}: a, b; name one"),
        ("99", "no interface '99'"),
        ("", "no interface ''"),
        ("²", "no interface"),
        ("9" * 5000, "no interface"),
    ):
        with pytest.raises(NotFoundError, match=why) as refused:
            find(stock, word)
        assert refused.value.kind == ("NoSuchInterface" if "no interface" in why else "SeveralInterfaces")


def test_a_name_that_cannot_be_shown_is_found_as_it_is_shown() -> None:
    stock = stock_of(link(2, "x\udcff"), link(3, "eth0"), link(4, "y\x02"), link(5, "y\\x02"))
    assert find(stock, "x\udcff").seen.ifindex == 2
    assert find(stock, "x\\udcff").seen.ifindex == 2
    assert find(stock, "y\\x02").seen.ifindex == 5, "one of this very name comes first"
    with pytest.raises(NotFoundError, match="no interface"):
        find(stock, "z\\udcff")


def test_a_crowd_with_one_mac_is_not_told_in_full() -> None:
    stock = stock_of(*(link(i, f"p{i}", mac="52:54:00:00:00:aa") for i in range(2, 20)))
    with pytest.raises(NotFoundError, match=r"18 interfaces .* p17, \.\.\.; name one"):
        find(stock, "52:54:00:00:00:aa")


@pytest.mark.parametrize(
    ("question", "arguments", "is_right"),
    [
        ("interfaces", ["table"], True),
        ("interfaces", ["json", "active", "5"], True),
        ("interfaces", ["list", "all"], True),
        ("interface", ["row", "eth0"], True),
        ("interface", ["xml", "eth0"], True),
        ("interface", ["xml"], False),
        ("interface", ["json", "eth0"], False),
        ("generation", [], True),
        ("generation", ["5"], False),
        ("interfaces", [], False),
        ("interfaces", ["xml"], False),
        ("interfaces", ["json", "some"], False),
        ("interfaces", ["json", "all", "5", "6"], False),
        ("interface-xml", ["eth0"], True),
        ("interface-xml", [], False),
        ("interface-xml", ["eth0"] * (MOST + 1), False),
        ("every-interface-xml", [], True),
        ("every-interface-xml", ["eth0"], False),
    ],
)
def test_what_a_question_takes(question: str, arguments: list[str], is_right: bool) -> None:
    why = argument_error(question, arguments)
    assert (why == "") is is_right
    assert is_right or why.startswith(f"{question} takes ")


def test_how_documents_begin() -> None:
    assert json.loads(head_of(5, True, "interfaces") + b"]}") == {"generation": 5, "sure": True, "interfaces": []}
    assert json.loads(head_of(5, False, "documents") + b"]}")["sure"] is False
    assert json.loads(unchanged(6)) == {"generation": 6, "sure": True, "unchanged": True}
    assert json.loads(generation_only(6, False)) == {"generation": 6, "sure": False}
    assert json.loads(generation_only(6, True))["sure"] is True
