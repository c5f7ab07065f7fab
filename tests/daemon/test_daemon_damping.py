"""A VF that flaps for an hour, on the whole daemon with a simulated kernel, beside the same without damping."""

from __future__ import annotations

import pytest
import trio
from test_daemon_engine import FIRST, Machine, on_a_machine

from failoverd.config.spec import Config, Damping, Failback
from failoverd.daemon.store import MemoryStore
from failoverd.model.signals import FailedOver

FLAPS, APART = 900, 4.0


async def flap(machine: Machine, times: int) -> None:
    """The carrier goes for a second, and is back for three."""
    vf = machine.engine.state.judgements.pairs[FIRST].vf
    for _ in range(times):
        machine.kernel.set_medium(vf, False)
        await trio.sleep(1)
        machine.kernel.set_medium(vf, True)
        await trio.sleep(APART - 1)


def failovers(machine: Machine) -> int:
    return sum(isinstance(signal, FailedOver) for signal in machine.signals)


@pytest.mark.parametrize(("enabled", "most"), [(True, 13), (False, 2 * FLAPS)])
def test_an_hour_of_flaps(enabled: bool, most: int) -> None:
    """What the documentation says of [damping]; docs/measured.md has both numbers."""
    before = after = 0

    async def body(machine: Machine) -> None:
        nonlocal before, after
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        before = failovers(machine)
        await flap(machine, FLAPS)
        after = failovers(machine)
        await trio.sleep(900)
        assert machine.states() == {FIRST: "accelerated"}, "it was steady for as long as it takes at the longest"

    machine = on_a_machine(body, config=Config(damping=Damping(enabled=enabled), failback=Failback(hold_down=1)))
    assert after - before == most
    assert failovers(machine) - after == (1 if enabled else 0)


def test_a_restart_in_the_middle_of_it() -> None:
    store = MemoryStore()

    async def suppressed(machine: Machine) -> None:
        await machine.until(lambda _state: machine.states() == {FIRST: "accelerated"})
        await flap(machine, 7)
        assert machine.states() == {FIRST: "on-standby"}

    on_a_machine(suppressed, store=store)
    assert store.load().damping[FIRST].suppressed
