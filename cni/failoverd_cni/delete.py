"""DEL: give the addresses back and delete the VLANs and attachments, as far as they are there.

It succeeds where there is nothing to do: the pod, its path, the interface below, the device or the previous result may
be gone. A runtime stops at the first plugin whose DEL fails, and tries the whole list again without end.
"""

from __future__ import annotations

from failoverd_cni.errors import KERNEL, CniError, warn
from failoverd_cni.ipam import Ipam
from failoverd_cni.netlink import KIND
from failoverd_cni.pod import Pod, RefusedError
from failoverd_cni.variables import odd_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from failoverd_cni.netconf import Netconf, Vlan
    from failoverd_cni.variables import Variables


def delete(variables: Variables, netconf: Netconf) -> None:
    """Run DEL, the last VLAN first. Raises the first CniError, when everything has been tried."""
    errors: list[CniError] = []
    vlans = [vlan for vlan in netconf.vlans if not odd_name(vlan.name(variables.ifname))]
    pod = _pod(variables.netns)
    try:
        for vlan in reversed(vlans):
            for step in (_give_back, _remove):
                try:
                    step(vlan, variables, netconf, pod)
                except CniError as error:
                    errors.append(error)
                    warn(error.msg)
    finally:
        if pod is not None:
            pod.close()
    if errors:
        raise errors[0]


def _pod(path: str) -> Pod | None:
    """Return the pod's namespace. None where it is gone."""
    if not path:
        return None
    try:
        pod = Pod(path)
    except CniError as error:
        warn(f"{error.msg}; the pod's interfaces are taken for gone")
        return None
    if pod.is_the_hosts():
        # ADD makes nothing there. A path below /proc/PID leads there once the kernel has given the number away again.
        pod.close()
        return None
    return pod


def _give_back(vlan: Vlan, variables: Variables, netconf: Netconf, _pod: Pod | None) -> None:
    """Have the IPAM plugin take the addresses back: first, since dhcp releases its lease over the device."""
    if vlan.ipam:
        Ipam(vlan, variables, netconf).call("DEL")


def _remove(vlan: Vlan, variables: Variables, netconf: Netconf, pod: Pod | None) -> None:
    """Delete the device, if it is what ADD made: a VLAN with that id on that interface, or an attachment."""
    if vlan.failover:
        from failoverd_cni.attach import Attachment

        try:
            Attachment(vlan, variables, netconf).remove(pod)
        except RefusedError as error:
            raise CniError(KERNEL, f"{vlan.name(variables.ifname)}: delete: {error}") from None
        return
    if pod is None:
        return
    name, below = vlan.name(variables.ifname), vlan.stands_on(variables.ifname)
    try:
        link, parent = pod.link(name), pod.link(below)
        if link is None:
            return
        on_it = parent is not None and link.lower == parent.index and not link.elsewhere
        if link.kind == KIND and (link.vid, link.protocol) == (vlan.id, vlan.protocol) and on_it:
            pod.delete(link.index)
        else:
            warn(f"{name} is not VLAN {vlan.id} of {below}, and is left alone")
    except RefusedError as error:
        raise CniError(KERNEL, f"{name}: delete: {error}") from None
