"""The steps of a story in the simulated world, one function each; the keyword arguments are the step's keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import trio

from failoverd.core.status import status
from failoverd_lab.world import CannotTell

if TYPE_CHECKING:
    from failoverd_lab.sim import SimWorld

MOVING = 0.05
"""Seconds for which a guest stands still in a live migration."""

FOREIGN = "br-foreign"
"""The bridge that stands for another program's master."""


async def _plug(world: SimWorld, nic: str) -> None:
    world.plug(nic)


async def _unplug(world: SimWorld, nic: str) -> None:
    world.unplug(nic)


async def _carrier(world: SimWorld, nic: str, up: bool) -> None:
    kernel, ifindex = world.place_of(nic)
    kernel.set_medium(ifindex, up)


async def _admin(world: SimWorld, nic: str, up: bool) -> None:
    world.kernel.admin.set_up(_device(world, nic), up)


async def _mtu(world: SimWorld, nic: str, mtu: int) -> None:
    world.kernel.admin.set_mtu(_device(world, nic), mtu)


async def _address(world: SimWorld, address: str, present: bool = True) -> None:
    change = world.kernel.admin.add_address if present else world.kernel.admin.del_address
    change(_device(world, "master"), address)


async def _rename(world: SimWorld, nic: str, name: str) -> None:
    world.kernel.admin.rename(_device(world, nic), name)


async def _foreign_master(world: SimWorld, nic: str) -> None:
    admin = world.kernel.admin
    if not (bridges := _called(world, FOREIGN)):
        admin.create("bridge", FOREIGN)
        bridges = _called(world, FOREIGN)
    admin.set_master(_device(world, nic), bridges[0])


def _called(world: SimWorld, name: str) -> list[int]:
    return [seen.ifindex for seen in world.kernel.links() if seen.name == name]


async def _release(world: SimWorld) -> None:
    await world.tell_daemon("release", str(_device(world, "master")))


async def _rename_link(world: SimWorld, nic: str, name: str) -> None:
    await world.tell_daemon("rename", str(_device(world, nic)), name)


async def _drain(world: SimWorld) -> None:
    await world.tell_daemon("drain", str(_device(world, "master")))


async def _undrain(world: SimWorld) -> None:
    await world.tell_daemon("undrain", str(_device(world, "master")))


async def _migrate(_world: SimWorld) -> None:
    """Stand still for a moment. The guest's kernel notices nothing: its devices come along."""
    await trio.sleep(MOVING)


async def _overrun(world: SimWorld, nic: str) -> None:
    """Make more events than the daemon's socket holds, then unplug the NIC, before the daemon can read any of them."""
    world.kernel.storm()
    world.unplug(nic)


async def _kill_daemon(world: SimWorld) -> None:
    await world.kill_daemon()


async def _start_daemon(world: SimWorld) -> None:
    await world.start_daemon()


async def _namespace(world: SimWorld, name: str, present: bool = True) -> None:
    world.set_namespace(name, present)


async def _move(world: SimWorld, namespace: str = "") -> None:
    """Order a move as failoverctl does; "" is home."""
    await world.tell_daemon("move", _master(world), *([namespace] if namespace else []))


async def _configure(world: SimWorld, config: Mapping[str, Any]) -> None:
    await world.configure(config)


def _master(world: SimWorld) -> str:
    """Return the MAC of the one pair."""
    masters = status(world.engine.state)["masters"] if world.engine is not None else []
    if len(masters) != 1:
        raise CannotTell(f"the step speaks of the master, and the daemon has {len(masters)}")
    return str(masters[0]["mac"])


def _device(world: SimWorld, nic: str) -> int:
    """Return the ifindex of a NIC of the story, or of the one master."""
    if nic != "master":
        return world.ifindexes[nic]
    masters = status(world.engine.state)["masters"] if world.engine is not None else []
    if len(masters) != 1:
        raise CannotTell(f"the step speaks of the master, and the daemon has {len(masters)}")
    return int(masters[0]["ifindex"])


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
    "stop-daemon": _kill_daemon,
    "start-daemon": _start_daemon,
    "namespace": _namespace,
    "configure": _configure,
    "move": _move,
}
