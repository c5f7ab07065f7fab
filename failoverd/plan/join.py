"""From two NICs to a master with two slaves, with the traffic hardly noticing.

The order is what keeps it quiet. First the bond is made and takes the VF, while the paravirtual NIC goes on carrying.
Only when the VF shows its carrier (or will not in time), one datagram does the rest: the NIC down and renamed, the bond
given its name, brought up, and the addresses and routes put on it. The kernel works through a datagram in one go, so a
crash of ours finds either nothing of it done or all. On kernels before 6.2 neither an UP NIC nor an UP bond can be
renamed, which is why the bond stays down until then; it costs nothing on newer ones.

A VF that has addresses of its own is in use. It is not taken first but at the end of that datagram, when the master has
its addresses and the NIC carries: the machine's root file system may come by them.

Before the first step that can lose an address, everything is in a journal on disk.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import AddAltname, AddRoute, DropAltname, Rename, Request, SetMtu, SetUp
from failoverd.plan import moving, names
from failoverd.plan.inplace import join_in_place
from failoverd.plan.release import afterwards
from failoverd.plan.situation import Do, Finish, GiveUp, Next, Rest, Situation, Wait, Write
from failoverd.policy.naming import PREFIX, mark, new_mark, spare_name, why_not_a_name
from failoverd.policy.wanted import standby_name, why_not


def join(s: Situation) -> Next:
    """Name the next step toward a joined pair."""
    if s.datapath.in_place:
        # What a bond had begun to move is given back first.
        return afterwards(s, s.journal) if s.journal is not None else join_in_place(s)
    if s.master is None:
        return _create(s)
    if mark(s.mac) not in s.master.altnames:
        return _mark(s, s.master)
    journal = s.under_way(Goal.JOINED)
    if journal is not None:
        return _move(s, s.master, journal)
    if s.is_passing() or s.journal is not None:
        return _prepare(s, s.master)
    return _take(s, s.nic) or _take(s, s.vf) or Rest()


def _create(s: Situation) -> Next:
    nic = s.nic
    if nic is None:
        return Rest()
    if nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {nic.name} yet")
    if reason := why_not_a_name(nic.name):
        return GiveUp(f"{nic.name!r} cannot be the master's name: {reason}; rename the NIC first")
    requests = s.datapath.create(s.mac, nic, s.config)
    if refusal := s.refusal(requests):
        why = f"no master for {nic.name}: {refusal}"
        return GiveUp(why) if s.under_way(Goal.JOINED) else Wait(why)
    return Do(tuple(requests), f"make a master for {nic.name}")


def _mark(s: Situation, master: Link) -> Next:
    """Without its mark, failoverd would not know the master again as soon as it has the NIC's name."""
    requests = tuple(AddAltname(master.ifindex, name) for name in (new_mark(s.mac), mark(s.mac)))
    if refusal := s.refusal(requests):
        return GiveUp(f"{master.name} could not be marked as made by failoverd: {refusal}")
    return Do(requests, f"mark {master.name} as made by failoverd")


def _prepare(s: Situation, master: Link) -> Next:
    """The master is not in use yet: write down what there is, give it the VF, wait for the carrier."""
    nic, journal = s.nic, s.journal
    if nic is None:
        return GiveUp(f"the paravirtual NIC that {master.name} was made for is gone or held; see failoverctl explain")
    if nic.ifindex not in s.ready:
        return Wait(f"udev is not done with {nic.name} yet")
    if journal is None or journal.toward is not Goal.JOINED:
        return _first_look(s, nic)
    if _is_vf_in_use(journal):
        if s.vf is not None and s.vf.ifindex not in s.ready:
            return Wait(f"udev is not done with {s.vf.name} yet")
    elif step := _take(s, s.vf, journal) or _await_carrier(s):
        return step
    if step := names.remember_nic(s, nic) or s.look_at(nic):
        return step
    return Write(replace(_describe(s, nic, journal), cut=True))


def _is_vf_in_use(journal: Journal) -> bool:
    """Whether the VF has addresses of its own. Then it may be what the machine's root comes by, from its initramfs on:
    it is not taken before its addresses have another place."""
    return moving.adds_to(Inet(), journal.extra)


def _await_carrier(s: Situation) -> Wait | None:
    if s.is_in(s.vf) and not s.can_carry(s.vf) and s.vf_wait is not None and s.now < s.vf_wait:
        return Wait("the VF has no carrier yet", s.vf_wait)
    return None


def _first_look(s: Situation, nic: Link) -> Next:
    if look := s.look_at(nic, s.vf):
        return look
    for link in (nic, s.vf):
        if link is not None and (reason := moving.why_not_movable(s.seen(link))):
            return GiveUp(f"{link.name}: {reason}; take that route away or write it without the object")
    return Write(_describe(s, nic, Journal(s.mac, Goal.JOINED, nic.name, nic.up, nic.mtu, extra=s.seen(s.vf))))


def _describe(s: Situation, nic: Link, journal: Journal) -> Journal:
    """What the master has to be. Where only the VF was in use, the master is up although the NIC was not."""
    up = nic.up or moving.adds_to(Inet(), journal.extra)
    name = names.master_name(s, nic)
    altnames = names.others(s, nic, name)
    return replace(journal, name=name, up=up, mtu=nic.mtu, altnames=altnames, inet=s.seen(nic), nic=nic.ifindex)


def _take(s: Situation, slave: Link | None, journal: Journal | None = None) -> Next | None:
    """Enslave a NIC, if there is one to be had, without the addresses somebody gave it.

    As long as the configuration is not on the master, they are written down and go there, too. Afterwards they are
    the doing of a DHCP client or an agent that took the slave for the machine's NIC.
    """
    master = s.master
    if slave is None or master is None or s.is_in(slave):
        return None
    if slave.ifindex not in s.ready:
        return Wait(f"udev is not done with {slave.name} yet")
    requests = s.may(s.datapath.attach(slave, master))
    if not requests:
        return None
    name = names.name_vf(s, slave, journal.name if journal is not None else master.name) if slave is s.vf else []
    if isinstance(name, Do):
        return name
    if look := s.look_at(slave):
        return look
    seen = s.seen(slave)
    if journal is not None and not moving.is_in(seen, journal.extra):
        return Write(replace(journal, extra=moving.union(journal.extra, seen)))
    *down, enslave = requests
    return Do((*moving.drop_all(seen), *down, *name, enslave), f"enslave {slave.name} to {master.name}")


def _move(s: Situation, master: Link, journal: Journal) -> Next:
    """The journal is written: exchange the names and put the configuration on the master."""
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
    if vf is None or s.is_in(vf) or vf.ifindex not in s.ready or not _is_vf_in_use(journal):
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
    vf = s.vf if not s.is_in(s.vf) and _is_vf_in_use(journal) else None
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
    if nic is not None and not s.is_in(nic) and (requests := s.may(s.datapath.attach(nic, master))):
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
