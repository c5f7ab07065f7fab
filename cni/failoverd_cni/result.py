"""The result: that of the plugins before, whole and in order, and this plugin's entries behind it."""

from __future__ import annotations

from failoverd_cni.inet import mac_text
from failoverd_cni.versions import at_least

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from failoverd_cni.ipam import Addresses
    from failoverd_cni.netconf import Netconf, Vlan
    from failoverd_cni.netlink import Link


class Result:
    """A result that grows."""

    def __init__(self, netconf: Netconf, sandbox: str) -> None:
        """Begin with the previous result. Raises CniError."""
        self._version = netconf.version
        self._sandbox = sandbox
        previous = netconf.previous()
        self._document = previous | {
            "cniVersion": netconf.version,
            "interfaces": list(previous.get("interfaces") or []),
            "ips": list(previous.get("ips") or []),
            "routes": list(previous.get("routes") or []),
            "dns": dict(previous.get("dns") or {}),
        }

    def document(self) -> dict[str, Any]:
        """Return it, in the version of the configuration."""
        return self._document

    def has(self, name: str) -> bool:
        """Tell whether a plugin has made a device of that name in the pod."""
        return any(row.get("name") == name and row.get("sandbox") for row in self._document["interfaces"])

    def add(self, name: str, link: Link, found: Addresses | None, metrics: dict[int, int]) -> None:
        """Add a device with its addresses and routes. `metrics` are those that routes got here, by their place."""
        row: dict[str, Any] = {"name": name, "mac": mac_text(link.mac), "sandbox": self._sandbox}
        if at_least(self._version, "1.1.0"):
            row["mtu"] = link.mtu
        self._document["interfaces"].append(row)
        if found is None:
            return
        index = len(self._document["interfaces"]) - 1
        for ip, address in zip(found.ips, found.addresses, strict=True):
            plain = {key: value for key, value in ip.items() if key != "version"}
            if not at_least(self._version, "1.0.0"):
                plain["version"] = "4" if len(address.raw) == 4 else "6"
            self._document["ips"].append(plain | {"interface": index})
        for place, route in enumerate(found.routes):
            extra = {"priority": metrics[place]} if place in metrics and at_least(self._version, "1.1.0") else {}
            self._document["routes"].append(route.row | extra)

    def add_dns(self, vlan: Vlan, found: Addresses | None) -> None:
        """Add what the configuration says of DNS, or else the IPAM plugin. What is there already comes first."""
        dns = self._document["dns"]
        for key, value in (vlan.dns or (found.dns if found else {})).items():
            if isinstance(value, list) and isinstance(dns.get(key, []), list):
                dns[key] = [*dns.get(key, []), *(one for one in value if one not in dns.get(key, []))]
            elif not dns.get(key):
                dns[key] = value
