"""The handover: a paravirtual NIC's names, addresses and routes go to its master, which is made and has its VF.

One datagram does it: the NIC down and renamed, the bond given its name, brought up, and the addresses and routes put on
it. The kernel works through a datagram before sendmsg() returns, so a crash of failoverd finds either nothing of it
done or all. A move of more than 64 KiB of routes is split (netlink/conversation.py, LARGEST); after a crash between two
parts the journal brings back the rest. (No test cuts there yet.)

Where the VF carries, the NIC stays down and outside the bond until the network manager that had it under its old name
has let go of it; it is enslaved after the handover. A DHCP client that finds it up again goes on with its lease there:
systemd-networkd takes the marks in when udev reports the rename, and looks at them when the carrier comes. Where the VF
cannot carry, the NIC has to, and is enslaved in that datagram.

A VF that has addresses of its own is in use. It was not enslaved before, but is at the end of that datagram, when the
master has its addresses and the NIC carries: the machine's root file system may come by them.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.model.links import Link
from failoverd.model.pairs import Inet, Journal
from failoverd.model.requests import AddAltname, AddRoute, DropAltname, Rename, Request, SetMtu, SetUp, TryMaster
from failoverd.plan import inet_sets, likeness, names, transfer, vlans
from failoverd.plan.situation import Do, Finish, GiveUp, Next, Situation, Wait, Write
from failoverd.policy.naming import PREFIX, is_new, new_mark, spare_name
from failoverd.policy.stacking import obstacle
from failoverd.policy.wanted import name_conflict, standby_name


def is_vf_in_use(journal: Journal) -> bool:
    """Whether the VF has addresses of its own.

    Then the machine's root file system may come by it, from the initramfs on: it is not enslaved before its addresses
    have another place.
    """
    return inet_sets.adds_to(Inet(), journal.extra)


def handover(s: Situation, master: Link, journal: Journal) -> Next:
    """Name the next step, with the journal written: exchange the names and put the configuration on the master."""
    nic, shape, vfs, tagged = s.nic, list[Request](), list[Request](), vlans.Exchange()
    if s.is_passing(master):
        if step := _get_ready(s, master, journal):
            return step
        along = _take_along(s, master, journal)
        if isinstance(along, Do):
            return along
        vfs += along
        tagged = vlans.exchange(s, nic, master, journal.vlans)
        shape += [*_exchange_names(s, master, journal), *tagged.names]
    elif master.name != journal.name:
        # Another program has renamed it since it was moved.
        return Write(replace(journal, name=master.name))
    if nic is not None and not s.is_in(nic) and not s.can_carry(s.vf):
        if step := refused_standby(s, nic, master):
            return step
        is_up = nic.up and SetUp(nic.ifindex, up=False) not in shape
        shape += s.datapath.attach(replace(nic, up=is_up), master)
    is_up = master.up and SetUp(master.ifindex, up=False) not in shape
    up: list[Request] = [SetUp(master.ifindex, up=True)] if journal.up and not is_up else []
    if refusal := s.refusal((*shape, *up)):
        return GiveUp(f"{journal.name} could not be moved to a master, and was given back: {refusal}")
    if not shape and not up:
        return _check(s, master, journal)
    wanted = transfer.to_device(inet_sets.union(journal.inet, journal.extra), master.ifindex)
    there = s.seen(master)
    addresses = (*transfer.add_links_local(wanted, there), *up, *transfer.add_others(wanted, there, journal.up))
    left = [*tagged.configuration, *transfer.drop_all(s.seen(nic))]
    if vfs:
        # The VF receives for the master until it is down. Only then are its IPv6 routes free, each of which exists
        # once.
        its = transfer.to_device(journal.extra, master.ifindex).routes
        again = [AddRoute(route) for route in its if inet_sets.is_own_route6(route)]
        left += [*transfer.drop_all(s.seen(s.vf)), *vfs, *again]
    return Do((*shape, *addresses, *left, *tagged.end), f"move {journal.name} to its master")


def _get_ready(s: Situation, master: Link, journal: Journal) -> Next | None:
    """Name the next step before anything moves, with the journal written."""
    step = _try(s, master) or _last_look(s, master, journal) or equip(s, master, journal.inet, journal.name)
    return step or _make_vlans(s, master, journal)


def look_closely(s: Situation, nic: Link, *links: Link | None) -> Next | None:
    """Look for things that hang on the NIC and would be cut off if it became a slave, before anything is moved.

    So would those on its VLANs, which are made anew.
    """
    near = [nic, *vlans.on(s, nic)]
    if look := s.look_closely(near, *links):
        return look
    thing = s.hanging[nic.ifindex]
    if thing:
        return _give_up(nic, obstacle(thing))
    found = next(((link, s.hanging[link.ifindex]) for link in near if s.hanging[link.ifindex]), None)
    return _give_up(nic, f"of its {found[0].name}, {obstacle(found[1])}") if found else None


def refused_standby(s: Situation, nic: Link, master: Link) -> GiveUp | None:
    """Give up where the kernel refuses the NIC as the standby although all its configuration has been moved."""
    refusal = "" if s.is_in(nic) else s.refusal(s.datapath.attach(nic, master))
    return _give_up(nic, refusal) if refusal else None


def _give_up(nic: Link, why: str) -> GiveUp:
    return GiveUp(f"{nic.name} is not made a bond's slave: {why}", unbondable=True, obstacle=why)


def _try(s: Situation, master: Link) -> Next | None:
    """Ask the kernel whether it would enslave the NIC, while the NIC still has everything.

    A NIC that is down would really be enslaved by it; there the handover itself finds out.
    """
    nic = s.nic
    if nic is None or not nic.up or s.is_in(nic):
        return None
    attempt = TryMaster(nic.ifindex, master.ifindex)
    if refusal := s.refusal((attempt,)):
        return _give_up(nic, refusal)
    return None if attempt in s.could else Do((attempt,), f"see whether {nic.name} can be a slave")


def _take_along(s: Situation, master: Link, journal: Journal) -> Do | list[Request]:
    """Return the requests that enslave a VF in use, for the datagram that moves its addresses. Without it the standby
    carries.
    """
    vf = s.vf
    if vf is None or s.is_in(vf) or vf.ifindex not in s.ready or not is_vf_in_use(journal):
        return []
    name = names.name_vf(s, vf, journal.name)
    if isinstance(name, Do):
        return name
    *down, enslave = s.datapath.attach(vf, master)
    return list(s.may((*down, *name, enslave)))


def _last_look(s: Situation, master: Link, journal: Journal) -> Next | None:
    """Take up what has come to the NIC since the journal was written: an hour may have passed if failoverd was dead.

    Another program may have given the master something, too, and it goes down once more if that has brought it up.
    """
    nic = s.nic
    if reason := name_conflict(journal.name, s.links, master.ifindex, nic.ifindex if nic else 0):
        return GiveUp(f"{journal.name} could not be moved to a master: {reason} now")
    if nic is not None and (name := _other_name(s, nic, journal)):
        return Write(replace(journal, name=name, altnames=names.others(s, nic, name)))
    vf = s.vf if not s.is_in(s.vf) and is_vf_in_use(journal) else None
    others = (vf, master, *vlans.involved(s, journal, nic, master))
    if step := look_closely(s, nic, *others) if nic is not None else s.look_at(*others):
        return step
    tagged = vlans.described(s, nic, journal.vlans) if nic is not None else journal.vlans
    inet, extra = (
        inet_sets.renewed(journal.inet, s.seen(nic)),
        inet_sets.own(inet_sets.union(journal.extra, s.seen(vf))),
    )
    whole, given = inet_sets.union(journal.inet, journal.extra), inet_sets.given(s.seen(master))
    is_masters = inet_sets.is_in(given, inet_sets.union(whole, transfer.to_device(whole, master.ifindex)))
    inet = inet if is_masters else inet_sets.union(inet, given)
    is_known = is_masters and inet_sets.is_in(s.seen(nic), journal.inet) and inet_sets.is_in(s.seen(vf), journal.extra)
    is_known = is_known and vlans.is_known(journal.vlans, tagged)
    if is_known and dict(inet.settings) == dict(journal.inet.settings):
        return None
    return Write(replace(journal, inet=inet, extra=extra, vlans=tagged))


def _make_vlans(s: Situation, master: Link, journal: Journal) -> Next | None:
    """Make the NIC's VLANs on a master that is not in use yet, and like the NIC's."""
    todo = vlans.create(s, master, journal.vlans)
    if refusal := s.refusal(todo):
        return GiveUp(f"{journal.name} could not be moved to a master: {refusal}", unbondable=True, obstacle=refusal)
    if todo:
        return Do(tuple(todo), f"make the VLANs of {journal.name} on {master.name}")
    todo = vlans.unlike(s, master, journal.vlans)
    if reason := likeness.bond_mismatch(s, todo, f"the VLANs of {journal.name}"):
        return GiveUp(reason, unbondable=True)
    return likeness.write(todo, f"make the VLANs on {master.name} like those of {journal.name}") if todo else None


def equip(s: Situation, master: Link, wanted: Inet, name: str) -> Next | None:
    """Give a master that is not in use yet the settings of the NIC of that name, and check that it has them."""
    todo = likeness.differing(wanted, s.seen(master), master.ifindex)
    if reason := likeness.bond_mismatch(s, todo, name):
        return GiveUp(reason, unbondable=True)
    return likeness.write(todo, f"make {master.name} like {name}") if todo else None


def _other_name(s: Situation, nic: Link, journal: Journal) -> str:
    """Return the new name for the master where the NIC was renamed after the journal was written, or "".

    A NIC that was plugged in anew has its name from udev, which does not count.
    """
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
    requests += [Rename(master.ifindex, journal.name)] if master.name != journal.name else []
    return [*requests, DropAltname(master.ifindex, new_mark(s.mac))] if is_new(master, s.mac) else requests


def _standby_name(s: Situation, nic: Link, journal: Journal) -> str:
    return standby_name(nic.ifindex, journal.name, s.mac, s.config.naming, s.links)


def _check(s: Situation, master: Link, journal: Journal) -> Next:
    """The names are exchanged; check that nothing was lost on the way and nothing is left on the slaves."""
    nic = s.nic
    if nic is not None and not s.is_in(nic) and not s.is_held(nic):
        as_standby = Do(tuple(s.datapath.attach(nic, master)), f"enslave {nic.name} to {master.name} as its standby")
        return refused_standby(s, nic, master) or as_standby
    whole = inet_sets.union(journal.inet, journal.extra)
    if reason := likeness.unsettled_reason(s, whole, master):
        return Wait(reason)
    if look := s.look_at(master, nic, s.vf, *vlans.involved(s, journal, nic, master)):
        return look
    if not inet_sets.is_in(s.seen(nic), whole):
        # It came to the NIC between the last look at it and the move.
        return Write(replace(journal, inet=inet_sets.union(journal.inet, inet_sets.own(s.seen(nic)))))
    wanted = transfer.to_device(whole, master.ifindex)
    there = s.seen(master)
    forgotten = likeness.forgotten(wanted, there, master.ifindex)
    forgotten += likeness.files(vlans.unlike(s, master, journal.vlans))
    if step := s.rest(forgotten, f"make {master.name} like its NIC again"):
        return step
    # Up and not joined, it would keep routes that are the master's now; each IPv6 route exists only once.
    todo: list[Request] = [SetUp(nic.ifindex, up=False)] if nic is not None and nic.up and not s.is_in(nic) else []
    todo += _altnames(s, master, journal)
    todo += [*transfer.add_links_local(wanted, there), *transfer.add_others(wanted, there, master.up)]
    for slave in (nic, s.vf):
        todo += transfer.drop_all(s.seen(slave)) if s.is_in(slave) else []
    todo += vlans.rest(s, nic, master, journal.vlans)
    return s.rest(todo, f"put the rest on {master.name}") or _end(s, master, journal, wanted)


def _end(s: Situation, master: Link, journal: Journal, wanted: Inet) -> Next:
    """All is in place but for the requests that were refused too often.

    The NIC would take, in its old place, what the kernel refuses on a master: so such a join is undone, if it can be.
    """
    lost = inet_sets.missing(wanted, s.seen(master))
    left = [*transfer.additions(lost), *vlans.rest(s, s.nic, master, journal.vlans)]
    if (refusal := s.refused_for_good(left)) and s.nic is not None and not s.upper(master):
        return GiveUp(f"{journal.name} could not be moved to a master, and was given back: {refusal}", unbondable=True)
    return Finish(lost)


def _altnames(s: Situation, master: Link, journal: Journal) -> list[Request]:
    """The NIC's alternative names become the master's.

    systemd-networkd takes a message without any alternative name as no news of them (252,
    link_update_alternative_names). It would go on believing that the last one is the NIC's, and give up the master
    (EEXIST) as soon as the master bears it. So the last one that it sees go is one of failoverd's.
    """
    nic, names = s.nic, journal.altnames
    drop: list[Request] = [DropAltname(nic.ifindex, name) for name in names if name in nic.altnames] if nic else []
    if nic is not None and s.may(drop) and nic.altnames <= set(names):
        passing = f"{PREFIX}passing-{nic.ifindex}"
        drop = [AddAltname(nic.ifindex, passing), *drop, DropAltname(nic.ifindex, passing)]
    return [*drop, *(AddAltname(master.ifindex, name) for name in names if name not in master.altnames)]
