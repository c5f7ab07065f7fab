"""From a joined pair back to what was there before: the mirror of join, and its undoing when join fails half-way.

The paravirtual NIC gets its name, its addresses and its routes back in one datagram that also removes the master. The
VF comes out down: two devices with one MAC and one of them unconfigured help nobody, and whoever wants it brings it up.

Nothing is given up here. What stands in the way is waited for, and the configuration stays where it is meanwhile: on
the master, or in the journal.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import AddAltname, Rename, Request, SetMtu, SetUp
from failoverd.plan import moving, names
from failoverd.plan.inplace import release_in_place
from failoverd.plan.situation import Do, Finish, Next, Rest, Situation, Wait, Write
from failoverd.policy.naming import own_altnames, passing_name


def release(s: Situation) -> Next:
    """Name the next step toward two NICs on their own."""
    if s.datapath.in_place:
        return afterwards(s, s.journal) if s.journal is not None else release_in_place(s)
    journal = s.journal
    if s.master is None:
        return afterwards(s, journal) if journal else names.give_back(s) or Rest()
    is_preparing = journal is not None and journal.toward is Goal.JOINED
    if (s.is_passing() or is_preparing) and (journal is None or not journal.cut):
        return _abandon(s, s.master)
    if s.nic is None:
        return Wait(f"the paravirtual NIC of {s.master.name} is not there to take the addresses; plug it in first")
    journal = s.under_way(Goal.RELEASED)
    return _give_back(s, s.master, s.nic, journal) if journal else _prepare(s, s.master, s.nic)


def _abandon(s: Situation, master: Link) -> Next:
    """Nothing was moved yet: the master can simply go."""
    requests = s.may(s.datapath.remove(master))
    return Do(requests, f"remove {master.name}, which was never used") if requests else Wait("the kernel keeps it")


def _prepare(s: Situation, master: Link, nic: Link) -> Next:
    if upper := s.upper(master):
        return Wait(f"{upper} is on top of {master.name} and would go with it; take it away first")
    if s.is_in(nic) and s.can_carry(s.vf) and (requests := s.may(s.datapath.detach(nic))):
        return Do(requests, f"take {nic.name} out of {master.name} while the VF carries")
    if look := s.look_at(master, nic):
        return look
    if reason := moving.why_not_movable(s.seen(master)):
        return Wait(f"{master.name}: {reason}; take that route away or write it without the object")
    return Write(_describe(s, master, nic))


def _describe(s: Situation, master: Link, nic: Link) -> Journal:
    """What has to be on the NIC in the end. A join that was cut in the middle left part of it in its journal."""
    begun = s.under_way(Goal.JOINED)
    seen = Inet(moving.union(s.seen(master), s.seen(nic)).addresses, s.seen(master).routes)
    if begun is not None:
        whole = moving.union(moving.union(begun.inet, begun.extra), seen)
        name = names.released_name(s, begun.name, nic)
        return replace(begun, toward=Goal.RELEASED, name=name, inet=whole, extra=Inet())
    name, altnames = names.released_name(s, master.name, nic), own_altnames(master)
    return Journal(s.mac, Goal.RELEASED, name, master.up, master.mtu, altnames, seen, cut=True)


def _give_back(s: Situation, master: Link, nic: Link, journal: Journal) -> Next:
    """The journal is written: one datagram, after which the NIC is what it was and the master is gone."""
    if look := s.look_at(master, nic):
        return look
    if not moving.is_in(s.seen(master), journal.inet):
        return Write(replace(journal, inet=moving.union(journal.inet, s.seen(master))))
    remove = s.may(s.datapath.remove(master))
    if not remove:
        return Wait(f"the kernel keeps {master.name}")
    requests: list[Request] = list(s.datapath.detach(nic))
    requests += [SetUp(master.ifindex, up=False)] if master.up else []
    requests += [Rename(master.ifindex, passing_name(s.mac))] if master.name == journal.name else []
    if nic.name != journal.name:
        requests += [SetUp(nic.ifindex, up=False)] if nic.up and not nic.master else []
        requests.append(Rename(nic.ifindex, journal.name))
    requests += [*names.forget_roles(s, master.name), *_configure(s, nic, journal)]
    requests = [request for request in requests if request not in s.blocked]
    return Do((*requests, *remove), f"give {journal.name} back to its NIC")


def _configure(s: Situation, nic: Link, journal: Journal) -> list[Request]:
    """The MTU is set in any case: the kernel gives a slave that leaves the one it had when it came."""
    wanted = moving.to_device(moving.union(journal.inet, journal.extra), nic.ifindex)
    there = s.seen(nic)
    requests: list[Request] = [SetMtu(nic.ifindex, journal.mtu), *moving.add_links_local(wanted, there)]
    requests += [SetUp(nic.ifindex, up=True)] if journal.up else []
    return requests + moving.add_others(wanted, there, journal.up)


def afterwards(s: Situation, journal: Journal) -> Next:
    """The bond is gone: see to it that nothing was lost on the way."""
    nic = s.nic
    if not journal.cut and not journal.extra.addresses:
        return Finish()
    if nic is None:
        return Wait(f"{journal.name} is not there to take its addresses back; they are kept until it is")
    name = names.released_name(s, journal.name, nic)
    rename: list[Request] = [Rename(nic.ifindex, name)] if journal.cut and nic.name != name else []
    if rename and rename[0] not in s.hopeless and s.may(rename):
        down: list[Request] = [SetUp(nic.ifindex, up=False)] if nic.up else []
        return Do((*down, *rename), f"give {nic.name} its name back")
    if look := s.look_at(nic):
        return look
    return s.rest([*rename, *_missing(s, nic, journal)], f"put the rest on {nic.name}") or Finish()


def _missing(s: Situation, nic: Link, journal: Journal) -> list[Request]:
    """All of it where the move had begun; before, only what was the VF's."""
    moved = journal.inet if journal.cut else Inet()
    wanted = moving.to_device(moving.union(moved, journal.extra), nic.ifindex)
    there = s.seen(nic)
    requests: list[Request] = moving.add_links_local(wanted, there)
    requests += [SetMtu(nic.ifindex, journal.mtu)] if journal.cut and nic.mtu != journal.mtu else []
    requests += [SetUp(nic.ifindex, up=True)] if journal.up and not nic.up else []
    requests += moving.add_others(wanted, there, journal.up)
    if journal.cut:
        requests += [AddAltname(nic.ifindex, name) for name in journal.altnames if name not in nic.altnames]
    return requests
