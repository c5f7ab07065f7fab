"""What of the kernel's events the inventory's socket lets pass."""

from __future__ import annotations

import struct

import kernelbytes as kernel
from test_netlink_inventory import address, prefix, route

from failoverd.netlink.inventory_filter import FILTER


def test_the_filter_lets_pass_what_matters() -> None:
    """As the kernel runs it: this is the program, interpreted."""

    def passes(message: bytes) -> bool:
        at = 0
        value = 0
        while True:
            code, yes, no, operand = struct.unpack_from("=HBBI", FILTER, at * 8)
            at += 1
            if code == 0x28:
                value = int.from_bytes(message[operand : operand + 2], "big")
            elif code == 0x30:
                value = message[operand]
            elif code == 0x15:
                at += yes if value == operand else no
            else:
                assert code == 0x06
                return bool(operand)

    assert passes(route().raw)
    assert passes(route(family=10).raw)
    assert not passes(route(dst=24).raw)
    assert not passes(route(table=77).raw)
    assert passes(prefix(10, 64, 2).raw)
    assert not passes(prefix(10, 64, 9).raw)
    assert not passes(prefix(2, 24, 2).raw)
    gone = bytearray(route(dst=24).raw)
    gone[4] = 25
    assert not passes(bytes(gone))
    assert passes(kernel.link(7, b"x"))
    assert passes(address(2).raw)
