"""The filters and qdiscs that failoverd has put on a NIC, for the datapaths that use traffic control.

A filter of failoverd's bears its cookie. A qdisc bears nothing, so a NIC is marked before it gets one: without the
mark, an empty qdisc belongs to another program.
"""

from __future__ import annotations

from failoverd.model.links import Filter, Link
from failoverd.model.requests import AddAltname, AddClsact, DropAltname, DropClsact, DropRedirect, Request
from failoverd.policy.naming import Role, is_marked, nic_mark


def ours(link: Link, hook: str) -> Filter | None:
    """Return failoverd's filter on a hook."""
    return next((found for found in link.tc.filters if found.ours and found.hook == hook), None)


def leads_to(link: Link, hook: str, target: Link) -> bool:
    """Whether failoverd's filter redirects this hook to that device."""
    found = ours(link, hook)
    return found is not None and found.redirect == target.ifindex


def drop(link: Link, hook: str) -> list[Request]:
    """Remove failoverd's filter, if there is one."""
    mine = ours(link, hook)
    if mine is None:
        return []
    shared = any(not f.ours and (f.hook, f.pref) == (hook, mine.pref) for f in link.tc.filters)
    return [DropRedirect(link.ifindex, hook, mine.handle if shared else 0)]


def clean(link: Link) -> list[Request]:
    """Remove failoverd's filters, and the qdisc too if failoverd has put it there and no other program has a filter on
    it.
    """
    requests = [*drop(link, "egress"), *drop(link, "ingress")]
    others = any(not found.ours for found in link.tc.filters)
    if is_marked(link, "qdisc") and link.tc.slot == "clsact" and not others:
        requests.append(DropClsact(link.ifindex))
    return requests


def make_slot(link: Link) -> list[Request]:
    """Add a clsact qdisc, and before that the mark that makes it failoverd's; nothing if the slot has a qdisc."""
    if link.tc.slot:
        return []
    if not is_marked(link, "qdisc"):
        return [AddAltname(link.ifindex, nic_mark(link, "qdisc"))]
    return [AddClsact(link.ifindex)]


def unmark(link: Link) -> list[Request]:
    """Remove the marks last of all, one after the other: as long as there is one, there is something left to do."""
    roles: tuple[Role, ...] = ("qdisc", "vf")
    marks: list[Request] = [DropAltname(link.ifindex, nic_mark(link, role)) for role in roles if is_marked(link, role)]
    return marks[:1]
