"""What is kept of interfaces, what a change makes invalid, and what has to be looked at again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from interfaces import entry, ip, kept, link, made, names, route, stock_of

from failoverd.inventory.stock import FAR, Stale, Stock


def test_a_new_interface_is_in_order_and_its_addresses_are_to_be_looked_at() -> None:
    stock = Stock()
    assert stock.stale.everything
    stock.take_stale()
    stock.see(link(2, "eth1"))
    stock.see(link(3, "eth0"))
    assert names(stock.in_order()) == ["eth0", "eth1"]
    assert stock.stale.addresses == {2, 3}
    assert stock.stale
    assert not stock.stale.everything


def test_what_is_the_same_changes_nothing() -> None:
    stock = stock_of(link(2, "eth0"))
    made(stock)
    generation = stock.generation
    stock.see(link(2, "eth0"))
    assert (stock.generation, kept(stock, "row"), bool(stock.stale)) == (generation, {2}, False)


def test_a_change_makes_what_was_made_of_it_and_its_masters_documents_invalid() -> None:
    stock = stock_of(
        link(2, "br0", kind="bridge"), link(3, "bond0", kind="bond", master=2), link(4, "a", master=3), link(5, "b")
    )
    made(stock)
    before = stock.generation
    stock.see(link(4, "a", master=3, operstate="down"))
    assert kept(stock, "document") == {5}
    assert kept(stock, "row") == kept(stock, "line") == {2, 3, 5}
    assert stock.generation > before


def test_a_new_name_is_in_the_rows_of_those_who_name_it_and_in_their_masters_documents() -> None:
    stock = stock_of(
        link(2, "eth0"),
        link(3, "br0", kind="bridge"),
        link(4, "eth0.5", kind="vlan", lower=2, master=3),
        link(5, "x", master=2),
        link(6, "y"),
    )
    made(stock)
    in_order = stock.in_order()
    stock.see(link(2, "zeth", mtu=9000))
    assert kept(stock, "row") == {3, 6}
    assert kept(stock, "document") == {6}
    assert names(stock.in_order())[-1] == "zeth"
    assert stock.in_order() is not in_order
    assert stock.in_order() is stock.in_order()


def test_a_port_that_leaves_is_in_neither_bridge_of_old() -> None:
    stock = stock_of(link(2, "br0", kind="bridge"), link(3, "br1", kind="bridge"), link(4, "p", master=2))
    made(stock)
    stock.see(link(4, "p", master=3))
    assert kept(stock, "document") == set()
    assert [one.name for one in stock.parts(3)] == ["p"]
    assert stock.parts(2) == []


def test_one_that_is_gone_is_in_nothing() -> None:
    stock = stock_of(link(2, "br0", kind="bridge"), link(3, "p", master=2), link(4, "q", master=2), link(5, "r"))
    made(stock)
    stock.set_routes([route(3, "10.0.0.1")])
    stock.lose(3)
    stock.lose(3)
    assert names(stock.in_order()) == ["br0", "q", "r"]
    assert [one.name for one in stock.parts(2)] == ["q"]
    assert kept(stock, "document") == {4, 5}
    assert stock.stale.routes == {3}
    assert stock.name(3) == ""


def test_a_master_that_is_gone_is_named_by_none_of_its_ports() -> None:
    stock = stock_of(link(2, "br0", kind="bridge"), link(3, "p", master=2))
    made(stock)
    stock.lose(2)
    assert kept(stock, "row") == set()


def test_a_whole_dump_has_all_there_are() -> None:
    stock = stock_of(link(2, "a"), link(3, "b"))
    stock.keep_only([3, 4])
    assert names(stock.in_order()) == ["b"]


def test_masters_that_are_each_others_come_to_an_end() -> None:
    stock = stock_of(link(2, "a", master=3), link(3, "b", master=2))
    made(stock)
    stock.see(link(2, "a", master=3, mtu=9000))
    assert kept(stock, "document") == set()
    assert FAR >= 2


@pytest.mark.parametrize(
    ("change", "is_doubted"),
    [({"up": False}, True), ({"master": 9}, True), ({"carrier": False}, False), ({"name": "eth9"}, False)],
)
def test_routes_are_doubted_where_the_kernel_drops_them_without_a_word(
    change: dict[str, object], is_doubted: bool
) -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    stock.set_routes([route(2, "10.0.0.1")])
    for seen in (link(2, "eth0"), link(3, "eth1")):
        stock.see(replace(seen, **change))  # type: ignore[arg-type]
    assert stock.stale.routes == ({2} if is_doubted else set())


def test_an_address_that_goes_may_take_routes_along() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "lo0"))
    stock.set_routes([route(2, "10.0.0.1", source="192.0.2.1")])
    stock.addresses_changed(9, "192.0.2.1")
    stock.addresses_changed(3, "")
    assert (stock.stale.addresses, stock.stale.routes) == ({3}, set())
    stock.addresses_changed(3, "192.0.2.1")
    assert stock.stale.routes == {2}
    stock.take_stale()
    stock.addresses_changed(2, "10.0.0.2")
    assert stock.stale == Stale(everything=False, addresses={2}, routes={2})


def test_a_default_route_that_comes_may_have_taken_the_place_of_any_other() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    stock.set_routes([route(2, "10.0.0.1")])
    stock.route_changed([route(3, "10.0.1.1")])
    assert stock.stale.routes == {2, 3}
    assert not stock.stale.all_routes


def test_a_route_that_only_a_nexthop_object_knows_the_way_of_is_looked_for_everywhere() -> None:
    stock = stock_of(link(2, "eth0"))
    stock.route_changed([route(0, "", nexthop=7)])
    assert stock.stale.all_routes


def test_a_nexthop_object_counts_where_a_route_goes_by_it() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    stock.set_routes([route(2, "10.0.0.1"), route(3, "10.0.0.9", nexthop=7)])
    stock.nexthop_changed(8)
    assert not stock.stale
    stock.nexthop_changed(7)
    assert stock.stale.all_routes


def test_with_a_group_every_nexthop_object_counts() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    stock.set_routes([route(2, "10.0.0.1", nexthop=7), route(3, "10.0.0.9", nexthop=7)])
    stock.nexthop_changed(1)
    assert stock.stale.all_routes


def test_addresses_and_routes_are_taken_as_a_dump_has_them() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    made(stock)
    before = stock.generation
    stock.set_addresses(2, [ip("10.0.0.2", 24)])
    stock.set_addresses(9, [ip("10.0.0.9", 24)])
    assert (entry(stock, 2).addresses, kept(stock, "row")) == ((ip("10.0.0.2", 24),), {3})
    made(stock)
    after = stock.generation
    assert after > before
    stock.set_addresses(2, [ip("10.0.0.2", 24)])
    assert (stock.generation, kept(stock, "row")) == (after, {2, 3})
    stock.set_routes([route(2, "10.0.0.1"), route(3, "10.0.1.1"), route(9, "10.0.2.1")])
    assert kept(stock, "document") == set()
    made(stock)
    stock.set_routes([], through=2)
    assert (stock.routes_through(2), stock.routes_through(3)) == ([], [route(3, "10.0.1.1")])
    assert kept(stock, "document") == {3}


def test_a_speed_is_asked_for_again_when_name_carrier_or_state_are_others() -> None:
    stock = stock_of(link(2, "eth0"))
    stock.set_speed(2, entry(stock, 2).seen, 1000)
    stock.see(link(2, "eth0", mtu=9000))
    assert entry(stock, 2).speed == 1000
    old = entry(stock, 2).seen
    stock.see(link(2, "eth0", mtu=9000, operstate="down"))
    assert entry(stock, 2).speed is None
    stock.set_speed(2, old, 10)
    stock.set_speed(9, old, 10)
    assert entry(stock, 2).speed is None


def test_leases_and_roles_are_in_the_rows() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    made(stock)
    stock.set_leased(frozenset({2}))
    assert (entry(stock, 2).leased, kept(stock, "document")) == (True, {3})
    made(stock)
    before = stock.generation
    stock.set_roles({3: ("ens3", "primary")})
    assert (entry(stock, 3).role, kept(stock, "row"), kept(stock, "document")) == (("ens3", "primary"), {2}, {2, 3})
    assert stock.generation > before


def test_what_is_leased_and_paired_as_before_changes_nothing() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    stock.set_leased(frozenset({2, 9}))
    stock.set_roles({2: ("bond0", "primary"), 9: ("bond0", "standby")})
    generation = stock.generation
    stock.set_leased(frozenset({2, 9}))
    stock.set_roles({2: ("bond0", "primary"), 9: ("bond0", "standby")})
    assert stock.generation == generation
    stock.lose(2)
    stock.see(link(2, "eth7"))
    stock.set_leased(frozenset({2}))
    stock.set_roles({2: ("bond0", "primary")})
    assert (entry(stock, 2).leased, entry(stock, 2).role) == (True, ("bond0", "primary"))
    stock.set_leased(frozenset())
    stock.set_roles({})
    assert (entry(stock, 2).leased, entry(stock, 2).role) == (False, ("", ""))


def test_an_ipv4_address_is_on_an_interface_or_is_not() -> None:
    stock = stock_of(link(2, "eth0"), link(3, "eth1"))
    stock.set_addresses(2, [ip("2001:db8::1", 64), ip("10.0.0.1", 24)])
    stock.set_addresses(3, [ip("2001:db8::1", 64)])
    assert [entry(stock, 2).has_ipv4(text) for text in ("", "10.0.0.1", "10.0.0.2", "2001:db8::1")] == [
        *(True, True),
        *(False, False),
    ]
    assert not entry(stock, 3).has_ipv4()


def test_what_was_lost_puts_everything_in_doubt() -> None:
    stock = stock_of(link(2, "eth0"))
    assert not stock.stale
    stock.doubt_everything()
    assert stock.take_stale() == Stale(everything=True)
    assert not stock.stale


def test_a_new_tunnel_is_looked_at_once_more_and_nothing_else() -> None:
    """The kernel sets the MTU of the one that a module makes after it has told of it."""
    stock = Stock()
    stock.take_stale()
    stock.see(link(7, "d0", kind="dummy"))
    assert stock.take_stale() == Stale(everything=False, addresses={7})
    stock.see(link(8, "gre0", kind="gre", mtu=1472))
    stock.see(link(9, "gretap0", kind="gretap", mtu=1462))
    assert stock.take_stale() == Stale(everything=False, links={8, 9}, addresses={8, 9})
    stock.see(link(8, "gre0", kind="gre", mtu=1476))
    assert not stock.stale
    stock.see(link(10, "erspan0", kind="erspan"))
    stock.take_stale()
    stock.stale.links.add(10)
    assert stock.stale
    stock.lose(10)
    assert not stock.stale
