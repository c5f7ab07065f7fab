"""The entry to moves into other network namespaces. A machine on which nothing moves loads and starts nothing for them.

What carries them out is loaded by the first order, or where a journal says that a pair is elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from failoverd.core.call_answers import CallError
from failoverd.core.calls import check
from failoverd.core.state import State
from failoverd.daemon.calls import BROKEN
from failoverd.model.declared import NamespaceRef
from failoverd.model.events import AwaySaid, ResidenceSaid, ThereSeen, UndrainAsked, VfAsked
from failoverd.model.residence import NOWHERE, Residences

if TYPE_CHECKING:
    from failoverd.daemon.moves import Apart, Moves

log = logging.getLogger("failoverd")

Document = dict[str, Any]
Tell = Callable[[AwaySaid | ResidenceSaid | ThereSeen | UndrainAsked | VfAsked], Awaitable[None]]
BY = ("name", "pid", "path", "container")


class MoveOrders:
    """See the module. `directory` has the journals, `load` makes what carries out the orders."""

    def __init__(self, directory: Path, load: Callable[[], Awaitable[Moves]]) -> None:
        self._directory, self._load = directory, load
        self._moves: Moves | None = None
        self._is_loaded = trio.Event()
        self._wanted = trio.Event()
        self._residences: Residences = NOWHERE
        self._state: State | None = None

    def configure(self, residences: Residences) -> None:
        """Take in the [master.NAME] of a configuration; also of the first one."""
        self._residences = residences
        if self._moves is not None:
            self._moves.configure(residences)
        elif residences:
            self._wanted.set()

    def stepped(self, state: State) -> None:
        """The failover engine has made a step."""
        self._state = state
        if self._moves is not None:
            self._moves.stepped(state)

    async def serve(self, call: str, *arguments: str) -> Document:
        """Carry out a call. Raises CallError."""
        check(call, arguments)
        moves = await self._loaded()
        try:
            return await CALLED[call](moves, *arguments)
        except CallError:
            raise
        except Exception as error:
            # A caller cannot end the daemon.
            log.exception("the call %s %r failed; please report this", call, arguments)
            raise CallError(BROKEN) from error

    async def into(self, mac: str, ref: NamespaceRef, device: str, owner: str) -> None:
        """Move a pair into a pod (Moves.into). Raises CallError."""
        await (await self._loaded()).into(mac, ref, device, owner)

    async def recall(self, mac: str, ref: NamespaceRef) -> None:
        """Bring a pair home from a pod (Moves.recall). Raises CallError."""
        await (await self._loaded()).recall(mac, ref)

    async def _loaded(self) -> Moves:
        self._wanted.set()
        await self._is_loaded.wait()
        assert self._moves is not None
        return self._moves

    async def run(self, is_ready: trio.Event) -> None:
        """Wait for the first order, or a journal, and then look after moves until cancelled.

        A failure is logged and all of it is started anew, from the journals.
        """
        await is_ready.wait()
        if not self._has_something():
            await self._wanted.wait()
        while True:
            try:
                records = await trio.to_thread.run_sync(self._records)
                self._moves = await self._load()
                self._moves.configure(self._residences)
                if self._state is not None:
                    self._moves.stepped(self._state)
                await self._moves.run(records, self._is_loaded.set)
            except Exception:
                log.exception("moves are looked after anew; please report this. Failing over has no part in it")
                self._moves, self._is_loaded = None, trio.Event()
                await trio.sleep(1)

    def _has_something(self) -> bool:
        try:
            return any(path.suffix in (".json", ".order") for path in self._directory.iterdir())
        except OSError:
            return False

    def _records(self) -> list[Any]:
        """Read the journals. One that cannot be read was set aside at the start (kept.py)."""
        from failoverd.daemon.kept import DAMAGED
        from failoverd.daemon.movefile import read_record

        found = []
        for path in sorted(self._directory.glob("*.json")):
            try:
                found.append(read_record(path))
            except DAMAGED as error:
                log.error("%s: %s; nothing is taken from it", path, error)
        return found


def reference(text: str) -> NamespaceRef:
    """Return the namespace that a word names: a name, or pid:N, path:P, container:C. Raises CallError."""
    by, colon, value = text.partition(":")
    if not colon or by not in BY:
        by, value = "name", text
    if not value or "\0" in value or (by == "name" and ("/" in value or value in (".", ".."))):
        raise CallError(f"{text!r} names no network namespace: NAME, pid:N, path:P or container:C", "BadArgument")
    if by == "pid" and not (value.isascii() and value.isdigit() and len(value) < 11):
        raise CallError(f"{value!r} is no process id", "BadArgument")
    return NamespaceRef(by, value)


async def _plan(moves: Moves, master: str, namespace: str = "") -> Document:
    return await moves.dry_run(master, reference(namespace) if namespace else None)


async def _move(moves: Moves, master: str, namespace: str = "") -> Document:
    return await moves.move(master, reference(namespace) if namespace else None)


CALLED: Mapping[str, Callable[..., Awaitable[Document]]] = {"move": _move, "move-plan": _plan}
"""By the call's name. Without a namespace the master goes home."""


async def load_moves(
    door: Path,
    directory: Path,
    state: Callable[[], State],
    tell: Tell,
    hanging: Callable[[int], Awaitable[str]],
    apart: Apart,
) -> Moves:
    """Return what carries out moves. Its modules are loaded in a thread. `door` is the socket of failoverd-netns."""

    def load() -> Moves:
        from failoverd.daemon.moves import Moves
        from failoverd.daemon.namespaces import Namespaces
        from failoverd.daemon.orderfile import OrderFiles

        return Moves(Namespaces(door), directory, state, tell, hanging, apart, OrderFiles(directory))

    return await trio.to_thread.run_sync(load)
