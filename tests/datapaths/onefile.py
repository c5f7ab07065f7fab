"""A datapath in one file, sound or with one defect: the contract has to pass the one and to find each of the others.

It redirects by traffic control, as failoverd's own does, and is written without it.
"""

from __future__ import annotations

from failoverd.config.spec import Config
from failoverd.datapaths.inplace import InPlace
from failoverd.model.links import Filter, Link
from failoverd.model.requests import (
    AddClsact,
    AddRedirect,
    DropClsact,
    DropRedirect,
    Request,
    SetAllMulticast,
    SetUp,
)

DEFECTS = {
    "switch does nothing": "switches_there_and_back",
    "switch stacks filters": "switches_there_and_back",
    "active lies": "says_who_carries",
    "attach forgets the ingress filter": "joins_both",
    "attach leaves the vf down": "joins_both",
    "attach is never satisfied": "joins_again_without_a_change",
    "the filter first": "completes_a_join_that_was_disturbed",
    "holds whoever has a filter": "joins_both",
    "mend is never satisfied": "finds_nothing_wrong_with_a_plain_pair",
    "detach leaves the vf up": "lets_go",
    "detach leaves all multicast": "leaves_nothing",
    "detach forgets what was refused": "completes_a_release_that_was_disturbed",
    "remove leaves a filter": "leaves_nothing",
    "remove leaves the qdisc of an idle master": "leaves_nothing",
    "remove takes the filters of others": "leaves_nothing",
    "create makes what is not wanted": "makes_a_master",
}
"""Each, and the check that has to find it."""


class OneFile(InPlace):
    """See failoverd.datapaths.base.Datapath. `defect` is one of DEFECTS, or "" for none."""

    name = "onefile"

    def __init__(self, defect: str = "") -> None:
        self._defect = defect

    def _has(self, defect: str) -> bool:
        assert defect in DEFECTS
        return self._defect == defect

    def vf_refusal_at_end(self) -> str:
        return "nothing takes the filter away"

    def to_poll(self, vf: int) -> int:
        return vf

    def create(self, mac: str, nic: Link, config: Config) -> list[Request]:
        if self._has("create makes what is not wanted"):
            self.shape = "moving"  # type: ignore[misc]
        return []

    def attach(self, slave: Link, master: Link) -> list[Request]:
        if slave.ifindex == master.ifindex:
            return []
        if self.holds(slave, master):
            return [SetUp(slave.ifindex, up=False)] if self._has("attach is never satisfied") else []
        is_up = slave.up or self._has("attach leaves the vf down")
        up: list[Request] = [] if is_up else [SetUp(slave.ifindex, up=True)]
        slot: list[Request] = [] if slave.tc.slot else [AddClsact(slave.ifindex)]
        redirect: list[Request] = [AddRedirect(slave.ifindex, "ingress", master.ifindex)]
        if self._has("attach forgets the ingress filter"):
            redirect = []
        if self._has("the filter first"):
            return [*slot, *redirect, *up]
        # The filter says that it is joined. What must not be missing then has to be there before.
        return [*slot, *up] or redirect

    def mend(self, master: Link, primary: Link | None, standby: Link | None, config: Config) -> list[Request]:
        if primary is None or not self.holds(primary, master):
            return []
        is_open = primary.all_multicast and not self._has("mend is never satisfied")
        return [] if is_open else [SetAllMulticast(primary.ifindex, on=True)]

    def detach(self, slave: Link) -> list[Request]:
        if _ours(slave, "ingress") is None:
            return []
        before: list[Request] = [] if self._has("detach leaves the vf up") else [SetUp(slave.ifindex, up=False)]
        open_to: list[Request] = [SetAllMulticast(slave.ifindex, on=False)]
        if self._has("detach leaves all multicast"):
            open_to = []
        if self._has("detach forgets what was refused"):
            return [*self._clean(slave, "ingress"), *before, *open_to]
        todo = before if slave.up else []
        todo += open_to if slave.all_multicast else []
        return todo or self._clean(slave, "ingress")

    def switch(self, master: Link, slave: int) -> list[Request]:
        if self._has("switch does nothing"):
            return []
        drop: list[Request] = [DropRedirect(master.ifindex, "egress")] if _ours(master, "egress") else []
        slot: list[Request] = [] if master.tc.slot else [AddClsact(master.ifindex)]
        if slave == master.ifindex:
            return drop
        if self._has("switch stacks filters"):
            drop = []
        return [*slot, *drop, AddRedirect(master.ifindex, "egress", slave)]

    def hear(self, master: Link, both: bool) -> list[Request]:
        return []

    def widen(self, slave: Link, everything: bool) -> list[Request]:
        return []

    def remove(self, master: Link) -> list[Request]:
        if self._has("remove leaves a filter"):
            return []
        if self._has("remove takes the filters of others"):
            return [DropClsact(master.ifindex)] if master.tc.slot else []
        if self._has("remove leaves the qdisc of an idle master") and _ours(master, "egress") is None:
            return []
        return self._clean(master, "egress")

    def holds(self, slave: Link, master: Link) -> bool:
        found = _ours(slave, "ingress")
        if self._has("holds whoever has a filter"):
            return True
        return slave.ifindex == master.ifindex or (found is not None and found.redirect == master.ifindex)

    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        found = _ours(master, "egress")
        return master.ifindex if found is None or self._has("active lies") else found.redirect

    def mtu_mismatch(self, primary: Link, master: Link) -> str:
        return ""

    def conflict(self, slave: Link, master: Link) -> str:
        return ""

    def flaws(self, master: Link, primary: Link | None, standby: Link | None) -> str:
        return ""

    def _clean(self, link: Link, hook: str) -> list[Request]:
        """The qdisc goes with the filter in one request, or stays where others need it."""
        if link.tc.slot == "clsact" and all(found.ours for found in link.tc.filters):
            return [DropClsact(link.ifindex)]
        return [DropRedirect(link.ifindex, hook)] if _ours(link, hook) else []


def _ours(link: Link, hook: str) -> Filter | None:
    return next((found for found in link.tc.filters if found.ours and found.hook == hook), None)
