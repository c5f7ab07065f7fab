"""Routes by gateways that nothing on the device says are on its link."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toykernel import address, route

from failoverd.model.inet import Hop
from failoverd.model.pairs import Inet
from failoverd.plan import inet_sets, transfer
from failoverd.plan.gateways import RTNH_F_ONLINK

DEFAULT = route("0.0.0.0/0", 2, "10.0.0.1")
SIX = route("::/0", 2, "fd00::1")


@pytest.mark.parametrize(
    ("addresses", "routes", "expected"),
    [
        (("10.0.0.2/24",), (), 0),
        (("10.1.0.2/24",), (), RTNH_F_ONLINK),
        (("fd00::2/64",), (), RTNH_F_ONLINK),
        (("10.1.0.2/24",), ("10.0.0.0/24",), 0),
        (("10.1.0.2/24",), ("0.0.0.0/0",), 0),
    ],
)
def test_a_gateway_is_on_the_link_by_an_address_or_a_route(
    addresses: tuple[str, ...], routes: tuple[str, ...], expected: int
) -> None:
    inet = Inet(tuple(address(one, 2) for one in addresses), (*(route(one, 2) for one in routes), DEFAULT))
    moved = [one for one in transfer.to_device(inet, 9).routes if one.attrs == DEFAULT.attrs]
    assert [one.flags for one in moved] == [expected]


def test_ipv6_needs_no_word_for_a_link_local_gateway() -> None:
    local = route("::/0", 2, "fe80::1")
    assert [r.flags for r in transfer.to_device(Inet((), (local,)), 9).routes] == [0]
    assert [r.flags for r in transfer.to_device(Inet((), (SIX,)), 9).routes] == [RTNH_F_ONLINK]
    assert [r.flags for r in transfer.to_device(Inet((address("fd00::2/64", 2),), (SIX,)), 9).routes] == [0]


def test_each_next_hop_has_its_own_gateway() -> None:
    near, far = ((5, b"\n\0\0\1"),), ((5, b"\n\7\0\1"),)
    many = replace(DEFAULT, attrs=(), hops=(Hop(2, 0, 1, near), Hop(2, 0, 1, far), Hop(3, 0, 1)))
    (moved,) = transfer.to_device(Inet((address("10.0.0.2/24", 2),), (many,)), 9).routes
    assert [hop.flags for hop in moved.hops] == [0, RTNH_F_ONLINK, 0]
    assert [hop.ifindex for hop in moved.hops] == [9, 9, 3]


def test_the_marked_route_is_the_same_route() -> None:
    inet = Inet((), (DEFAULT,))
    assert inet_sets.is_in(inet, transfer.to_device(inet, 9))
