"""From a joined pair back to two NICs: the mirror of join, and its undoing when join fails half-way.

The paravirtual NIC gets its name, its addresses and its routes back in one datagram that also removes the master. The
VF comes out down: two devices with one MAC, one of them unconfigured, are of no use, and a user who wants the VF brings
it up.

A release never gives up. It waits for obstacles to go, and the configuration stays where it is meanwhile: on the
master, or in the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from failoverd.datapaths.base import Shape
from failoverd.model.links import Link
from failoverd.model.pairs import Goal, Inet, Journal
from failoverd.model.requests import AddAltname, DropAltname, Rename, Request, SetAttribute, SetMtu, SetUp
from failoverd.plan import inet_sets, likeness, names, transfer, vlans
from failoverd.plan.enslave import enslave
from failoverd.plan.inplace import release_in_place
from failoverd.plan.leftovers import regain
from failoverd.plan.situation import Do, Finish, Next, Rest, Situation, Wait, Write
from failoverd.policy.naming import new_mark, own_altnames, passing_name


def release(s: Situation) -> Next:
    """Name the next step toward two NICs on their own."""
    return WAYS[s.datapath.shape](s)


def _release_in_place(s: Situation) -> Next:
    return afterwards(s, s.journal) if s.journal is not None else regain(s, s.nic) or release_in_place(s)


def _release_by_moving(s: Situation) -> Next:
    journal = s.journal
    if s.master is None:
        return afterwards(s, journal) if journal else regain(s, s.nic) or names.give_back(s) or Rest()
    is_preparing = journal is not None and journal.toward is Goal.JOINED
    if (s.is_passing(s.master) or is_preparing) and (journal is None or not journal.cut):
        return _abandon(s, s.master)
    if s.nic is None:
        missing = f"the paravirtual NIC of {s.master.name} is not there to take the addresses; plug it in first"
        return _wait(s, s.held_elsewhere() or missing)
    journal = s.under_way(Goal.RELEASED)
    return _give_back(s, s.master, s.nic, journal) if journal else _prepare(s, s.master, s.nic)


WAYS: Mapping[Shape, Callable[[Situation], Next]] = {"moving": _release_by_moving, "in place": _release_in_place}


def _abandon(s: Situation, master: Link) -> Next:
    """Remove the master: nothing was moved yet. What another program has given it goes to the NIC before."""
    requests = s.may(s.datapath.remove(master))
    if not requests:
        return Wait("the kernel keeps it")
    if look := s.look_at(master):
        return look
    given, called = inet_sets.given(s.seen(master)), own_altnames(master)
    if s.nic is None and (given.addresses or called):
        what = ", ".join([*map(str, given.addresses), *called])
        return Wait(
            f"{master.name} was never used and has {what} of another program; its NIC is not there to take that"
        )
    if s.nic is not None and (step := _inherit(s, master, s.nic, given)):
        return step
    return Do(requests, f"remove {master.name}, which was never used")


def _inherit(s: Situation, master: Link, nic: Link, given: Inet) -> Next | None:
    """Have the NIC inherit these addresses, and the master's alternative names, each of which exists only once."""
    journal = s.journal or Journal(s.mac, Goal.JOINED, nic.name, nic.up, nic.mtu)
    if inet_sets.adds_to(journal.extra, given):
        return Write(replace(journal, extra=inet_sets.union(journal.extra, given)))
    moves: list[Request] = []
    for name in own_altnames(master):
        # The last one puts it back where the NIC cannot have it, and is refused otherwise.
        back = AddAltname(master.ifindex, name)
        moves += [DropAltname(master.ifindex, name), AddAltname(nic.ifindex, name), back]
    return s.rest(moves, f"call {nic.name} what another program has called {master.name}")


def _wait(s: Situation, why: str) -> Next:
    """Wait, and enslave what can carry: as long as the master has the addresses, it needs its slaves."""
    return enslave(s, s.nic) or enslave(s, s.vf) or Wait(why)


def _prepare(s: Situation, master: Link, nic: Link) -> Next:
    if upper := s.upper(master):
        return _wait(s, f"{upper} is on top of {master.name} and would go with it; take it away first")
    if s.is_in(nic) and s.can_carry(s.vf) and (requests := s.may(s.datapath.detach(nic))):
        return Do(requests, f"take {nic.name} out of {master.name} while the VF carries")
    if look := s.look_at(master, nic, *vlans.involved(s, s.under_way(Goal.JOINED), master, nic)):
        return look
    if reason := inet_sets.unmovable_reason(s.seen(master)):
        return Wait(f"{master.name}: {reason}; take that route away or write it without the object")
    if reason := vlans.unmovable_reason(s, vlans.on(s, master)):
        return Wait(reason)
    return Write(_describe(s, master, nic))


def _describe(s: Situation, master: Link, nic: Link) -> Journal:
    """Describe the NIC as it has to be in the end. A join that was cut in the middle left part of it in its journal."""
    begun = s.under_way(Goal.JOINED)
    lost = transfer.to_device(s.lost, master.ifindex)
    seen = replace(s.seen(master), addresses=inet_sets.union(s.seen(master), s.seen(nic)).addresses)
    seen = inet_sets.union(seen, lost)
    if begun is not None:
        whole = inet_sets.union(inet_sets.union(begun.inet, begun.extra), inet_sets.own(seen))
        name = names.released_name(s, begun.name, nic)
        tagged = vlans.described(s, master, vlans.described(s, nic, begun.vlans))
        return replace(begun, toward=Goal.RELEASED, name=name, inet=whole, extra=Inet(), vlans=tagged)
    name, altnames = names.released_name(s, master.name, nic), own_altnames(master)
    up, tagged = master.up, vlans.described(s, master)
    return Journal(s.mac, Goal.RELEASED, name, up, master.mtu, altnames, seen, cut=True, nic=nic.ifindex, vlans=tagged)


def _give_back(s: Situation, master: Link, nic: Link, journal: Journal) -> Next:
    """With the journal written, give back everything in one datagram: the NIC is as it was, and the master is gone."""
    if look := s.look_at(master, nic, *vlans.involved(s, journal, master, nic)):
        return look
    # A NIC that is up on its own goes down for its name, and the kernel then takes its IPv6 addresses and all routes.
    there = s.seen(master) if nic.master or not nic.up else inet_sets.union(s.seen(master), s.seen(nic))
    tagged = vlans.described(s, master, journal.vlans)
    if not inet_sets.is_in(there, journal.inet) or not vlans.is_known(journal.vlans, tagged):
        return Write(replace(journal, inet=inet_sets.union(journal.inet, there), vlans=tagged))
    if step := _make_vlans(s, nic, journal):
        return step
    if todo := [request for request in _unlike(s, nic, journal) if request not in s.blocked]:
        return likeness.write(todo, f"make {nic.name} like {journal.name}")
    remove = s.may(s.datapath.remove(master))
    if not remove:
        return Wait(f"the kernel keeps {master.name}")
    requests: list[Request] = list(s.datapath.detach(nic))
    requests += [SetUp(master.ifindex, up=False)] if master.up else []
    requests += [] if s.is_passing(master) else [AddAltname(master.ifindex, new_mark(s.mac))]
    requests += [Rename(master.ifindex, passing_name(s.mac))] if master.name == journal.name else []
    if nic.name != journal.name:
        requests += [SetUp(nic.ifindex, up=False)] if nic.up and not nic.master else []
        requests.append(Rename(nic.ifindex, journal.name))
    exchange = vlans.exchange(s, master, nic, journal.vlans)
    requests += [*names.forget_roles(s, master.name), *exchange.names, *_configure(s, nic, journal)]
    requests += exchange.configuration
    requests = [request for request in requests if request not in s.blocked]
    return Do((*requests, *remove), f"give {journal.name} back to its NIC")


def _make_vlans(s: Situation, nic: Link, journal: Journal) -> Next | None:
    """Make the master's VLANs on the NIC, and like the master's. A setting that is refused holds up nothing."""
    if todo := vlans.create(s, nic, journal.vlans):
        refusal = s.refusal(todo)
        return Wait(refusal) if refusal else Do(tuple(todo), f"make the VLANs of {journal.name} on {nic.name}")
    unlike = vlans.unlike(s, nic, journal.vlans)
    todo = [request for request in unlike if request not in s.hopeless and request not in s.blocked]
    return likeness.write(todo, f"make the VLANs on {nic.name} like those of {journal.name}") if todo else None


def _unlike(s: Situation, nic: Link, journal: Journal) -> list[Request]:
    """Return the requests that give the NIC its master's settings. A setting that the kernel refuses holds up nothing
    else.
    """
    todo = likeness.differing(journal.inet, s.seen(nic), nic.ifindex)
    return [request for request in todo if request not in s.hopeless]


def _configure(s: Situation, nic: Link, journal: Journal) -> list[Request]:
    """The MTU is set in any case: a slave that leaves gets from the kernel the MTU it had when it came."""
    wanted = transfer.to_device(inet_sets.union(journal.inet, journal.extra), nic.ifindex)
    there = s.seen(nic)
    requests: list[Request] = [SetMtu(nic.ifindex, journal.mtu), *transfer.add_links_local(wanted, there)]
    requests += [SetUp(nic.ifindex, up=True)] if journal.up else []
    return requests + transfer.add_others(wanted, there, journal.up)


def afterwards(s: Situation, journal: Journal) -> Next:
    """The bond is gone: check that nothing was lost on the way."""
    nic = s.nic
    if not journal.cut and not journal.extra.addresses:
        return Finish()
    if nic is None:
        missing = f"{journal.name} is not there to take its addresses back; they are kept until it is"
        return Wait(s.held_elsewhere() or missing)
    name = names.released_name(s, journal.name, nic)
    rename: list[Request] = [Rename(nic.ifindex, name)] if journal.cut and nic.name != name else []
    if rename and rename[0] not in s.hopeless and s.may(rename):
        if nic.up and (look := s.look_at(nic, *vlans.involved(s, journal, nic))):
            return look
        tagged = vlans.described(s, nic, journal.vlans)
        if not inet_sets.is_in(s.seen(nic), journal.inet) or not vlans.is_known(journal.vlans, tagged):
            # What has come since is in no journal yet, and some of it goes when the NIC goes down for its name.
            whole = inet_sets.union(journal.inet, inet_sets.own(s.seen(nic)))
            return Write(replace(journal, inet=whole, vlans=tagged))
        down: list[Request] = [SetUp(nic.ifindex, up=False)] if nic.up else []
        return Do((*down, *rename), f"give {nic.name} its name back")
    if look := s.look_at(nic, *vlans.involved(s, journal, nic)):
        return look
    unlike = [*_unlike(s, nic, journal), *(vlans.unlike(s, nic, journal.vlans) if journal.cut else [])]
    step = s.rest(likeness.files(unlike), f"give {nic.name} the settings its master had")
    step = step or s.rest([*rename, *_missing(s, nic, journal)], f"put the rest on {nic.name}")
    return step or Finish(inet_sets.missing(_wanted(nic, journal), s.seen(nic)))


def _wanted(nic: Link, journal: Journal) -> Inet:
    moved = journal.inet if journal.cut else Inet()
    return transfer.to_device(inet_sets.union(moved, journal.extra), nic.ifindex)


def _missing(s: Situation, nic: Link, journal: Journal) -> list[Request]:
    """Return the requests for all of it where the move had begun; before that, only for the VF's part."""
    wanted = _wanted(nic, journal)
    there = s.seen(nic)
    requests: list[Request] = transfer.add_links_local(wanted, there)
    requests += [SetMtu(nic.ifindex, journal.mtu)] if journal.cut and nic.mtu != journal.mtu else []
    requests += [SetUp(nic.ifindex, up=True)] if journal.up and not nic.up else []
    requests += transfer.add_others(wanted, there, journal.up)
    requests += [request for request in _unlike(s, nic, journal) if isinstance(request, SetAttribute)]
    if journal.cut:
        requests += [AddAltname(nic.ifindex, name) for name in journal.altnames if name not in nic.altnames]
        requests += vlans.rest(s, None, nic, journal.vlans)
    return requests
