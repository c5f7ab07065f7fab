"""Look at a whole network namespace: all devices with their traffic control, and the configuration of a few.

For what happens rarely, as a move. What is asked all the time has sockets and filters of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import trio

from failoverd.model.inet import Rule
from failoverd.model.links import Link
from failoverd.model.linktable import LinkTable
from failoverd.model.pairs import Inet
from failoverd.netlink.bystanders import read_bystander
from failoverd.netlink.fetch import FAMILIES, STRETCH, Opener, dump_once, fetch_inet
from failoverd.netlink.links import RTM_NEWLINK, head, read_link
from failoverd.netlink.requests import dump_links_plainly
from failoverd.netlink.rules import RTM_NEWRULE, ask_rules, read_rule
from failoverd.netlink.tc import RTM_NEWQDISC, Table, dump_qdiscs
from failoverd.netlink.tc import head as tc_head

Looked = tuple[LinkTable, Mapping[int, Inet], tuple[Rule, ...]]
NO_RULES = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT)
"""Of a kernel without policy routing, or without a family."""


async def look_whole(open_socket: Opener, concerned: Callable[[LinkTable], Iterable[int]]) -> Looked:
    """Return the devices, the configuration of those that `concerned` names, and the policy rules that name devices.
    Raises as fetch_inet does.

    Of their tc filters only the qdisc that has them is known.
    """
    links = LinkTable()
    for number, message in enumerate(await dump_once(open_socket, dump_links_plainly(1))):
        if number % STRETCH == 0:
            await trio.lowlevel.checkpoint()
        if message.type == RTM_NEWLINK and head(message)[0] == 0:
            link = read_bystander(message) or read_link(message)
            links[link.ifindex] = link
    tables: dict[int, Table] = {}
    for message in await dump_once(open_socket, dump_qdiscs(1)):
        if message.type == RTM_NEWQDISC:
            tables.setdefault(tc_head(message)[1], Table()).take(message)
    for ifindex in tables.keys() & links.keys():
        links[ifindex] = _with_tc(links[ifindex], tables[ifindex])
    rules = [rule for family in FAMILIES for rule in await _rules(open_socket, family) if rule.names]
    return links, await fetch_inet(open_socket, concerned(links)), tuple(rules)


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
