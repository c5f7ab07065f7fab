"""A pair that Hyper-V's own driver has joined: hv_netvsc and its VF, on Azure and on Hyper-V.

The synthetic NIC is the master and the standby at once. As soon as its VF is registered, the driver enslaves it
(drivers/net/hyperv/netvsc_drv.c, netvsc_register_vf), opens it a tenth of a second later, and closes it with itself.
Frames are sent by the VF while that is up and has a carrier, else by the host (netvsc_start_xmit); frames received by
either are the synthetic NIC's (netvsc_vf_handle_frame). When the VF comes up or goes down, the driver tells the host by
which of the two to deliver (netvsc_vf_changed), whatever the VF's carrier is.

failoverd can change nothing of it, so this datapath watches: the roles, the slave that carries, each failover. It
announces the addresses after each failover, which the driver does not. Written from the driver's source; the lab has no
Hyper-V.
"""

from __future__ import annotations

from failoverd.datapaths.adopted import Adopted
from failoverd.model.links import Link
from failoverd.model.pairs import Pair
from failoverd.policy.election import unfit_reason


class NetvscDatapath(Adopted):
    """See failoverd.datapaths.base.Datapath."""

    name = "hv_netvsc"

    def has_joined(self, pair: Pair, is_touched: bool) -> bool:
        """The synthetic NIC is the master."""
        return pair.adopted and pair.master in (0, pair.nic)

    def holds(self, slave: Link, master: Link) -> bool:
        """The standby is the master itself; the VF is its slave (IFLA_MASTER)."""
        return master.ifindex in (slave.ifindex, slave.master)

    def active(self, master: Link, primary: Link | None, standby: Link | None) -> int:
        """The driver's own rule."""
        if primary is not None and not unfit_reason(primary, self.holds(primary, master)):
            return primary.ifindex
        return master.ifindex


DATAPATH = NetvscDatapath()
