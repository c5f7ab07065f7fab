"""hv_netvsc, Hyper-V's paravirtual NIC, with its VF (drivers/net/hyperv/netvsc_drv.c of 6.1, from its source).

A NIC on PCI with the MAC of a synthetic one is enslaved as it is registered (netvsc_register_vf; the real driver looks
at its PCI slot first, and newer ones at the MAC where the slot does not tell), before its first message, which
therefore has IFLA_MASTER. 0.1 s later it gets the synthetic NIC's MTU and is opened, if that NIC is up. It goes down
and up with it, and is released when it is unplugged. There is no rtnl kind anywhere. Which of the two the host delivers
by is not modelled: frames that come in by either are the synthetic NIC's.
"""

from __future__ import annotations

from failoverd_lab.simkernel import devices
from failoverd_lab.simkernel.net import Event, Net
from failoverd_lab.simkernel.state import Device, Refused

DRIVER = "hv_netvsc"
TAKEOVER = 0.1
"""VF_TAKEOVER_INT, in seconds."""


def vf_of(device: Device) -> Device | None:
    """Return the VF that a synthetic NIC has enslaved."""
    return next(iter(device.ports), None) if device.driver == DRIVER else None


def register(net: Net, vf: Device) -> None:
    """NETDEV_REGISTER: enslave the VF, where a synthetic NIC waits for it."""
    waiting = (d for d in net.devices.values() if d.driver == DRIVER and d.mac == vf.mac and not d.ports)
    master = next(waiting, None) if vf.bus == "pci" else None
    if master is None:
        return
    vf.master, vf.slave = master, True
    master.ports.append(vf)
    net.timers.at(net.now + TAKEOVER, lambda: _set_up(net, master, vf))


def follow(net: Net, event: Event, device: Device) -> None:
    """netvsc_netdev_event() for the VF, and what netvsc_open(), netvsc_close() and netvsc_change_mtu() do to it."""
    master = device.master
    if event is Event.UNREGISTER and master is not None and vf_of(master) is device:
        master.ports.remove(device)
        device.master, device.slave = None, False
    elif event is Event.UNREGISTER and (vf := vf_of(device)) is not None:
        device.ports.remove(vf)
        vf.master, vf.slave = None, False
        net.announce_link(vf)
    elif (vf := vf_of(device)) is not None and event in (Event.UP, Event.CHANGEMTU):
        _set_up(net, device, vf)
    elif vf is not None and event is Event.DOWN:
        devices.close(net, vf, devices.INTERNAL)


def _set_up(net: Net, master: Device, vf: Device) -> None:
    """__netvsc_vf_setup()."""
    if vf_of(master) is not vf:
        return
    try:
        devices.set_mtu(net, vf, master.mtu)
        if master.up:
            devices.open_(net, vf, devices.INTERNAL)
    except Refused:
        # The driver warns, and leaves the VF as it is.
        return
