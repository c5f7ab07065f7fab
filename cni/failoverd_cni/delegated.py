"""GC and STATUS: what only the IPAM plugins have something to do for. A VLAN goes with its pod."""

from __future__ import annotations

from failoverd_cni.ipam import Ipam
from failoverd_cni.netconf import wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from failoverd_cni.errors import CniError
    from failoverd_cni.netconf import Netconf, Vlan
    from failoverd_cni.variables import Variables

VALID = ("cni.dev/valid-attachments", "cni.dev/attachments")
"""The keys with the attachments that are still valid. The first is the specification's, the second libcni's of old."""


def collect_garbage(variables: Variables, netconf: Netconf) -> None:
    """Run GC: of every VLAN's IPAM, with the attachments under the names that it knows. Raises the first CniError."""
    errors = []
    whole = netconf.keys
    attachments = {key: _attachments(whole, key) for key in VALID if whole.get(key) is not None}
    for vlan in netconf.vlans:
        netconf.keys = whole | {key: [_known(row, vlan) for row in rows] for key, rows in attachments.items()}
        errors += _called("GC", vlan, variables, netconf)
    if errors:
        raise errors[0]


def status(variables: Variables, netconf: Netconf) -> None:
    """Run STATUS: of every VLAN's IPAM. Raises the first CniError."""
    for vlan in netconf.vlans:
        for error in _called("STATUS", vlan, variables, netconf):
            raise error


def _called(command: str, vlan: Vlan, variables: Variables, netconf: Netconf) -> list[CniError]:
    from failoverd_cni.errors import CniError

    if not vlan.ipam:
        return []
    try:
        Ipam(vlan, variables, netconf).call(command)
    except CniError as error:
        return [error]
    return []


def _attachments(keys: dict[str, Any], key: str) -> list[dict[str, Any]]:
    rows = keys[key]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise wrong(key, rows, "it is a list of objects")
    for number, row in enumerate(rows):
        if not isinstance(row.get("ifname"), str):
            raise wrong(f"{key}[{number}].ifname", row.get("ifname"), "it is a string")
    return rows


def _known(row: dict[str, Any], vlan: Vlan) -> dict[str, Any]:
    """Return an attachment with the interface's name that the IPAM plugin knows."""
    return row | {"ifname": vlan.name(row["ifname"])}
