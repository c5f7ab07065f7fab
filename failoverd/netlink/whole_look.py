"""Look at a whole network namespace: all devices with their traffic control, and the configuration of a few.

For what happens rarely, as a move. What is asked all the time has sockets and filters of its own.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import trio

from failoverd.model.inet import Rule
from failoverd.model.links import Link, Qdisc
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Inet
from failoverd.netlink.bridges import has_static_entries, oddity, read_rest
from failoverd.netlink.bystanders import read_bystander
from failoverd.netlink.fetch import FAMILIES, STRETCH, Opener, dump_once, fetch_inet
from failoverd.netlink.frames import NLM_F_DUMP, Message, attribute, build
from failoverd.netlink.inet import RTA_TABLE, RTM_GETROUTE, RTM_NEWROUTE, RTMSG, read_route
from failoverd.netlink.links import RTM_NEWLINK, head, read_link
from failoverd.netlink.qdiscs import ask_filters_of, read_root
from failoverd.netlink.requests import dump_links_plainly
from failoverd.netlink.rules import RTM_NEWRULE, ask_rules, read_rule
from failoverd.netlink.tc import RTM_NEWQDISC, Table, dump_qdiscs
from failoverd.netlink.tc import head as tc_head

Looked = tuple[
    LinkTable, Mapping[int, Inet], tuple[Rule, ...], Mapping[int, Qdisc], Mapping[int, bytes], Mapping[int, str]
]
NUMBER = struct.Struct("=I")
NO_RULES = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT)
"""Of a kernel without policy routing, or without a family."""


async def look_whole(open_socket: Opener, concerned: Callable[[LinkTable], Iterable[int]]) -> Looked:
    """Return the devices and the policy rules; of the devices that `concerned` names the configuration, the root qdiscs
    that can be made again (qdiscs.py), the further options of bridges, and what cannot be cloned of bridges and their
    ports (bridges.py). Raises as fetch_inet does.

    Of tc filters only the qdisc that has them is known.
    """
    links, messages = LinkTable(), dict[int, Message]()
    for number, message in enumerate(await dump_once(open_socket, dump_links_plainly(1))):
        if number % STRETCH == 0:
            await trio.lowlevel.checkpoint()
        if message.type == RTM_NEWLINK and head(message)[0] == 0:
            link = read_bystander(message) or read_link(message)
            links[link.ifindex], messages[link.ifindex] = link, message
    tables: dict[int, Table] = {}
    qdiscs: dict[int, Qdisc] = {}
    for message in await dump_once(open_socket, dump_qdiscs(1)):
        if message.type == RTM_NEWQDISC:
            tables.setdefault(tc_head(message)[1], Table()).take(message)
            qdiscs |= [root] if (root := read_root(message)) is not None else []
    for ifindex in tables.keys() & links.keys():
        links[ifindex] = _with_tc(links[ifindex], tables[ifindex])
    rules = [rule for family in FAMILIES for rule in await _rules(open_socket, family)]
    ifindexes = tuple(concerned(links))
    for ifindex in ifindexes:
        links[ifindex] = replace(read_link(messages[ifindex]), tc=links[ifindex].tc)
    rests = {i: rest for i in ifindexes if (rest := read_rest(messages[i]))}
    odd = {i: why for i in ifindexes if (why := oddity(messages[i]))}
    for bridge in rests:
        if await has_static_entries(open_socket, bridge):
            odd[bridge] = "it has static forwarding entries, which cannot be cloned yet"
    asked = [(ifindex, qdiscs[ifindex]) for ifindex in ifindexes if ifindex in qdiscs]
    plain = {i: qdisc for i, qdisc in asked if not await dump_once(open_socket, ask_filters_of(i, qdisc, 1))}
    return links, await fetch_inet(open_socket, ifindexes), tuple(rules), plain, rests, odd


async def look_at_tables(
    open_socket: Opener, tables: Iterable[tuple[int, int]]
) -> Mapping[tuple[int, int], frozenset[int]]:
    """Return who has routes in these tables, given by family and number: ifindexes, 0 for a route without a device.
    Raises as fetch_inet does.

    The kernel filters; an old one, or one with a family less, may list others.
    """
    found: dict[tuple[int, int], frozenset[int]] = {}
    for family, table in tables:
        head = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        ask = build(RTM_GETROUTE, NLM_F_DUMP, 1, head + attribute(RTA_TABLE, NUMBER.pack(table)))
        try:
            rows = await dump_once(open_socket, ask)
        except OSError as error:
            # fib_get_table() has none of that number.
            if error.errno != errno.ENOENT:
                raise
            continue
        routes = [read_route(message) for message in rows if message.type == RTM_NEWROUTE]
        meant = [route for route in routes if route is not None and (route.family, route.table) == (family, table)]
        users = {hop.ifindex for route in meant for hop in route.hops} | {r.ifindex for r in meant if not r.hops}
        found[family, table] = frozenset(users)
    return found


async def _rules(open_socket: Opener, family: int) -> list[Rule]:
    try:
        rows = await dump_once(open_socket, ask_rules(family, 1))
    except OSError as error:
        if error.errno not in NO_RULES:
            raise
        return []
    return [read_rule(message) for message in rows if message.type == RTM_NEWRULE]


def _with_tc(link: Link, table: Table) -> Link:
    return replace(link, tc=tc) if (tc := table.tc()) != link.tc else link
