"""What failoverd has put on a NIC, as the datapaths that use traffic control see it.

A filter of ours bears our cookie. A qdisc bears nothing, so a NIC is marked before it gets one: without the mark, an
empty qdisc is somebody else's.
"""

from __future__ import annotations

from failoverd.model.links import Filter, Link
from failoverd.model.requests import DropAltname, DropClsact, DropRedirect, Request
from failoverd.policy.naming import Role, is_marked, nic_mark


def ours(link: Link, hook: str) -> Filter | None:
    """Our filter on a hook."""
    return next((found for found in link.tc.filters if found.ours and found.hook == hook), None)


def leads_to(link: Link, hook: str, target: Link) -> bool:
    """Whether our filter redirects this hook to that device."""
    found = ours(link, hook)
    return found is not None and found.redirect == target.ifindex


def drop(link: Link, hook: str) -> list[Request]:
    """Our filter away, if there is one."""
    mine = ours(link, hook)
    if mine is None:
        return []
    shared = any(not f.ours and (f.hook, f.pref) == (hook, mine.pref) for f in link.tc.filters)
    return [DropRedirect(link.ifindex, hook, mine.handle if shared else 0)]


def clean(link: Link, role: Role) -> list[Request]:
    """Our filters away, and the qdisc with them where we have put it there and nobody else has a filter on it."""
    requests = [*drop(link, "egress"), *drop(link, "ingress")]
    others = any(not found.ours for found in link.tc.filters)
    if is_marked(link, role) and link.tc.slot == "clsact" and not others:
        requests.append(DropClsact(link.ifindex))
    return requests


def unmark(link: Link, role: Role) -> list[Request]:
    """Last of all."""
    return [DropAltname(link.ifindex, nic_mark(link, role))] if is_marked(link, role) else []
