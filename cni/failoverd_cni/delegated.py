"""GC and STATUS: what the IPAM plugins and failoverd have something to do for. A VLAN in a pod goes with it."""

from __future__ import annotations

import posix

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
    if any(vlan.failover for vlan in netconf.vlans):
        _detach_others(netconf, attachments.get(VALID[0], attachments.get(VALID[1])))


def status(variables: Variables, netconf: Netconf) -> None:
    """Run STATUS: of the failover masters, and of every VLAN's IPAM. Raises the first CniError."""
    for vlan in netconf.vlans:
        if vlan.failover:
            _can_attach(netconf.control, vlan)
    for vlan in netconf.vlans:
        for error in _called("STATUS", vlan, variables, netconf):
            raise error


def _detach_others(netconf: Netconf, valid: list[dict[str, Any]] | None) -> None:
    """Have failoverd forget this network's attachments that are not valid; not where it does not answer, or the
    runtime does not say what is valid."""
    from failoverd_cni.attach import key
    from failoverd_cni.control import NoDaemonError, RefusedCallError, ask
    from failoverd_cni.errors import warn

    if valid is None:
        return
    keys = {
        key(netconf.name, str(row.get("containerID")), vlan.name(row["ifname"]))
        for row in valid
        for vlan in netconf.vlans
    }
    try:
        for row in ask(netconf.control, "links")["links"]:
            if row.get("owner") and row.get("network") == netconf.name and row["name"] not in keys:
                ask(netconf.control, "detach", str(row["name"]))
    except (NoDaemonError, RefusedCallError) as error:
        warn(f"GC: {error}")


def _can_attach(control: str, vlan: Vlan) -> None:
    """Raises CniError: 50 where nothing can be attached now, 51 where besides a join was cut, so that pods that are
    attached may be without their master."""
    from failoverd_cni.attach import master
    from failoverd_cni.control import PATIENCE
    from failoverd_cni.errors import LIMITED, NO_DAEMON, TRY_AGAIN, CniError

    try:
        master(control, vlan, PATIENCE)
    except CniError as error:
        if error.code == NO_DAEMON and _was_cut(control):
            raise CniError(
                LIMITED, f"{error.msg}; it ended while it joined or released a pair", error.details
            ) from None
        if error.code == TRY_AGAIN:
            raise CniError(NO_DAEMON, error.msg, error.details) from None
        raise


def _was_cut(control: str) -> bool:
    """Tell whether a journal of failoverd's is there: a move that has not been finished."""
    try:
        return any(name.endswith(".json") for name in posix.listdir(f"{control.rpartition('/')[0]}/moves"))
    except OSError:
        return False


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
