"""What is asked of a running engine: answered when it is so, and never at the engine's expense."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from test_daemon_engine import FIRST, Machine, on_a_machine

from failoverd.core.call_answers import Answer, CallError
from failoverd.core.calls import CALLS, Call
from failoverd.core.ordercalls import PATIENCE
from failoverd.daemon.calls import BROKEN, carry_out


def asked(body: Callable[[Machine], Awaitable[None]]) -> Machine:
    async def ready(machine: Machine) -> None:
        await machine.ready.wait()
        await body(machine)

    return on_a_machine(ready)


def active(machine: Machine) -> str:
    state = machine.engine.state
    return state.name(state.active(state.judgements.pairs[FIRST]))


def test_a_drain_is_answered_when_it_is_so() -> None:
    async def body(machine: Machine) -> None:
        machine.announce_takes = 0.5
        before = trio.current_time()
        document = await carry_out(machine.engine, "drain", "ens3", "60")
        assert (document["active"], active(machine)) == ("ens3nsby", "ens3nsby")
        assert trio.current_time() - before >= 0.5
        assert machine.store.kept.drains[FIRST].until == document["drain_ends"] == pytest.approx(before + 60)
        await carry_out(machine.engine, "undrain", "ens3")
        assert machine.store.kept.drains == {}

    machine = asked(body)
    assert len(machine.announced) == 1


def test_a_rename_is_answered_when_it_is_so() -> None:
    async def body(machine: Machine) -> None:
        document = await carry_out(machine.engine, "rename", "ens13", "fast0")
        assert document == {"ifindex": 3, "old_name": "ens13", "new_name": "fast0"}
        assert machine.engine.state.name(3) == "fast0"

    asked(body)


def test_many_at_once_are_each_told_of_their_own() -> None:
    async def body(machine: Machine) -> None:
        told: dict[str, Any] = {}

        async def rename(new: str) -> None:
            told[new] = await carry_out(machine.engine, "rename", "3", new)

        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(rename, f"fast{number}")
        assert set(told) == {f"fast{number}" for number in range(5)}
        assert machine.engine.state.name(3) in told

    asked(body)


def test_nothing_is_answered_before_the_devices_are_known() -> None:
    async def body(machine: Machine) -> None:
        assert not machine.engine.state.synced
        document = await carry_out(machine.engine, "explain", "ens13")
        assert [row["name"] for row in document["nics"]] == ["ens13"]
        assert machine.engine.state.synced

    on_a_machine(body, ready=False)


def test_who_asks_while_the_kernel_does_not_tell_is_not_kept_for_ever() -> None:
    def mute(machine: Machine) -> None:
        machine.link_socket.mute = 1000

    async def body(machine: Machine) -> None:
        before = trio.current_time()
        with pytest.raises(CallError, match="status has not come true within 8 s: it was not begun") as info:
            await carry_out(machine.engine, "status")
        assert info.value.kind == "Failed"
        assert trio.current_time() - before == pytest.approx(PATIENCE)

    on_a_machine(body, mute, ready=False)


@pytest.mark.parametrize(
    ("call", "kind"), [(("explain", "eth9"), "NoSuchDevice"), (("drain",), "BadArgument"), (("fly",), "Failed")]
)
def test_a_refusal_is_the_callers(call: tuple[str, ...], kind: str) -> None:
    async def body(machine: Machine) -> None:
        with pytest.raises(CallError) as info:
            await carry_out(machine.engine, *call)
        assert info.value.kind == kind

    asked(body)


def test_what_does_not_come_true_ends_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    never = Call("wait for ever", ("nic",), True, lambda *_: Answer({}, (), lambda _state: False))
    monkeypatch.setitem(CALLS, "wait", never)

    async def body(machine: Machine) -> None:
        before = trio.current_time()
        with pytest.raises(CallError, match="wait ens3 has not come true within 8 s") as info:
            await carry_out(machine.engine, "wait", "ens3")
        assert info.value.kind == "TimedOut"
        assert trio.current_time() - before == pytest.approx(PATIENCE)

    asked(body)


def test_what_was_begun_may_still_come_true_and_the_caller_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    never = Call("wait for ever", ("nic",), True, lambda *_: Answer({}, (), lambda _state: False))
    monkeypatch.setitem(CALLS, "wait", never)

    async def body(machine: Machine) -> None:
        with pytest.raises(CallError, match="it was begun, and may still; failoverctl status"):
            await carry_out(machine.engine, "wait", "ens3")

    asked(body)


@pytest.mark.parametrize("call", ["drain", "release", "switch", "rename"])
def test_what_was_not_begun_when_its_caller_was_told_so_is_not_begun_later(call: str) -> None:
    """The engine stands still for longer than a caller waits: behind a slow disk, or stopped by a debugger."""

    async def body(machine: Machine) -> None:
        goes_on = trio.Event()
        do = machine.engine._do

        async def stand_still(action: Any) -> None:
            await goes_on.wait()
            await do(action)

        machine.engine._do = stand_still  # type: ignore[method-assign]
        arguments = {"switch": ("ens3", "ens3nsby"), "rename": ("ens13", "fast0")}.get(call, ("ens3",))
        machine.kernel.set_medium(3, False)
        with pytest.raises(CallError, match="it was not begun, and will not be"):
            await carry_out(machine.engine, call, *arguments)
        machine.kernel.set_medium(3, True)
        goes_on.set()
        await trio.sleep(1)
        pair = machine.engine.state.pairs[FIRST]
        assert (pair.orders.drain, pair.held, pair.orders.renames) == (None, False, [])
        assert machine.engine.state.name(3) == "ens13"

    asked(body)


def test_a_call_that_breaks_is_an_answer_and_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Call("break", (), True, lambda *_: Answer({1: 1 / 0}))  # type: ignore[dict-item]
    monkeypatch.setitem(CALLS, "break", broken)

    async def body(machine: Machine) -> None:
        with pytest.raises(CallError, match=BROKEN):
            await carry_out(machine.engine, "break")
        assert (await carry_out(machine.engine, "status"))["masters"]

    asked(body)
    assert "the call break () failed" in caplog.text
