"""The names, the addresses and the routes of a paravirtual NIC go to its master, which is made and has its VF.

One datagram does it: the NIC down and renamed, the bond given its name, brought up, and the addresses and routes put on
it. The kernel works through a datagram in one go, so a crash of ours finds either nothing of it done or all.

Where the VF carries, the NIC stays down and alone until whoever managed it by its old name has let go of it, and is
enslaved behind the handover. A DHCP client that finds it up again goes on with its lease there: networkd takes the
marks in when udev tells of the rename, and looks at them when the carrier comes. Where the VF cannot carry, the NIC has
to, and is enslaved in that datagram.

A VF that has addresses of its own is in use. It was not taken before, but is at the end of that datagram, when the
master has its addresses and the NIC carries: the machine's root file system may come by them.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.model.links import Link
from failoverd.model.pairs import Inet, Journal
from failoverd.model.requests import AddAltname, AddRoute, DropAltname, Rename, Request, SetMtu, SetUp
from failoverd.plan import moving, names
from failoverd.plan.situation import Do, Finish, GiveUp, Next, Situation, Write
from failoverd.policy.naming import PREFIX, new_mark, spare_name
from failoverd.policy.wanted import standby_name, why_not


def is_vf_in_use(journal: Journal) -> bool:
    """Whether the VF has addresses of its own. Then it may be what the machine's root comes by, from its initramfs on:
    it is not taken before its addresses have another place."""
    return moving.adds_to(Inet(), journal.extra)


def handover(s: Situation, master: Link, journal: Journal) -> Next:
    """Name the next step. The journal is written: exchange the names and put the configuration on the master."""
    nic, shape, vfs = s.nic, list[Request](), list[Request]()
    if s.is_passing():
        if step := _last_look(s, master, journal):
            return step
        along = _take_along(s, master, journal)
        if isinstance(along, Do):
            return along
        vfs += along
        shape += _exchange_names(s, master, journal)
    elif master.name != journal.name:
        # Somebody has renamed it since it was moved.
        return Write(replace(journal, name=master.name))
    if nic is not None and not s.is_in(nic) and not s.can_carry(s.vf):
        is_up = nic.up and SetUp(nic.ifindex, up=False) not in shape
        shape += s.datapath.attach(replace(nic, up=is_up), master)
    is_up = master.up and SetUp(master.ifindex, up=False) not in shape
    up: list[Request] = [SetUp(master.ifindex, up=True)] if journal.up and not is_up else []
    if refusal := s.refusal((*shape, *up)):
        return GiveUp(f"{journal.name} could not be moved to a master, and was given back: {refusal}")
    if not shape and not up:
        return _check(s, master, journal)
    wanted = moving.to_device(moving.union(journal.inet, journal.extra), master.ifindex)
    there = s.seen(master)
    addresses = (*moving.add_links_local(wanted, there), *up, *moving.add_others(wanted, there, journal.up))
    left = moving.drop_all(s.seen(nic))
    if vfs:
        # It receives for the master until it is down. Only then are its IPv6 routes free, each of which there is once.
        its = moving.to_device(journal.extra, master.ifindex).routes
        again = [AddRoute(route) for route in its if moving.is_own_route6(route)]
        left += [*moving.drop_all(s.seen(s.vf)), *vfs, *again]
    return Do((*shape, *addresses, *left), f"move {journal.name} to its master")


def _take_along(s: Situation, master: Link, journal: Journal) -> Do | list[Request]:
    """What takes a VF that is in use, for the datagram that moves its addresses. Without it the standby carries."""
    vf = s.vf
    if vf is None or s.is_in(vf) or vf.ifindex not in s.ready or not is_vf_in_use(journal):
        return []
    name = names.name_vf(s, vf, journal.name)
    if isinstance(name, Do):
        return name
    *down, enslave = s.datapath.attach(vf, master)
    return list(s.may((*down, *name, enslave)))


def _last_look(s: Situation, master: Link, journal: Journal) -> Next | None:
    """The journal may be an hour old, if failoverd was dead meanwhile: what has come to the NIC since belongs to it."""
    nic = s.nic
    if reason := why_not(journal.name, s.links, master.ifindex, nic.ifindex if nic else 0):
        return GiveUp(f"{journal.name} could not be moved to a master: {reason} now")
    if nic is not None and (name := _other_name(s, nic, journal)):
        return Write(replace(journal, name=name, altnames=names.others(s, nic, name)))
    vf = s.vf if not s.is_in(s.vf) and is_vf_in_use(journal) else None
    if look := s.look_at(nic, vf):
        return look
    if moving.is_in(s.seen(nic), journal.inet) and moving.is_in(s.seen(vf), journal.extra):
        return None
    inet, extra = moving.union(journal.inet, s.seen(nic)), moving.union(journal.extra, s.seen(vf))
    return Write(replace(journal, inet=inet, extra=extra))


def _other_name(s: Situation, nic: Link, journal: Journal) -> str:
    """What the master is to be called where somebody has renamed the NIC since the journal was written, or "". One that
    was plugged in anew has its name from udev."""
    if nic.ifindex != journal.nic or nic.name in (_standby_name(s, nic, journal), spare_name(s.mac)):
        return ""
    name = names.master_name(s, nic)
    return name if name != journal.name else ""


def _exchange_names(s: Situation, master: Link, journal: Journal) -> list[Request]:
    requests: list[Request] = []
    nic = s.nic
    if nic is not None:
        standby = _standby_name(s, nic, journal)
        requests += [SetUp(nic.ifindex, up=False)] if nic.up and not s.is_in(nic) else []
        requests += names.rename(nic, standby) if nic.name != standby else []
    requests += [SetUp(master.ifindex, up=False)] if master.up else []
    requests += [SetMtu(master.ifindex, journal.mtu)] if master.mtu != journal.mtu else []
    requests += [DropAltname(master.ifindex, new_mark(s.mac))] if new_mark(s.mac) in master.altnames else []
    return [*requests, Rename(master.ifindex, journal.name)] if master.name != journal.name else requests


def _standby_name(s: Situation, nic: Link, journal: Journal) -> str:
    return standby_name(nic.ifindex, journal.name, s.mac, s.config.naming, s.links)


def _check(s: Situation, master: Link, journal: Journal) -> Next:
    """The names are exchanged; see to it that nothing was lost on the way, and nothing is left on the slaves."""
    nic = s.nic
    is_free = nic is not None and not s.is_in(nic) and not s.is_held(nic)
    if nic is not None and is_free and (requests := s.may(s.datapath.attach(nic, master))):
        return Do(requests, f"enslave {nic.name} to {master.name} as its standby")
    if look := s.look_at(master, nic, s.vf):
        return look
    whole = moving.union(journal.inet, journal.extra)
    if not moving.is_in(s.seen(nic), whole):
        # It came to the NIC between the last look at it and the move.
        return Write(replace(journal, inet=moving.union(journal.inet, s.seen(nic))))
    wanted = moving.to_device(whole, master.ifindex)
    there = s.seen(master)
    # Up and not joined, it would keep routes that are the master's now; IPv6 has each but once.
    todo: list[Request] = [SetUp(nic.ifindex, up=False)] if nic is not None and nic.up and not s.is_in(nic) else []
    todo += _altnames(s, master, journal)
    todo += [*moving.add_links_local(wanted, there), *moving.add_others(wanted, there, master.up)]
    for slave in (nic, s.vf):
        todo += moving.drop_all(s.seen(slave)) if s.is_in(slave) else []
    return s.rest(todo, f"put the rest on {master.name}") or Finish()


def _altnames(s: Situation, master: Link, journal: Journal) -> list[Request]:
    """The NIC's alternative names become the master's.

    A message without any says nothing of them to systemd-networkd (252, link_update_alternative_names). It would go on
    believing that the last one is the NIC's, and give up the master (EEXIST) as soon as that bears it. So the last one
    that it sees go is one of ours.
    """
    nic, names = s.nic, journal.altnames
    drop: list[Request] = [DropAltname(nic.ifindex, name) for name in names if name in nic.altnames] if nic else []
    if nic is not None and s.may(drop) and nic.altnames <= set(names):
        passing = f"{PREFIX}passing-{nic.ifindex}"
        drop = [AddAltname(nic.ifindex, passing), *drop, DropAltname(nic.ifindex, passing)]
    return [*drop, *(AddAltname(master.ifindex, name) for name in names if name not in master.altnames)]
