"""The devices as the kernel's messages tell of them: messages in, events out.

A message is an event only where it tells of a change, or was sent because of one. Most messages of a busy machine are
about devices that can be in no pair (bystanders.py): such a message is an event only where it changes something that is
kept of the device.

Traffic control on a device is part of the device: qdiscs and filters are put into `Link.tc`. So the active NIC is read
off the kernel under the `tc` datapath, too.

During a dump each message counts for both: for what is known, and for what the dump has listed so far (dump.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from failoverd.model.events import AddressSeen, Event, LinkGone, LinkSeen
from failoverd.model.links import BYSTANDERS, Link
from failoverd.netlink import tc
from failoverd.netlink.bystanders import read_bystander
from failoverd.netlink.dump import Dump
from failoverd.netlink.frames import NLM_F_DUMP_INTR, Message, NetlinkError
from failoverd.netlink.inet import IFADDR
from failoverd.netlink.links import AF_UNSPEC, IFF_LOWER_UP, IFF_UP, RTM_DELLINK, head, read_link
from failoverd.netlink.lookahead import LookAhead
from failoverd.netlink.peeks import Peeks
from failoverd.netlink.tc import Table

log = logging.getLogger("failoverd")

Complete = Callable[[Link], Link]
"""Adds what is not in a device's message: its driver, its virtio features."""


class KnownDevices:
    """The devices; see the module."""

    def __init__(self, complete: Complete) -> None:
        self._complete = complete
        self._links: dict[int, Link] = {}
        self._tables: dict[int, Table] = {}
        self.peeks = Peeks()
        """The states that were asked for."""
        self.ahead = LookAhead(self._links)
        """The datagrams that are queued."""

    def foresee(self) -> Iterator[Event]:
        """Report the NICs that have lost their link by the end of the queue, ahead of everything else."""
        for link in self.ahead.losses():
            self._links[link.ifindex] = link
            yield LinkSeen(link)

    def replace_all(self, links: Iterable[Link], tables: Mapping[int, Table]) -> None:
        """Take these for all that there is: a dump is complete."""
        self._tables = {**tables}
        self._links.clear()
        self._links |= {link.ifindex: link for link in links}

    def device(
        self, message: Message, dump: Dump | None, now: float, is_answer: Callable[[Message], bool]
    ) -> Iterator[Event]:
        """Take in RTM_NEWLINK or RTM_DELLINK. `is_answer`: whether it is the state that was asked for behind a batch.

        Such a message may have nothing new; any other one was sent because something changed.
        """
        family, ifindex, flags = head(message)
        if family != AF_UNSPEC:
            return
        if message.type == RTM_DELLINK:
            if dump is not None:
                dump.links.pop(ifindex, None)
                dump.tables.pop(ifindex, None)
            self._tables.pop(ifindex, None)
            self.peeks.forget(ifindex)
            self._links.pop(ifindex, None)
            yield LinkGone(ifindex)
            yield from self._led_to(ifindex, dump)
            return
        if self.peeks.is_old_news(message, ifindex):
            return
        is_row = dump is not None and message.seq == dump.seq
        if not is_row:
            yield from self._lost_link(ifindex, flags)
        try:
            link = self.ahead.as_known(self._read(message))
            if (table := self._tables.get(ifindex)) is not None:
                link = replace(link, tc=table.tc())
        except NetlinkError as error:
            # A new dump would bring the same message, and other devices must not suffer from it.
            log.warning("what the kernel says of device %d cannot be read: %s; it is left alone", ifindex, error)
            return
        known, self._links[ifindex] = self._links.get(ifindex), link
        if dump is not None:
            dump.take(link, message, now)
        if not is_row and not (link == known and (link.kind in BYSTANDERS or is_answer(message))):
            yield LinkSeen(link)

    def _read(self, message: Message) -> Link:
        """Read a device, by hand where that is enough. The lab's veths stand for hardware: `complete` tells which."""
        bystander = read_bystander(message)
        if bystander is not None and self._complete(bystander) is bystander:
            return bystander
        return self._complete(read_link(message))

    def _led_to(self, ifindex: int, dump: Dump | None) -> Iterator[Event]:
        """Clear the redirects to a device that is gone.

        They lead nowhere even when the device comes back with its ifindex, as from another namespace: act_mirred
        forgets it at NETDEV_UNREGISTER (mirred_device_event), and sends no message.
        """
        for table in dump.tables.values() if dump is not None else ():
            table.forget_target(ifindex)
        for index, table in self._tables.items():
            if table.forget_target(ifindex) and (known := self._links.get(index)) is not None:
                self._links[index] = replace(known, tc=table.tc())
                yield LinkSeen(self._links[index])

    def address(self, message: Message) -> Iterator[Event]:
        """Report an address only on hardware: nothing else can be a slave, and a master gets its addresses anew with
        every router advertisement."""
        if len(message.payload) < IFADDR.size:
            raise NetlinkError(f"an address message of {len(message.payload)} bytes")
        known = self._links.get(IFADDR.unpack_from(message.payload)[4])
        if known is not None and known.perm_mac and not known.kind:
            yield AddressSeen(known.ifindex)

    def _lost_link(self, ifindex: int, flags: int) -> Iterator[Event]:
        """Report that a slave is down or has no carrier, ahead of everything else in its message.

        Both flags are in the message's header. Decoding the rest takes ten times as long as a switch.
        """
        known = self._links.get(ifindex)
        if known is None or not known.carrier or (flags & IFF_UP and flags & IFF_LOWER_UP):
            return
        up = bool(flags & IFF_UP)
        self._links[ifindex] = replace(known, up=up, carrier=False)
        yield LinkSeen(self._links[ifindex])

    def traffic_control(self, message: Message, dump: Dump | None, now: float) -> Iterator[Event]:
        """Apply a traffic control message; during a dump, both to the known state and to what the dump has listed so
        far."""
        ifindex = tc.head(message)[1]
        if dump is not None and dump.parts is not None:
            dump.tables.setdefault(ifindex, Table()).take(message)
        if dump is not None and message.seq == dump.seq:
            dump.heard = now
            dump.interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
            return
        table = self._tables.setdefault(ifindex, Table())
        table.take(message)
        if (known := self._links.get(ifindex)) is not None and known.tc != table.tc():
            self._links[ifindex] = replace(known, tc=table.tc())
            yield LinkSeen(self._links[ifindex])
