"""Interfaces for tests of the inventory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from failoverd.inventory.facts import DefaultRoute, Interface, IpAddress
from failoverd.inventory.stock import Entry, Stock
from failoverd.inventory.xml import lines_of

MAC = "52:54:00:00:00:0{}"


def link(ifindex: int, name: str, **more: Any) -> Interface:
    """One that is up, with a MAC that ends with its ifindex."""
    return Interface(
        **{
            "ifindex": ifindex,
            "name": name,
            "mac": MAC.format(ifindex),
            "up": True,
            "running": True,
            "carrier": True,
            "operstate": "up",
            "mtu": 1500,
            **more,
        }
    )


def stock_of(*seen: Interface) -> Stock:
    """A stock that knows these, with nothing left to be looked at."""
    stock = Stock()
    for one in seen:
        stock.see(one)
    stock.take_stale()
    return stock


def made(stock: Stock) -> None:
    """Make everything that is kept."""
    for entry in stock.entries.values():
        entry.line = entry.row = entry.document = b"made"


def kept(stock: Stock, what: str) -> set[int]:
    """The interfaces of which this is still kept."""
    return {ifindex for ifindex, entry in stock.entries.items() if getattr(entry, what) is not None}


def xml(stock: Stock, ifindex: int) -> list[str]:
    """The lines of a document, without their margins."""
    return [line.strip() for line in lines_of(stock, stock.entries[ifindex])]


def entry(stock: Stock, ifindex: int) -> Entry:
    """One interface's."""
    return stock.entries[ifindex]


def ip(text: str, prefix: int, from_router: bool = False) -> IpAddress:
    """An address of either family."""
    return IpAddress(6 if ":" in text else 4, text, prefix, from_router)


def route(ifindex: int, gateway: str, **more: Any) -> DefaultRoute:
    """A default route, of the gateway's family."""
    return DefaultRoute(**{"family": 6 if ":" in gateway else 4, "ifindex": ifindex, "gateway": gateway, **more})


def names(entries: Sequence[Entry]) -> list[str]:
    """Their names, in order."""
    return [one.seen.name for one in entries]
