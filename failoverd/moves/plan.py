"""The plan of a move: from its journal and the two namespaces as they are to the next step.

    clones made, marked as new -> their settings -> up, with addresses and routes
    -> the NICs in the goal enslaved, the others brought one by one, the one that carries last
    -> the VF active again -> the mark taken off -> the old master deleted -> over

It is asked again after every answer and remembers nothing, so a move may be cut after any request. `goal` is the
namespace that the journal leads to, `other` the one that it leads away from, None where that is no more: then the NICs
are here already, or come by themselves. The way back of a move that was refused is this plan with the two exchanged.

Until the first NIC is in the clone, the old master carries all traffic and has all configuration; from then on the
clone does. What the old master has got meanwhile is written into the journal first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from failoverd.kinds import Bond
from failoverd.model.links import Link
from failoverd.model.pairs import Inet
from failoverd.model.places import Place
from failoverd.model.requests import (
    AddAltname,
    AddQdisc,
    AddRule,
    DropAltname,
    DropRule,
    MoveLink,
    Rename,
    Request,
    SetActive,
    SetMaster,
    SetUp,
)
from failoverd.moves import rules
from failoverd.moves.clones import configuration, creations, deletion, late, renewed, settings, unmarked
from failoverd.moves.items import Nic, Record, Seen, Toward, described, standing
from failoverd.moves.steps import Do, Next, Over, Tried, Turn, Wait, Write
from failoverd.moves.table import obstacle
from failoverd.plan import likeness
from failoverd.policy.naming import WAS, new_mark, was


def next_step(record: Record, goal: Seen, other: Seen | None, to: Place, tried: Tried) -> Next:
    """Name the next step. `to` is the namespace of the goal."""
    old = other.master(record.mac) if other is not None else None
    if record.is_over:
        return _keep(record, goal, other, old, to, tried)
    if other is not None and old is not None and (step := _renew(record, other, old)):
        return step
    if step := _make_room(record, goal):
        return step
    there = goal.found(record)
    if todo := tuple(creations(record, there, goal.links)):
        missing = ", ".join(item.name for item in record.items if item.name not in there)
        return Do(todo, f"make {missing} there")
    master = there[record.master.name]
    return (
        _configure(record, goal, there, master, tried)
        or _equip(record, goal, tried)
        or _join(record, goal, master, _bring(record, other, old, to))
        or _bring(record, other, old, to)
        or _end(record, goal, other, master, tried)
    )


def _keep(record: Record, goal: Seen, other: Seen | None, old: Link | None, to: Place, tried: Tried) -> Next:
    """Keep together what has moved: a VF that is plugged in anew appears in failoverd's namespace. It carries when it
    has been steady."""
    master = goal.master(record.mac)
    if master is None:
        return Turn(f"{record.master.name} is no longer there")
    active = master.info.active if isinstance(master.info, Bond) else 0
    request = SetActive(master.ifindex, min(tried.steady, default=active))
    if request.slave != active and request not in tried.refused:
        return Do((request,), f"{goal.links[request.slave].name} is to carry there", is_vital=False)
    return _equip(record, goal, tried) or _join(record, goal, master, None) or _bring(record, other, old, to) or Over()


def _make_room(record: Record, goal: Seen) -> Do | None:
    """Take the items' names from a NIC: udev gives one that comes home the names that it would have by itself, the
    first one as an alternative name if it has another one already."""
    names = {name for item in record.items for name in (item.name, *item.altnames)}
    known = {nic.parent: nic for nic in record.nics}
    for nic in goal.nics(record.mac):
        if nic.master or nic.parent not in known:
            continue
        todo: list[Request] = [DropAltname(nic.ifindex, name) for name in sorted(nic.altnames & names)]
        if nic.name in names:
            todo += [SetUp(nic.ifindex, up=False)] if nic.up else []
            todo.append(Rename(nic.ifindex, known[nic.parent].name))
        if todo:
            return Do(tuple(todo), f"free the names of {record.master.name} from {nic.name}", is_vital=False)
    return None


def _renew(record: Record, other: Seen, old: Link) -> Next | None:
    """Take up what the old master, and what stands on it, has got since the journal was written."""
    if new_mark(record.mac) in old.altnames:
        # It is the clone of a move that has turned back: what is on it comes from the journal.
        return None
    tree = standing(old, other.links)
    found = other.found(record)
    known = {link.ifindex for link in found.values()}
    strange = [link for link in tree if link.ifindex not in known]
    for link in tree:
        if why := obstacle(link, tree, other):
            return Turn(why)
    if strange:
        names = {link.name for link in strange}
        new = tuple(item for item in described(other, old) if item.name in names)
        return Write(replace(record, items=(*record.items, *new)))
    items = tuple(renewed(item, found, other) for item in record.items)
    return Write(replace(record, items=items)) if items != record.items else None


def _configure(record: Record, goal: Seen, there: Mapping[str, Link], master: Link, tried: Tried) -> Next | None:
    """Make the clones like the items. Once a NIC is in the clone, what is refused does not turn the move back."""
    is_vital = not any(nic.master == master.ifindex for nic in goal.nics(record.mac))
    parts = [([*configuration(record, there, goal), *_copies(record, goal)], "addresses and routes")]
    if is_vital:
        wanted = settings(record, there, goal)
        parts = [(likeness.files(wanted) or wanted, "settings"), *parts]
    for requests, what in parts:
        if todo := tuple(request for request in requests if request not in tried.refused):
            return Do(todo, f"give {record.master.name} its {what} there", is_vital=is_vital)
    return None


def _copies(record: Record, goal: Seen) -> list[Request]:
    """Return the requests for the policy rules that a namespace lacks that the master moves into."""
    if record.toward is Toward.HOME:
        return []
    return [AddRule(rule) for rule in rules.missing(record.rules, goal)]


def _equip(record: Record, goal: Seen, tried: Tried) -> Do | None:
    """Give a NIC the settings that it has lost on the way, before it is enslaved."""
    known = {nic.parent: nic for nic in record.nics}
    for nic in goal.nics(record.mac):
        if nic.master or nic.parent not in known:
            continue
        wanted, qdisc = Inet(settings=known[nic.parent].settings), known[nic.parent].qdisc
        lost: list[Request] = list(likeness.differing(wanted, goal.inet_of(nic), nic.ifindex))
        lost += [AddQdisc(nic.ifindex, qdisc)] if qdisc is not None and nic.tc.root != qdisc.kind else []
        missing = [request for request in lost if request not in tried.refused]
        if todo := likeness.files(missing) or missing:
            return Do(tuple(todo), f"give {nic.name} its settings there", is_vital=False)
    return None


def _join(record: Record, goal: Seen, master: Link, then: Do | None) -> Next | None:
    """Enslave the NICs that are there, under their names.

    With the first one the clone has the traffic. For as long as the old master has a NIC, too, its answers draw the
    traffic back: so the next NIC leaves it at once.
    """
    known = {nic.parent: nic for nic in record.nics}
    for nic in goal.nics(record.mac):
        if nic.master == master.ifindex:
            continue
        todo: list[Request] = [SetUp(nic.ifindex, up=False)] if nic.up else []
        todo += _named(goal, nic, known.get(nic.parent))
        why = f"enslave {nic.name} to {master.name} there"
        return Do((*todo, SetMaster(nic.ifindex, master.ifindex)), why, then=then)
    return None


def _named(goal: Seen, nic: Link, known: Nic | None) -> list[Request]:
    """Give a NIC its name, and the marks of its former names, which have its ifindex in them."""
    if known is None:
        return []
    is_free = goal.links.named(known.name) is None
    todo: list[Request] = [Rename(nic.ifindex, known.name)] if nic.name != known.name and is_free else []
    marks = {was(nic.ifindex, name) for name in known.formers}
    todo += [DropAltname(nic.ifindex, name) for name in sorted(nic.altnames - marks) if name.startswith(WAS)]
    return [*todo, *(AddAltname(nic.ifindex, name) for name in sorted(marks - nic.altnames))]


def _bring(record: Record, other: Seen | None, old: Link | None, to: Place) -> Do | None:
    """Bring the next NIC: one that does not carry first, so that the clone carries before the last one leaves."""
    if other is None:
        return None
    active = old.info.active if old is not None and isinstance(old.info, Bond) else 0
    nics = sorted(other.nics(record.mac), key=lambda nic: (nic.ifindex == active, nic.ifindex))
    if not nics:
        return None
    nic = nics[0]
    todo: list[Request] = [SetMaster(nic.ifindex, 0)] if nic.master else []
    return Do((*todo, MoveLink(nic.ifindex, to)), f"hand {nic.name} over", at_goal=False)


def _end(record: Record, goal: Seen, other: Seen | None, master: Link, tried: Tried) -> Next:
    """All NICs are there: let the same one carry, and take the old master away."""
    slaves = goal.nics(record.mac)
    if not slaves:
        return Wait(f"neither NIC of {record.mac} is there")
    carried = {nic.parent for nic in record.nics if nic.carries}
    for nic in slaves:
        if nic.parent in carried and (step := _carry(nic, master, tried)):
            return step
    if requests := tuple(request for request in late(record, goal) if request not in tried.refused):
        return Do(requests, f"give {master.name} its settings that were lost when it came up", is_vital=False)
    if todo := tuple(unmarked(record, goal, master)):
        return Do(todo, f"{master.name} is whole there")
    if other is None:
        return Over()
    if record.toward is Toward.HOME:
        copies = [rule for rule in rules.present(record.rules, other) if DropRule(rule) not in tried.refused]
        if copies:
            dropped = tuple(DropRule(rule) for rule in copies)
            return Do(dropped, f"drop {rules.called(copies)}", at_goal=False, is_vital=False)
    if todo := tuple(deletion(record, other)):
        return Do(todo, f"delete the old {record.master.name}", at_goal=False)
    return Over()


def _carry(nic: Link, master: Link, tried: Tried) -> Do | Wait | None:
    """Let the NIC carry that has carried before, once it has a carrier."""
    active = master.info.active if isinstance(master.info, Bond) else 0
    request = SetActive(master.ifindex, nic.ifindex)
    if nic.ifindex == active or not master.up or request in tried.refused:
        return None
    if nic.carrier and nic.mii_up:
        return Do((request,), f"let {nic.name} carry again", is_vital=False)
    return Wait(f"{nic.name} has no carrier yet", is_optional=True) if tried.is_patient else None
