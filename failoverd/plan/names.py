"""The steps that give devices their names, and give them back.

A device is marked with the name it has before it is renamed by policy, and the mark goes when it has that name again:
each is seen to be done before the next, so a cut between any two loses nothing. The master's own name is exchanged in
the one datagram of a join; see there.
"""

from __future__ import annotations

from failoverd.model.links import Link
from failoverd.model.requests import AddAltname, DropAltname, Rename, Request
from failoverd.plan.situation import Do, Situation
from failoverd.policy import wanted
from failoverd.policy.naming import debts, formers, own_altnames, was


def alone(s: Situation, nic: Link) -> str:
    """What the NIC is called when it is on its own."""
    master = s.master.ifindex if s.master is not None else 0
    return wanted.nic_name(nic, master, s.mac, s.config.naming, s.udev_names.get(nic.ifindex, ""), s.links)


def master_name(s: Situation, nic: Link) -> str:
    """What the master is to be called; as the NIC where the configuration's name is not to be had, or not to be
    given back."""
    usual = alone(s, nic)
    name = wanted.master_name(usual, s.mac, s.config.naming)
    mine = (nic.ifindex, s.master.ifindex if s.master is not None else 0)
    is_lost = AddAltname(nic.ifindex, was(nic.ifindex, usual)) in s.blocked
    return usual if is_lost or wanted.why_not(name, s.links, *mine) else name


def remember_nic(s: Situation, nic: Link) -> Do | None:
    """Mark the NIC with its name, where the master is to have another one: else a release would not know it."""
    usual = alone(s, nic)
    if master_name(s, nic) == usual or usual in formers(nic):
        return None
    return Do((AddAltname(nic.ifindex, was(nic.ifindex, usual)),), f"remember that {nic.name} is {usual}")


def name_vf(s: Situation, vf: Link, master: str) -> Do | list[Request]:
    """What gives a VF that is about to be enslaved its name: it is down for that anyway, which every kernel wants.

    Before that it is marked, unless the name is the one udev wanted for it: that is its own.
    """
    udev, naming = s.udev_names.get(vf.ifindex, ""), s.config.naming
    own = wanted.own_name(vf, udev, s.links)
    name = wanted.primary_name(vf, master, s.mac, naming, udev, s.links)
    if name != own and not formers(vf):
        mark = AddAltname(vf.ifindex, was(vf.ifindex, own))
        if mark not in s.blocked:
            return Do((mark,), f"remember what {vf.name} is called")
        name = own
    return list(s.may(rename(vf, name))) if name != vf.name else []


def rename(link: Link, name: str) -> list[Request]:
    """Rename a device. A name it has as an alternative one it would be refused, so that goes first; where the rename is
    refused all the same, the last request brings it back, and else it is refused itself."""
    change = Rename(link.ifindex, name)
    if name not in link.altnames:
        return [change]
    return [DropAltname(link.ifindex, name), change, AddAltname(link.ifindex, name)]


def others(s: Situation, nic: Link, master: str) -> tuple[str, ...]:
    """The NIC's alternative names that are not failoverd's: they are the master's as long as there is one."""
    ours = wanted.ours(nic, "standby", master, s.config.naming)
    return tuple(name for name in own_altnames(nic) if name not in ours)


def released_name(s: Situation, master: str, nic: Link) -> str:
    """What the NIC is to be called in the end: what it was called before, or else as its master was."""
    mine = (nic.ifindex, s.master.ifindex if s.master is not None else 0)
    return next((name for name in formers(nic) if not wanted.why_not(name, s.links, *mine)), master)


def forget_roles(s: Situation, *masters: str) -> list[Request]:
    """Take the alternative names off the slaves that they had as slaves of a master that was called so."""
    requests: list[Request] = []
    for slave, role in ((s.nic, "standby"), (s.vf, "primary")):
        if slave is not None and slave is not s.master:
            found = {name for master in masters for name in wanted.ours(slave, role, master, s.config.naming)}
            requests += [DropAltname(slave.ifindex, name) for name in sorted(found)]
    return requests


def give_back(s: Situation) -> Do | None:
    """Give released NICs the names they had, and then forget those. Where one is taken, it is owed until it is free."""
    nic = s.nic
    if nic is not None and (roles := s.may(forget_roles(s, nic.name, master_name(s, nic)))):
        return Do(roles, "take the roles' names away")
    return next((step for step in (_return(s, link) for link in (nic, s.vf) if link is not None) if step), None)


def _return(s: Situation, link: Link) -> Do | None:
    owed = formers(link)
    if link.master or not owed:
        return None
    if link.name in owed:
        marks = s.may(DropAltname(link.ifindex, name) for name in debts(link))
        return Do(marks, f"forget what {link.name} was called") if marks else None
    name = next((name for name in owed if not wanted.why_not(name, s.links, link.ifindex)), "")
    if not name or Rename(link.ifindex, name) in s.hopeless:
        return None
    requests = s.may(rename(link, name))
    return Do(requests, f"give {link.name} its name back") if requests else None
