"""Failoverd's own filters on a device, as the datapaths that use traffic control see them."""

from __future__ import annotations

from failoverd.model.links import Filter, Link
from failoverd.model.requests import DropClsact, DropRedirect, Request


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


def clean(link: Link, hook: str) -> list[Request]:
    """Our filter away, and the qdisc with it where nobody else has a filter on it."""
    requests = drop(link, hook)
    others = any(not found.ours for found in link.tc.filters)
    keep = not requests or others or link.tc.slot != "clsact"
    return requests if keep else [*requests, DropClsact(link.ifindex)]
