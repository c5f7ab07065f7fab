"""One signal of each kind, for tests of who tells of them."""

from __future__ import annotations

from failoverd.model.signals import FailedOver, Joined, LinkRenamed, Moment, Released

MAC = "52:54:00:aa:bb:cc"
MOMENT = Moment(1_700_000_000.25, 12.5)
LOST = FailedOver("ens3", "ens4", "ens3nsby", "it was unplugged", 1.0, MAC, 3, 2, 0.0031, "standby")
BACK = FailedOver("ens3", "ens3nsby", "ens4", "the VF has been steady", 9.0, MAC, 2, 5, 0.0, "primary")
NO_MAC = FailedOver("ens3", "ens4", "", "it has no carrier", 1.0, MAC, 3)
RENAMED = LinkRenamed(3, "eth1", "ens4", True, "ens3", "primary", MAC)
JOINED = Joined("ens3", MAC, 9, "ens4", 3, "primary")
RELEASED = Released("ens3", MAC, 2)
