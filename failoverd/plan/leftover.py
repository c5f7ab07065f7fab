"""The step that takes off a NIC the traffic control of a pair it is no longer in.

Its partner is gone for good, a third NIC with its MAC has come, or the configuration excludes it: whatever has ended
the pair, this one step removes what failoverd put there. Left alone, it would harm: a VF whose filter leads nowhere is
deaf, and a NIC whose filter leads to a VF is cut off when that VF goes.
"""

from __future__ import annotations

from collections.abc import Iterable

from failoverd.datapaths import tc
from failoverd.datapaths.redirect import ours
from failoverd.model.links import Link
from failoverd.model.requests import DropAltname, Request
from failoverd.plan import names
from failoverd.plan.situation import Do, Situation
from failoverd.policy.naming import is_marked
from failoverd.policy.wanted import stale_altnames


def take_off(s: Situation, nics: Iterable[Link]) -> Do | None:
    """Name the next step toward NICs that bear nothing of failoverd's, None where there is nothing to do (now)."""
    return next((step for step in (_take_off(s, nic) for nic in nics) if step), None)


def _take_off(s: Situation, nic: Link) -> Do | None:
    is_vf = is_marked(nic, "vf")
    requests: list[Request] = list(tc.DATAPATH.detach(nic) if is_vf else tc.DATAPATH.remove(nic))
    if is_vf and ours(nic, "ingress") is None:
        # By now another device may have its master's name, so they are recognized by their form.
        stale = stale_altnames(nic, "primary", "", s.mac, s.config.naming)
        requests = [*(DropAltname(nic.ifindex, name) for name in sorted(stale)), *requests]
    step = s.rest(requests, f"take off {nic.name} what was put there for its pair")
    return step if isinstance(step, Do) else names.give_back_to(s, nic)
