"""The steps of a story in a real guest, one function each; the keyword arguments are the step's keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from failoverd_lab import install
from failoverd_lab.story import overlay
from failoverd_lab.world import CannotTell

if TYPE_CHECKING:
    from failoverd_lab.vm import VmWorld

FLOOD = """
pid=$(systemctl show --property=MainPID --value failoverd.service)
kill -STOP "$pid"
yes "link set dev lo mtu 65535
link set dev lo mtu 65536" | head -n 2000 >/run/flood
for try in 1 2 3 4 5 6 7 8 9 10; do
    ip -batch /run/flood
    dropped=$(awk -v pid="$pid" '$2 == 0 && $3 == pid { drops += $9 } END { print drops + 0 }' /proc/net/netlink)
    [ "$dropped" -gt 0 ] && exit 0
done
kill -CONT "$pid"
exit 1
"""
"""A shell script that stops the daemon and makes link events until the daemon's socket has dropped some."""

RESUME = 'kill -CONT "$(systemctl show --property=MainPID --value failoverd.service)"'


async def _plug(world: VmWorld, nic: str) -> None:
    await world.plug(nic)


async def _unplug(world: VmWorld, nic: str) -> None:
    await world.unplug(nic)


async def _carrier(world: VmWorld, nic: str, up: bool) -> None:
    await world.set_link(nic, up)


async def _admin(world: VmWorld, nic: str, up: bool) -> None:
    await world.ip("link", "set", await world.device(nic), "up" if up else "down")


async def _mtu(world: VmWorld, nic: str, mtu: int) -> None:
    await world.ip("link", "set", await world.device(nic), "mtu", str(mtu))


async def _address(world: VmWorld, address: str, present: bool = True) -> None:
    await world.ip("address", "add" if present else "del", address, "dev", await world.device("master"))


async def _rename(world: VmWorld, nic: str, name: str) -> None:
    await world.ip("link", "set", await world.device(nic), "name", name)


async def _foreign_master(world: VmWorld, nic: str) -> None:
    await world.ip("link", "add", "br-foreign", "type", "bridge")
    await world.ip("link", "set", await world.device(nic), "master", "br-foreign")


async def _release(world: VmWorld) -> None:
    await install.ask(world.guest, "release", await world.device("master"))


async def _rename_link(world: VmWorld, nic: str, name: str) -> None:
    await install.ask(world.guest, "rename", await world.device(nic), name)


async def _drain(world: VmWorld) -> None:
    await install.ask(world.guest, "drain", await world.device("master"))


async def _undrain(world: VmWorld) -> None:
    await install.ask(world.guest, "undrain", await world.device("master"))


async def _migrate(world: VmWorld) -> None:
    await world.guest.migrate()


async def _overrun(world: VmWorld, nic: str) -> None:
    """Stop the daemon while its socket overflows and the NIC goes: the unplug's event never reaches it."""
    if (await world.guest.run(["sh", "-c", FLOOD], timeout=120)).returncode:
        raise CannotTell("the daemon's netlink socket did not overflow; give it a smaller receive_buffer")
    await world.unplug(nic)
    (await world.guest.run(["sh", "-c", RESUME])).check()


async def _kill_daemon(world: VmWorld) -> None:
    await install.kill(world.guest)


async def _stop_daemon(world: VmWorld) -> None:
    await install.stop(world.guest)


async def _start_daemon(world: VmWorld) -> None:
    await install.start(world.guest)


async def _configure(world: VmWorld, config: Mapping[str, Any]) -> None:
    world.config = overlay(world.config, config)
    await install.configure(world.guest, world.config)
    await install.ask(world.guest, "reload")


STEPS: dict[str, Callable[..., Awaitable[None]]] = {
    "plug": _plug,
    "unplug": _unplug,
    "carrier": _carrier,
    "admin": _admin,
    "mtu": _mtu,
    "address": _address,
    "rename": _rename,
    "rename-link": _rename_link,
    "foreign-master": _foreign_master,
    "release": _release,
    "drain": _drain,
    "undrain": _undrain,
    "migrate": _migrate,
    "overrun": _overrun,
    "kill-daemon": _kill_daemon,
    "stop-daemon": _stop_daemon,
    "start-daemon": _start_daemon,
    "configure": _configure,
}
