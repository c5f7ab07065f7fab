"""From a joined pair back to what was there before: the mirror of join, and its undoing when join fails half-way.

The paravirtual NIC gets its name, its addresses and its routes back in one datagram that also removes the master. The VF comes out
down: two devices with one MAC and one of them unconfigured help nobody, and whoever wants it brings it up.
"""

from __future__ import annotations

from dataclasses import replace

from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import AddAltname, Rename, Request, SetMtu, SetUp
from failoverd.plan import moving
from failoverd.plan.situation import Do, Finish, GiveUp, Look, Next, Rest, Situation, Wait, Write
from failoverd.policy.election import why_unfit
from failoverd.policy.naming import own_altnames, passing_name


def release(s: Situation) -> Next:
    """Name the next step toward two NICs on their own."""
    if s.nic is None:
        if s.master is None:
            return Finish() if s.journal else Rest()
        return GiveUp(f"the paravirtual NIC of {s.master.name} is not there to take the addresses; plug it in first")
    journal = s.under_way(Goal.RELEASED)
    if s.master is None:
        return _afterwards(s, s.nic)
    if journal is not None:
        return _give_back(s, s.master, s.nic, journal)
    if s.is_passing() and s.under_way(Goal.JOINED) is None:
        return _abandon(s, s.master)
    return _prepare(s, s.master, s.nic)


def _abandon(s: Situation, master: Link) -> Next:
    """Nothing was moved yet: the master can simply go."""
    requests = s.may(s.datapath.remove(master))
    return Do(requests, f"remove {master.name}, which was never used") if requests else Wait("the kernel keeps it")


def _prepare(s: Situation, master: Link, nic: Link) -> Next:
    if s.is_in(nic) and not why_unfit(s.vf, master) and (requests := s.may(s.datapath.detach(nic))):
        return Do(requests, f"take {nic.name} out of {master.name} while the VF carries")
    if s.inet is None:
        return Look((master.ifindex, nic.ifindex))
    return Write(_describe(s, master, nic))


def _describe(s: Situation, master: Link, nic: Link) -> Journal:
    """What has to be on the NIC in the end. A join that was cut in the middle left part of it in its journal."""
    begun = s.under_way(Goal.JOINED)
    seen = Inet(moving.union(s.seen(master), s.seen(nic)).addresses, s.seen(master).routes)
    if begun is not None:
        whole = moving.union(moving.union(begun.inet, begun.extra), seen)
        return replace(begun, toward=Goal.RELEASED, inet=whole, extra=Inet())
    altnames = own_altnames(master)
    return Journal(s.mac, Goal.RELEASED, master.name, master.up, master.mtu, altnames, seen, cut=True)


def _give_back(s: Situation, master: Link, nic: Link, journal: Journal) -> Next:
    """The journal is written: one datagram, after which the NIC is what it was and the master is gone."""
    requests: list[Request] = list(s.datapath.detach(nic))
    requests += [SetUp(master.ifindex, up=False)] if master.up else []
    requests += [Rename(master.ifindex, passing_name(s.mac))] if master.name == journal.name else []
    if nic.name != journal.name:
        requests += [SetUp(nic.ifindex, up=False)] if nic.up and not nic.master else []
        requests.append(Rename(nic.ifindex, journal.name))
    requests += [*_configure(s, nic, journal), *s.datapath.remove(master)]
    requests = [request for request in requests if request not in s.blocked]
    return Do(tuple(requests), f"give {journal.name} back to its NIC")


def _configure(s: Situation, nic: Link, journal: Journal) -> list[Request]:
    wanted = moving.to_device(moving.union(journal.inet, journal.extra), nic.ifindex)
    there = s.seen(nic)
    requests: list[Request] = [SetMtu(nic.ifindex, journal.mtu)] if nic.mtu != journal.mtu else []
    requests += moving.add_links_local(wanted, there)
    requests += [SetUp(nic.ifindex, up=True)] if journal.up else []
    return requests + moving.add_others(wanted, there)


def _afterwards(s: Situation, nic: Link) -> Next:
    """The master is gone: see to it that nothing was lost on the way."""
    journal = s.journal
    if journal is None:
        return Rest()
    if not journal.cut and not journal.extra.addresses:
        return Finish()
    names: list[Request] = []
    if nic.name != journal.name:
        names = [*([SetUp(nic.ifindex, up=False)] if nic.up else []), Rename(nic.ifindex, journal.name)]
    if not names or not s.may(names):
        names = [AddAltname(nic.ifindex, name) for name in journal.altnames if name not in nic.altnames]
    if names and (requests := s.may(names)):
        return Do(requests, f"give {nic.name} its names back")
    if s.inet is None:
        return Look((nic.ifindex,))
    missing = [request for request in _missing(s, nic, journal) if request not in s.hopeless]
    if not missing:
        return Finish()
    now = tuple(request for request in missing if request not in s.blocked)
    return Do(now, f"put the rest on {nic.name}") if now else Wait("the kernel refused an address or a route")


def _missing(s: Situation, nic: Link, journal: Journal) -> list[Request]:
    wanted = moving.to_device(moving.union(journal.inet, journal.extra), nic.ifindex)
    there = s.seen(nic)
    up: list[Request] = [SetUp(nic.ifindex, up=True)] if journal.up and not nic.up else []
    others = moving.add_others(wanted, there) if journal.up else []
    return [*up, *moving.add_links_local(wanted, there), *others]
