"""The per-device settings that a master takes over from its paravirtual NIC.

A sysctl is one row here, in _IPV4 or _IPV6. A setting that rtnetlink writes is a word in ATTRIBUTES here, and is read
and written in netlink/settings.py, which fails for a word that it has no writer for. In which order they are written is
plan/likeness.py's.

RTM_NEWLINK reports all of them (IFLA_TXQLEN, IFLA_IFALIAS, IFLA_GROUP, IFLA_AF_SPEC), so one query by ifindex reads
them. The sysctls among them are written to their files. rtnetlink could write IPv4's, but without the side effects of
the files (net/ipv4/devinet.c, inet_set_link_af; it would send no notification of `forwarding`), and it cannot write
IPv6's at all.

State that belongs to the device and is no administrator's choice has no row: mc_forwarding (a multicast routing
daemon's) and stable_secret (the kernel does not report it; see STABLE). A kernel does not report a sysctl that it does
not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from failoverd.dataclass import dataclass

QUEUE_LENGTH, ALIAS, GROUP = "txqueuelen", "alias", "group"
TOKEN, ADDRESS_MODE = "token", "addr_gen_mode"
ATTRIBUTES = (QUEUE_LENGTH, ALIAS, GROUP, TOKEN, ADDRESS_MODE)
"""The settings that rtnetlink writes (netlink/settings.py). The last two are IPv6's."""

IPV6_MTU = "ipv6/mtu"
IPV6_FORWARDING = "ipv6/forwarding"


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A file in /proc/sys/net/FAMILY/conf/DEVICE, and its number in the family's array (IPV4_DEVCONF_*, DEVCONF_*).

    `unit` is the factor from the file's unit to the array's: 1000 where the file takes seconds and the array has
    milliseconds.
    """

    family: str
    number: int
    file: str
    unit: int = 1

    @property
    def name(self) -> str:
        """The setting's name."""
        return f"{self.family}/{self.file}"


_IPV4 = {
    1: "forwarding",
    3: "proxy_arp",
    4: "accept_redirects",
    5: "secure_redirects",
    6: "send_redirects",
    7: "shared_media",
    8: "rp_filter",
    9: "accept_source_route",
    10: "bootp_relay",
    11: "log_martians",
    12: "tag",
    13: "arp_filter",
    14: "medium_id",
    15: "disable_xfrm",
    16: "disable_policy",
    17: "force_igmp_version",
    18: "arp_announce",
    19: "arp_ignore",
    20: "promote_secondaries",
    21: "arp_accept",
    22: "arp_notify",
    23: "accept_local",
    24: "src_valid_mark",
    25: "proxy_arp_pvlan",
    26: "route_localnet",
    27: "igmpv2_unsolicited_report_interval",
    28: "igmpv3_unsolicited_report_interval",
    29: "ignore_routes_with_linkdown",
    30: "drop_unicast_in_l2_multicast",
    31: "drop_gratuitous_arp",
    32: "bc_forwarding",
    33: "arp_evict_nocarrier",
}
"""linux/ip.h. Number 2 is mc_forwarding."""
_IPV6 = {
    0: "forwarding",
    1: "hop_limit",
    2: "mtu",
    3: "accept_ra",
    4: "accept_redirects",
    5: "autoconf",
    6: "dad_transmits",
    7: "router_solicitations",
    8: "router_solicitation_interval",
    9: "router_solicitation_delay",
    10: "use_tempaddr",
    11: "temp_valid_lft",
    12: "temp_prefered_lft",
    13: "regen_max_retry",
    14: "max_desync_factor",
    15: "max_addresses",
    16: "force_mld_version",
    17: "accept_ra_defrtr",
    18: "accept_ra_pinfo",
    19: "accept_ra_rtr_pref",
    20: "router_probe_interval",
    21: "accept_ra_rt_info_max_plen",
    22: "proxy_ndp",
    23: "optimistic_dad",
    24: "accept_source_route",
    26: "disable_ipv6",
    27: "accept_dad",
    28: "force_tllao",
    29: "ndisc_notify",
    30: "mldv1_unsolicited_report_interval",
    31: "mldv2_unsolicited_report_interval",
    32: "suppress_frag_ndisc",
    33: "accept_ra_from_local",
    34: "use_optimistic",
    35: "accept_ra_mtu",
    37: "use_oif_addrs_only",
    38: "accept_ra_min_hop_limit",
    39: "ignore_routes_with_linkdown",
    40: "drop_unicast_in_l2_multicast",
    41: "drop_unsolicited_na",
    42: "keep_addr_on_down",
    43: "router_solicitation_max_interval",
    44: "seg6_enabled",
    45: "seg6_require_hmac",
    46: "enhanced_dad",
    48: "disable_policy",
    49: "accept_ra_rt_info_min_plen",
    50: "ndisc_tclass",
    51: "rpl_seg_enabled",
    52: "ra_defrtr_metric",
    53: "ioam6_enabled",
    54: "ioam6_id",
    56: "ndisc_evict_nocarrier",
    57: "accept_untracked_na",
    58: "accept_ra_min_lft",
    59: "force_forwarding",
}
"""linux/ipv6.h. Number 25 is mc_forwarding, 36 is stable_secret, 47 is the address mode, which rtnetlink writes."""
_IN_SECONDS = {8: 1000, 9: 1000, 20: 1000, 43: 1000}

SYSCTLS: Mapping[str, Sysctl] = {
    row.name: row
    for row in (
        *(Sysctl("ipv4", number, file) for number, file in _IPV4.items()),
        *(Sysctl("ipv6", number, file, _IN_SECONDS.get(number, 1)) for number, file in _IPV6.items()),
    )
}
"""By name."""

STABLE = {"2": "stable-privacy", "3": "random"}
"""Modes in which the kernel derives addresses from something that only the NIC has (its permanent MAC and its secret,
or chance). A master's addresses would be others (net/ipv6/addrconf.c, ipv6_generate_stable_address).
"""


def full_name(name: str, device: str) -> str:
    """Return the setting's name as an administrator knows it: net.ipv6.conf.ens3.accept_ra."""
    row = SYSCTLS.get(name)
    return f"net.{row.family}.conf.{device}.{row.file}" if row else f"the {name} of {device}"
