"""The shapes of the rtnetlink messages failoverd reads and writes, for pyroute2's codec.

pyroute2's own `ifinfmsg` knows every attribute and takes 184 us for one RTM_NEWLINK; a table with just what is needed
takes a quarter of that, and the decoder passes over the rest. The numbers are written out, so that an attribute
pyroute2 does not know yet needs no newer pyroute2. Names are bytes here: the kernel takes any byte but
NUL, `/`, white space and `:` in a device name, and a codec that insists on UTF-8 would fail on somebody else's device.
"""

from __future__ import annotations

from typing import Any

from failoverd.netlink.codec import alone

with alone():
    from pyroute2.netlink import NLA_F_NESTED, nla, nlmsg

IFLA_PROP_LIST = 52
IFLA_ALT_IFNAME = 53


class BondData(nla):  # type: ignore[misc, unused-ignore]
    """IFLA_INFO_DATA of a bond (linux/if_link.h, IFLA_BOND_*)."""

    nla_map = (
        (1, "MODE", "uint8"),
        (2, "ACTIVE_SLAVE", "uint32"),
        (3, "MIIMON", "uint32"),
        (11, "PRIMARY", "uint32"),
        (12, "PRIMARY_RESELECT", "uint8"),
        (13, "FAIL_OVER_MAC", "uint8"),
        (16, "NUM_PEER_NOTIF", "uint8"),
        (17, "ALL_SLAVES_ACTIVE", "uint8"),
    )


class BondSlaveData(nla):  # type: ignore[misc, unused-ignore]
    """IFLA_INFO_SLAVE_DATA of a bond's slave (linux/if_link.h, IFLA_BOND_SLAVE_*)."""

    nla_map = ((1, "STATE", "uint8"), (2, "MII_STATUS", "uint8"), (4, "PERM_HWADDR", "cdata"))


class LinkInfo(nla):  # type: ignore[misc, unused-ignore]
    """IFLA_LINKINFO: what kind of device this is, and of what kind its master."""

    nla_flags = NLA_F_NESTED
    nla_map = (
        (1, "KIND", "asciiz"),
        (2, "DATA", "info_data"),
        (4, "SLAVE_KIND", "asciiz"),
        (5, "SLAVE_DATA", "slave_data"),
    )
    bond = BondData
    bond_slave = BondSlaveData

    @staticmethod
    def info_data(self: Any, *_args: Any, **_kwargs: Any) -> Any:
        """The class for DATA, told by KIND, which the kernel always puts before it."""
        return self.bond if self.get_attr("KIND") == "bond" else self.cdata

    @staticmethod
    def slave_data(self: Any, *_args: Any, **_kwargs: Any) -> Any:
        """The class for SLAVE_DATA, told by SLAVE_KIND."""
        return self.bond_slave if self.get_attr("SLAVE_KIND") == "bond" else self.cdata


class PropList(nla):  # type: ignore[misc, unused-ignore]
    """IFLA_PROP_LIST: the alternative names."""

    nla_flags = NLA_F_NESTED
    nla_map = ((IFLA_ALT_IFNAME, "ALT_IFNAME", "cdata"),)


class LinkMessage(nlmsg):  # type: ignore[misc, unused-ignore]
    """struct ifinfomsg and the attributes failoverd looks at (linux/if_link.h, IFLA_*)."""

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
        (30, "PROMISCUITY", "uint32"),
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
