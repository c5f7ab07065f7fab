"""Carry out calls from the control socket or D-Bus, between two of the engine's steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import trio

from failoverd.core.call_answers import Answer, CallError
from failoverd.core.calls import CALLS, check
from failoverd.core.inputs import Input
from failoverd.core.ordercalls import PATIENCE
from failoverd.core.state import State
from failoverd.daemon.engine import Engine
from failoverd.model.events import Event

log = logging.getLogger("failoverd")

BROKEN = "failoverd failed over this call; its log says more"


async def carry_out(
    engine: Engine, call: str, *arguments: str, objection: Callable[[State], None] = lambda _: None
) -> dict[str, Any]:
    """Carry out a call and return its document once the result has come true.

    `objection` raises CallError for what the engine does not know of, at the moment that the call begins.

    Raises CallError, also when it takes longer than PATIENCE. A call that has not begun by then never begins, as its
    caller has been told that it failed. One that has begun may still come true, and the error says so.

    A caller cannot end the daemon: an exception in a call becomes that call's error. A call during the start waits
    until the devices are known, as before that no question has an answer.
    """
    check(call, arguments)
    answer: Answer | CallError = CallError(BROKEN)
    is_begun = is_over = False

    def command(state: State, now: float) -> Iterable[Event]:
        nonlocal answer, is_begun
        if is_over:
            return ()
        is_begun = True
        try:
            objection(state)
            answer = CALLS[call].run(state, arguments, now)
        except CallError as error:
            answer = error
        except Exception:
            log.exception("the call %s %r failed; please report this", call, arguments)
        return answer.events if isinstance(answer, Answer) else ()

    try:
        with trio.move_on_after(PATIENCE):
            while not engine.state.synced:
                await engine.stepped.wait()
            if CALLS[call].changes:
                await take_turn(engine, command)
            else:
                # A query is no event: it is answered beside the engine and takes no turn of it.
                command(engine.state, trio.current_time())
            if isinstance(answer, CallError):
                raise answer
            while not answer.done(engine.state):
                await engine.stepped.wait()
            return answer.document
    finally:
        is_over = True
    what = "it was begun, and may still" if is_begun else "it was not begun, and will not be"
    text = f"{' '.join((call, *arguments))} has not come true within {PATIENCE:g} s: {what}"
    raise CallError(f"{text}; failoverctl status tells the state", "TimedOut" if is_begun else "Failed")


async def take_turn(engine: Engine, command: Callable[[State, float], Iterable[Event | Input]]) -> None:
    """Run a command between two steps. Returns after the step that has taken in what the command changed."""
    begun = trio.Event()
    step = trio.Event()

    def turn(state: State, now: float) -> Iterable[Event | Input]:
        nonlocal step
        step = engine.stepped
        begun.set()
        return command(state, now)

    await engine.tell(turn)
    await begun.wait()
    await step.wait()
