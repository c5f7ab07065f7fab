"""The steps that give devices their names, and give them back.

A device is marked with the name it has before it is renamed by policy, and the mark goes when it has that name again.
Each step is seen to be done before the next, so a cut between any two loses nothing. The master's own name is exchanged
in the one datagram of a join; see handover.py.

The mark is an alternative name with the ifindex, as `failoverd-was-3-ens4`. It is on the device, so no file can be
lost, and another daemon, or another version, reads it. Names change when devices are down anyway: a VF's before it is
enslaved, the NIC's and the master's in the join's datagram.
"""

from __future__ import annotations

from failoverd.model.links import Link
from failoverd.model.requests import AddAltname, DropAltname, Rename, Request
from failoverd.plan.situation import Do, Situation
from failoverd.policy import wanted
from failoverd.policy.naming import debts, formers, own_altnames, was


def alone(s: Situation, nic: Link) -> str:
    """Return the NIC's name when it is on its own."""
    master = s.master.ifindex if s.master is not None else 0
    return wanted.nic_name(nic, master, s.mac, s.config.naming, s.udev_names.get(nic.ifindex, ""), s.links)


def master_name(s: Situation, nic: Link) -> str:
    """Return the master's name: the configured one, or the NIC's if that cannot be had or could not be given back."""
    usual = alone(s, nic)
    name = wanted.master_name(usual, s.mac, s.config.naming)
    mine = (nic.ifindex, s.master.ifindex if s.master is not None else 0)
    is_lost = AddAltname(nic.ifindex, was(nic.ifindex, usual)) in s.blocked
    return usual if is_lost or wanted.name_conflict(name, s.links, *mine) else name


def remember_nic(s: Situation, nic: Link) -> Do | None:
    """Mark the NIC with its name, where the master is to have another one: else a release would not know it."""
    usual = alone(s, nic)
    if master_name(s, nic) == usual or usual in formers(nic):
        return None
    return Do((AddAltname(nic.ifindex, was(nic.ifindex, usual)),), f"remember that {nic.name} is {usual}")


def name_vf(s: Situation, vf: Link, master: str) -> Do | list[Request]:
    """Name a VF that is about to be enslaved. It is down for that anyway, as every kernel wants for a rename.

    Before that it is marked, unless the new name is the one that udev wanted for it: that is its own.
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


def name_standby(s: Situation, nic: Link, master: str) -> Do | list[Request]:
    """Name a paravirtual NIC that is plugged in anew and enslaved by an existing master, as the standby before it.

    It is marked as any other, where the master's name is not the NIC's own.
    """
    name = wanted.standby_name(nic.ifindex, master, s.mac, s.config.naming, s.links)
    if not s.is_fresh or nic.name == name or wanted.name_conflict(name, s.links, nic.ifindex):
        return []
    return remember_nic(s, nic) or list(s.may(rename(nic, name)))


def rename(link: Link, name: str) -> list[Request]:
    """Rename a device.

    The kernel refuses a name that the device has as an alternative one, so that is removed first. Where the rename is
    refused all the same, the last request brings it back; otherwise the last request is refused.
    """
    change = Rename(link.ifindex, name)
    if name not in link.altnames:
        return [change]
    return [DropAltname(link.ifindex, name), change, AddAltname(link.ifindex, name)]


def others(s: Situation, nic: Link, master: str) -> tuple[str, ...]:
    """Return the NIC's alternative names that are not failoverd's: the master has them as long as there is one."""
    ours = wanted.ours(nic, "standby", master, s.config.naming)
    return tuple(name for name in own_altnames(nic) if name not in ours)


def released_name(s: Situation, master: str, nic: Link) -> str:
    """Return the name that the NIC has in the end: its former one, or else its master's."""
    mine = (nic.ifindex, s.master.ifindex if s.master is not None else 0)
    return next((name for name in formers(nic) if not wanted.name_conflict(name, s.links, *mine)), master)


def forget_roles(s: Situation, *masters: str) -> list[Request]:
    """Remove the alternative names that the slaves had as slaves of a master with one of these names."""
    requests: list[Request] = []
    for slave, role in ((s.nic, "standby"), (s.vf, "primary")):
        if slave is not None and slave is not s.master:
            found = {name for master in masters for name in wanted.ours(slave, role, master, s.config.naming)}
            requests += [DropAltname(slave.ifindex, name) for name in sorted(found)]
    return requests


def give_back(s: Situation) -> Do | None:
    """Give released NICs their former names, and then forget those. Where one is taken, it is owed until it is free."""
    nic = s.nic
    if nic is not None and (roles := s.may(forget_roles(s, nic.name, master_name(s, nic)))):
        return Do(roles, "take the roles' names away")
    return next((step for step in (give_back_to(s, link) for link in (nic, s.vf) if link is not None) if step), None)


def give_back_to(s: Situation, link: Link) -> Do | None:
    """Give one NIC its former name, and then forget that."""
    owed = formers(link)
    if link.master or not owed:
        return None
    if link.name in owed:
        marks = s.may(DropAltname(link.ifindex, name) for name in debts(link))
        return Do(marks, f"forget what {link.name} was called") if marks else None
    name = next((name for name in owed if not wanted.name_conflict(name, s.links, link.ifindex)), "")
    if not name or Rename(link.ifindex, name) in s.hopeless:
        return None
    requests = s.may(rename(link, name))
    return Do(requests, f"give {link.name} its name back") if requests else None
