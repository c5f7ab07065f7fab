"""One signal of each kind, for tests of who tells of them."""

from __future__ import annotations

from failoverd.model.signals import (
    FailedOver,
    Joined,
    LinkConflict,
    LinkDegraded,
    LinkFailed,
    LinkGoing,
    LinkGone,
    LinkPending,
    LinkReady,
    LinkRenamed,
    Moment,
    Released,
)

MAC = "52:54:00:aa:bb:cc"
MOMENT = Moment(1_700_000_000.25, 12.5)
LOST = FailedOver("ens3", "ens4", "ens3nsby", "it was unplugged", 1.0, MAC, 3, 2, 0.0031, "standby")
BACK = FailedOver("ens3", "ens3nsby", "ens4", "the VF has been steady", 9.0, MAC, 2, 5, 0.0, "primary")
NO_MAC = FailedOver("ens3", "ens4", "", "it has no carrier", 1.0, MAC, 3)
RENAMED = LinkRenamed(3, "eth1", "ens4", True, "ens3", "primary", MAC)
JOINED = Joined("ens3", MAC, 9, "ens4", 3, "primary")
RELEASED = Released("ens3", MAC, 2)

WEB = ("web-ct", "veth", "eth1", "container label:role=web")
READY = LinkReady("web-host", "veth", "web0", "own", 17)
PENDING = LinkPending(*WEB, reason="container-absent", detail="no container has the label role=web; start one")
DEGRADED = LinkDegraded(*WEB, 4, "no-carrier", "its other end is down")
CONFLICT = LinkConflict(*WEB, reason="name-taken", detail="eth1 (ifindex 2, a macvlan) is there already")
FAILED = LinkFailed(*WEB, reason="kernel-refused", detail="Operation not supported; again in 0.1 s")
GOING = LinkGoing(*WEB, 4, "undeclared", "[link.web-ct] is not there any more")
GONE = LinkGone(*WEB, 4, "namespace-gone", "its namespace has ended")
LINKS = (READY, PENDING, DEGRADED, CONFLICT, FAILED, GOING, GONE)
"""A signal of each kind about a declared link."""
