"""What of two configurations is in both, missing, or the same."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from toykernel import KERNEL, address, route

from failoverd.model.pairs import Inet
from failoverd.plan import inet_sets

RA = 9
LOCAL = address("fe80::1/64", 2)
addresses = st.builds(
    address,
    st.sampled_from(["10.0.0.2/24", "10.0.0.2/32", "10.0.0.3/24", "2001:db8::2/64", "2001:db8::2/128", "fe80::2/64"]),
    st.integers(1, 3),
)
routes = st.builds(
    route,
    st.sampled_from(["10.1.0.0/16", "0.0.0.0/0"]),
    st.integers(1, 3),
    st.sampled_from(["", "10.0.0.1"]),
    st.sampled_from([KERNEL, 4, RA]),
)
inets = st.builds(Inet, st.lists(addresses, max_size=4).map(tuple), st.lists(routes, max_size=4).map(tuple))


def test_when_two_addresses_are_the_same() -> None:
    """As the kernel sees it: an IPv6 address is one whatever its prefix, an IPv4 one with another peer is another."""
    six, longer = address("2001:db8::2/64", 2), address("2001:db8::2/128", 2)
    assert inet_sets.union(Inet((six,)), Inet((longer,))).addresses == (six,)
    four = address("10.0.0.2/32", 2)
    peer = replace(four, attrs=((inet_sets.IFA_ADDRESS, bytes([10, 0, 0, 7])),))
    itself = replace(four, attrs=((inet_sets.IFA_ADDRESS, four.local),))
    assert inet_sets.union(Inet((four,)), Inet((peer, itself))).addresses == (four, peer)
    assert inet_sets.union(Inet((four,)), Inet((address("10.0.0.2/24", 2),))).addresses[1].prefixlen == 24


def test_what_one_adds_to_the_other() -> None:
    four = Inet((address("10.0.0.2/24", 2),))
    assert inet_sets.adds_to(Inet(), four)
    assert not inet_sets.adds_to(four, four)
    assert not inet_sets.adds_to(four, Inet((LOCAL,)))
    assert inet_sets.is_in(four, four)
    assert not inet_sets.is_in(four, Inet())
    assert not inet_sets.is_in(Inet((), (route("10.1.0.0/16", 2),)), Inet())


def test_nexthop_objects_cannot_be_moved() -> None:
    bad = replace(route("10.1.0.0/16", 2), attrs=((inet_sets.RTA_NH_ID, b"\1\0\0\0"),))
    assert "nexthop object" in inet_sets.unmovable_reason(Inet((), (bad,)))
    assert inet_sets.unmovable_reason(Inet((), (route("10.1.0.0/16", 2),))) == ""


@given(inets, inets)
def test_a_union_has_both_and_no_more(first: Inet, second: Inet) -> None:
    both = inet_sets.union(first, second)
    assert inet_sets.is_in(first, both)
    assert inet_sets.is_in(second, both)
    assert set(both.addresses) <= {*first.addresses, *second.addresses}
    assert set(both.routes) <= {*first.routes, *second.routes}
    assert inet_sets.union(both, second) == both
