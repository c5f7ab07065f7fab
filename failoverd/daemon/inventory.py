"""The entry to the inventory. Before the first question nothing of it is loaded, opened or kept.

The picture is dropped after KEPT seconds without a question: users look at a machine more than once, and a first answer
takes longer. It has sockets of its own, so the engine's queue has none of its events, and no step knows of it. It
answers in slices, so that no question holds up a failover. libvirt's clients are served by a process of its own
(failoverd-libvirt, started by its sockets), which asks the daemon one question at a time.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import trio

from failoverd.core.call_answers import CallError
from failoverd.core.state import State
from failoverd.netlink.transport import Transport

if TYPE_CHECKING:
    from failoverd.daemon.picture import Picture

log = logging.getLogger("failoverd")

KEPT = 60.0
"""Seconds without a question after which the picture is dropped."""
NAP = 0.02
"""Seconds between two looks at the events that have come in: so a storm of them costs fewer turns."""

Roles = dict[int, tuple[str, str]]
Opener = Callable[[], Awaitable["Picture"]]


def roles_of(state: State) -> Roles:
    """Return the devices of joined pairs by ifindex: the name of the pair's master, and the role in it."""
    roles: Roles = {}
    for mac, pair in state.pairs.items():
        found = state.judgements.pair(mac)
        master = state.link(found.master)
        if master is not None and pair.joined:
            roles[found.nic] = (master.name, "standby")
            roles[found.vf] = (master.name, "primary")
            roles[found.master] = (master.name, "master")
    roles.pop(0, None)
    return roles


async def load_picture(open_asking: Callable[[], Awaitable[Transport]]) -> Picture:
    """Open a picture of this network namespace. Its modules are loaded in a thread. Raises OSError."""

    def load() -> Callable[[Callable[[], Awaitable[Transport]]], Awaitable[Picture]]:
        from failoverd.daemon.picture import open_picture

        return open_picture

    return await (await trio.to_thread.run_sync(load))(open_asking)


class Inventory:
    """Keeps the picture while it is in use; see the module. `open_picture` opens one; `roles` returns the pairs'
    devices."""

    def __init__(self, open_picture: Opener, roles: Callable[[], Roles]) -> None:
        self._open_picture, self._roles = open_picture, roles
        self._picture: Picture | None = None
        self._one_at_a_time = trio.Lock()
        self._last = -math.inf
        self._opened = trio.Event()

    async def ask(self, question: str, arguments: Sequence[str]) -> list[bytes]:
        """Return the answer, as the pieces of a JSON document. Raises CallError."""
        async with self._one_at_a_time:
            self._last = trio.current_time()
            try:
                if self._picture is None:
                    self._picture = await self._open_picture()
                    self._opened.set()
                return await self._picture.answer(question, arguments, self._roles())
            except CallError:
                raise
            except OSError as error:
                self._drop()
                raise CallError(f"the kernel does not tell its interfaces: {error.strerror}") from error
            except Exception as error:
                # A question must not end the daemon, whatever goes wrong in it.
                log.exception("the question %s %r failed; please report this", question, arguments)
                self._drop()
                raise CallError("failoverd failed over this question; its log says more") from error
            except BaseException:
                # The question was cancelled, maybe in a dump, and a socket has one dump at a time.
                self._drop()
                raise
            finally:
                self._last = trio.current_time()

    async def run(self) -> None:
        """Take in events while there is a picture, until cancelled."""
        try:
            while True:
                await self._opened.wait()
                self._opened = trio.Event()
                while (picture := self._picture) is not None:
                    with trio.move_on_at(self._last + KEPT):
                        await self._follow(picture)
                    async with self._one_at_a_time:
                        if trio.current_time() >= self._last + KEPT:
                            self._drop()
        finally:
            self._drop()

    async def _follow(self, picture: Picture) -> None:
        try:
            await picture.heard()
        except trio.ClosedResourceError:
            return
        with trio.CancelScope(shield=True):
            async with self._one_at_a_time:
                if picture is self._picture:
                    await self._take_in(picture)
        await trio.sleep(NAP)

    async def _take_in(self, picture: Picture) -> None:
        try:
            await picture.drain()
        except OSError as error:
            log.warning("the inventory's socket fails (%s); it is opened anew for the next question", error.strerror)
            self._drop()
        except Exception:
            # As in `ask`: nothing of this may end the daemon.
            log.exception("the inventory failed over what the kernel has told; please report this")
            self._drop()

    def _drop(self) -> None:
        picture, self._picture = self._picture, None
        if picture is not None:
            picture.close()
