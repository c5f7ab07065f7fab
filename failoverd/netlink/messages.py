"""The layouts of the rtnetlink messages that failoverd reads and writes, for pyroute2's codec.

pyroute2's own `ifinfmsg` knows every attribute and takes 184 us for one RTM_NEWLINK; a table with only the needed ones
takes a quarter of that, and the decoder passes over the rest. The numbers are written out, so that a new attribute
needs no newer pyroute2. Names are bytes here: the kernel accepts any byte but NUL, `/`, white space and `:` in a device
name, and a codec that insists on UTF-8 would fail on another program's device.
"""

from __future__ import annotations

import logging
from typing import Any

from failoverd.netlink.codec import alone

with alone():
    from pyroute2.netlink import NLA_F_NESTED, nla, nlmsg

# pyroute2 logs a traceback for each attribute it cannot read, and goes on with the attribute's bytes; links.py reports
# the error in one line.
logging.getLogger("pyroute2").setLevel(logging.CRITICAL)

IFLA_PROP_LIST = 52
IFLA_ALT_IFNAME = 53


class BondSlaveData(nla):  # type: ignore[misc, unused-ignore]
    """IFLA_INFO_SLAVE_DATA of a bond's slave (linux/if_link.h, IFLA_BOND_SLAVE_*)."""

    nla_map = ((1, "STATE", "uint8"), (2, "MII_STATUS", "uint8"), (4, "PERM_HWADDR", "cdata"))


class LinkInfo(nla):  # type: ignore[misc, unused-ignore]
    """IFLA_LINKINFO: the device's kind (DATA is read in kinds/), and its master's."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "KIND", "asciiz"),
        (2, "DATA", "cdata"),
        (4, "SLAVE_KIND", "asciiz"),
        (5, "SLAVE_DATA", "slave_data"),
    )
    bond_slave = BondSlaveData

    @staticmethod
    def slave_data(self: Any, *_args: Any, **_kwargs: Any) -> Any:
        """Return the class for SLAVE_DATA, by SLAVE_KIND."""
        return self.bond_slave if self.get_attr("SLAVE_KIND") == "bond" else self.cdata


class PropList(nla):  # type: ignore[misc, unused-ignore]
    """IFLA_PROP_LIST: the alternative names."""

    nla_flags = NLA_F_NESTED
    nla_map = ((IFLA_ALT_IFNAME, "ALT_IFNAME", "cdata"),)


class LinkMessage(nlmsg):  # type: ignore[misc, unused-ignore]
    """struct ifinfomsg and the attributes that failoverd uses (linux/if_link.h, IFLA_*)."""

    fields = (
        ("family", "B"),
        ("__align", "x"),
        ("ifi_type", "H"),
        ("index", "i"),
        ("flags", "I"),
        ("change", "I"),
    )
    nla_map = (
        (1, "ADDRESS", "cdata"),
        (3, "IFNAME", "cdata"),
        (4, "MTU", "uint32"),
        (5, "LINK", "uint32"),
        (10, "MASTER", "uint32"),
        (18, "LINKINFO", "link_info"),
        (26, "AF_SPEC", "cdata"),
        (16, "OPERSTATE", "uint8"),
        (30, "PROMISCUITY", "uint32"),
        (33, "CARRIER", "uint8"),
        (37, "LINK_NETNSID", "int32"),
        (43, "XDP", "cdata"),
        (48, "CARRIER_DOWN_COUNT", "uint32"),
        (51, "MAX_MTU", "uint32"),
        (IFLA_PROP_LIST, "PROP_LIST", "prop_list"),
        (54, "PERM_ADDRESS", "cdata"),
        (56, "PARENT_DEV_NAME", "asciiz"),
        (57, "PARENT_DEV_BUS_NAME", "asciiz"),
    )
    link_info = LinkInfo
    prop_list = PropList
