"""The steps of a story in the netns world, one function each; the keyword arguments are the step's keys."""

from __future__ import annotations

import errno
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from failoverd.model.requests import Rename, SetMaster, SetMtu, SetUp
from failoverd_lab import rtnl
from failoverd_lab.host import LabError
from failoverd_lab.rtnl import KernelRefusedError
from failoverd_lab.story import Scenario, Step, overlay
from failoverd_lab.world import CannotTell

if TYPE_CHECKING:
    from failoverd_lab.netns import NetnsWorld

FOREIGN = "br-foreign"
"""The bridge that stands for another program's master."""

LO = 1
FLOOD = 30.0
"""Seconds within which the daemon's socket has to overflow."""

EVENTS = (65535, 65536) * 250
"""MTUs of lo, each of which is an event."""


def unsupported_reason(scenario: Scenario) -> str:
    """Return why this world can never run that story, with file and line; "" where it can."""
    smallest = min((nic.max_mtu, nic.id) for nic in scenario.nics)
    for item in scenario.then:
        if not isinstance(item, Step):
            continue
        why = ""
        if item.do in ("namespace", "move"):
            why = "only the simulated world has namespaces that come and go; tell this story with --in sim"
        elif item.do not in STEPS:
            why = f"the netns world cannot do {item.do!r}, it needs a guest; tell this story with --in sim or --in vm"
        elif item.args.get("mtu", 0) > smallest[0]:
            why = f"{smallest[1]} takes at most {smallest[0]}, and a veth takes any MTU; tell this story with --in sim"
        if why:
            return f"{scenario.file}:{item.line}: {item}: {why}"
    return ""


async def _plug(world: NetnsWorld, nic: str) -> None:
    await world.plug(nic)


async def _unplug(world: NetnsWorld, nic: str) -> None:
    await world.unplug(nic)


async def _carrier(world: NetnsWorld, nic: str, up: bool) -> None:
    await world.set_link(nic, up)


async def _admin(world: NetnsWorld, nic: str, up: bool) -> None:
    await world.stage.guest.ask(SetUp(await world.device(nic), up))


async def _mtu(world: NetnsWorld, nic: str, mtu: int) -> None:
    await world.stage.guest.ask(SetMtu(await world.device(nic), mtu))


async def _address(world: NetnsWorld, address: str, present: bool = True) -> None:
    change = rtnl.add_address if present else rtnl.drop_address
    await world.stage.guest.ask(change(await world.device("master"), address))


async def _rename(world: NetnsWorld, nic: str, name: str) -> None:
    await world.stage.guest.ask(Rename(await world.device(nic), name))


async def _foreign_master(world: NetnsWorld, nic: str) -> None:
    try:
        await world.stage.guest.ask(rtnl.device("bridge", FOREIGN))
    except KernelRefusedError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        raise CannotTell("this kernel has no bridges (CONFIG_BRIDGE); tell this story with --in vm") from error
    bridge = next(row["ifindex"] for row in await world.links() if row["name"] == FOREIGN)
    await world.stage.guest.ask(SetMaster(await world.device(nic), bridge))


async def _release(world: NetnsWorld) -> None:
    await world.stage.daemon.ask("release", str((await world.master())["name"]))


async def _rename_link(world: NetnsWorld, nic: str, name: str) -> None:
    await world.stage.daemon.ask("rename", str(await world.device(nic)), name)


async def _drain(world: NetnsWorld) -> None:
    await world.stage.daemon.ask("drain", str((await world.master())["name"]))


async def _undrain(world: NetnsWorld) -> None:
    await world.stage.daemon.ask("undrain", str((await world.master())["name"]))


async def _overrun(world: NetnsWorld, nic: str) -> None:
    """Stop the daemon while its socket overflows and the NIC goes: the unplug's event never reaches it."""
    daemon = world.stage.daemon
    daemon.send(signal.SIGSTOP)
    try:
        with trio.move_on_after(FLOOD):
            while not _dropped(daemon.pid):
                await world.stage.guest.send(rtnl.mtu_changes(LO, EVENTS))
        if not _dropped(daemon.pid):
            raise CannotTell("the daemon's netlink socket did not overflow; give it a smaller receive_buffer")
        await world.unplug(nic)
    finally:
        daemon.send(signal.SIGCONT)


def _dropped(pid: int) -> int:
    """Return how many messages a process's first NETLINK_ROUTE socket has lost; its port is the process's pid."""
    for line in Path(f"/proc/{pid}/net/netlink").read_text(encoding="ascii").splitlines()[1:]:
        _, protocol, port, _, _, _, _, _, drops, *_ = line.split()
        if (int(protocol), int(port)) == (0, pid):
            return int(drops)
    raise LabError(f"the daemon, process {pid}, has no netlink socket in /proc/{pid}/net/netlink")


async def _kill_daemon(world: NetnsWorld) -> None:
    await world.stage.daemon.end(signal.SIGKILL)


async def _stop_daemon(world: NetnsWorld) -> None:
    await world.stage.daemon.end(signal.SIGTERM)


async def _start_daemon(world: NetnsWorld) -> None:
    await world.stage.daemon.start()


async def _configure(world: NetnsWorld, config: Mapping[str, Any]) -> None:
    world.config = overlay(world.config, config)
    world.stage.daemon.configure(world.config)
    await world.stage.daemon.ask("reload")


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
    "overrun": _overrun,
    "kill-daemon": _kill_daemon,
    "stop-daemon": _stop_daemon,
    "start-daemon": _start_daemon,
    "configure": _configure,
}
