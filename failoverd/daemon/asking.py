"""Carrying out what somebody asks, over the control socket or D-Bus, between two of the engine's steps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import trio

from failoverd.core.answers import Answer, CallError
from failoverd.core.calls import CALLS, check
from failoverd.core.ordercalls import PATIENCE
from failoverd.core.state import State
from failoverd.daemon.engine import Engine
from failoverd.model.events import Event

log = logging.getLogger("failoverd")

BROKEN = "failoverd failed over this call; its log says more"


async def carry_out(engine: Engine, call: str, *arguments: str) -> dict[str, Any]:
    """Do it, and return its document once it is so. Raises CallError, also where that takes longer than PATIENCE.

    Whoever asks cannot end the daemon: what breaks over a call is the call's error. Who asks while it starts is kept
    until the devices are known, for before that there is no device to any question.
    """
    check(call, arguments)
    answer: Answer | CallError = CallError(BROKEN)

    def command(state: State, now: float) -> Iterable[Event]:
        nonlocal answer
        try:
            answer = CALLS[call].run(state, arguments, now)
        except CallError as error:
            answer = error
        except Exception:
            log.exception("the call %s %r failed; please report this", call, arguments)
        return answer.events if isinstance(answer, Answer) else ()

    with trio.move_on_after(PATIENCE):
        while not engine.state.synced:
            await engine.stepped.wait()
        await take_turn(engine, command)
        if isinstance(answer, CallError):
            raise answer
        while not answer.done(engine.state):
            await engine.stepped.wait()
        return answer.document
    text = f"{' '.join((call, *arguments))} has not come true within {PATIENCE:g} s; failoverctl status tells the state"
    raise CallError(text, "TimedOut")


async def take_turn(engine: Engine, command: Callable[[State, float], Iterable[Event]]) -> None:
    """Have something done between two steps. It is over when the step is, which knows of what it has changed."""
    begun = trio.Event()
    step = trio.Event()

    def turn(state: State, now: float) -> Iterable[Event]:
        nonlocal step
        step = engine.stepped
        begun.set()
        return command(state, now)

    await engine.tell(turn)
    await begun.wait()
    await step.wait()
