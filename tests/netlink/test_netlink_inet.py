from __future__ import annotations

from dataclasses import replace

import kernelbytes as kernel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failoverd.model.inet import FOREVER, Address, Hop, Route
from failoverd.netlink.frames import NetlinkError, split
from failoverd.netlink.inet import read_address, read_route, without_label, write_address, write_route

U8, U32, IFINDEX = st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF), st.integers(1, 0x7FFFFFFF)
ADDRESS_APART, ROUTE_APART = (6, 8), (4, 9, 12, 15, 23)


def attrs(apart: tuple[int, ...]) -> st.SearchStrategy[tuple[tuple[int, bytes], ...]]:
    row = st.tuples(st.integers(1, 60).filter(lambda kind: kind not in apart), st.binary(max_size=20))
    return st.lists(row, max_size=5).map(tuple)


ADDRESSES = st.builds(
    lambda local, rest, **fields: Address(local=local, attrs=((2, local), *rest), **fields),
    local=st.binary(min_size=4, max_size=4),
    rest=attrs((2, *ADDRESS_APART)),
    ifindex=IFINDEX,
    family=U8,
    prefixlen=U8,
    scope=U8,
    flags=U32,
    valid=U32,
    preferred=U32,
)
HOPS = st.builds(Hop, IFINDEX, st.sampled_from([0, 4]), U8, attrs(()))
ROUTES = st.builds(
    Route,
    ifindex=IFINDEX,
    family=U8,
    dst_len=U8,
    src_len=U8,
    tos=U8,
    table=U32,
    protocol=U8,
    scope=U8,
    type=U8,
    flags=st.sampled_from([0, 4]),
    attrs=attrs(ROUTE_APART),
    hops=st.just(()),
)


@given(ADDRESSES)
def test_an_address_goes_there_and_back(address: Address) -> None:
    (message,) = split(kernel.message(20, write_address(address)))
    assert read_address(message) == address


@given(ROUTES)
def test_a_route_goes_there_and_back(route: Route) -> None:
    (message,) = split(kernel.message(24, write_route(route)))
    assert read_route(message) == route


@given(ROUTES, st.lists(HOPS, min_size=1, max_size=3).map(tuple))
def test_a_multipath_route_goes_there_and_back(route: Route, hops: tuple[Hop, ...]) -> None:
    many = replace(route, hops=hops)
    (message,) = split(kernel.message(24, write_route(many)))
    assert read_route(message) == replace(many, ifindex=0)


def test_the_label_is_left_behind() -> None:
    address = Address(7, 2, 24, 0, 0, b"\n\0\0\1", ((2, b"\n\0\0\1"), (3, b"ens3\0")))
    assert without_label(address).attrs == ((2, b"\n\0\0\1"),)


def test_a_clone_is_no_configuration() -> None:
    (message,) = split(kernel.message(24, bytes(8) + (0x200).to_bytes(4, "little")))
    assert read_route(message) is None


@pytest.mark.parametrize("short", [kernel.attr(6, b"1234"), kernel.attr(8, b"1")])
def test_an_attribute_of_an_address_that_is_too_short(short: bytes) -> None:
    (message,) = split(kernel.message(20, bytes(8) + short))
    with pytest.raises(NetlinkError, match="should have"):
        read_address(message)


@pytest.mark.parametrize("short", [kernel.attr(4, b"1"), kernel.attr(15, b""), kernel.attr(9, b"\xff\0\0\0\0\0\0\0")])
def test_an_attribute_of_a_route_that_is_too_short(short: bytes) -> None:
    (message,) = split(kernel.message(24, bytes(12) + short))
    with pytest.raises(NetlinkError):
        read_route(message)


@given(st.binary(max_size=100), st.booleans())
def test_garbage_is_read_or_refused(garbage: bytes, is_route: bool) -> None:
    (message,) = split(kernel.message(24, bytes(8) + garbage))
    try:
        found = read_route(message) if is_route else read_address(message)
    except NetlinkError:
        return
    assert found is None or found.ifindex is not None


def test_an_address_for_ever_tells_no_lifetimes() -> None:
    address = Address(7, 2, 24, 0, 0, b"\n\0\0\1", ((2, b"\n\0\0\1"),), FOREVER, FOREVER)
    assert len(write_address(address)) == 8 + 8 + 8
