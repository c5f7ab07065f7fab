"""Whether a story makes sense as a whole, each value being right by itself.

It is followed from item to item, and what could not happen is refused (a NIC pulled out twice, a VF that
migrates), as is what could not fail (a look back over no time at all). A world that met such a thing would give
a confusing answer, and late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from failoverd.config.kinds import show
from failoverd.lab.grammar import RESERVED
from failoverd.lab.kinds import WrongError
from failoverd.lab.story import Heard, Scenario, See, Step

_A_LOOK = 1e-6


@dataclass(slots=True)
class _Stage:
    """What is where while the story is followed. `moments` is the least time at which each named step can be done."""

    plugged: set[str]
    vfs: set[str]
    daemon: bool = True
    clock: float = 0.0
    moments: dict[str, float] = field(default_factory=lambda: {"start": 0.0})


def nonsense(scenario: Scenario) -> Iterator[WrongError]:
    """Everything the story cannot mean."""
    yield from _bad_ids(scenario)
    stage = _Stage(
        plugged={nic.id for nic in scenario.nics if nic.plugged},
        vfs={nic.id for nic in scenario.nics if nic.bus == "pci"},
    )
    for number, item in enumerate(scenario.then):
        stage.clock += item.wait
        if isinstance(item, See):
            stage.clock += _A_LOOK
        elif isinstance(item, Heard):
            if why := _unheard(item, stage):
                yield WrongError(("then", number, "since"), why)
        else:
            key, why = _impossible(item, stage)
            if why:
                yield WrongError(("then", number, key), why)
            _follow(item, stage)
    if all(isinstance(item, Step) for item in scenario.then):
        yield WrongError(("then",), "nothing is expected, so this story cannot fail; add an item with see or heard")


def _bad_ids(scenario: Scenario) -> Iterator[WrongError]:
    seen = dict.fromkeys(RESERVED, "is a word of the format")
    for number, nic in enumerate(scenario.nics):
        if nic.id in seen:
            yield WrongError(("nic", number, "id"), f"{show(nic.id)} {seen[nic.id]}; choose another")
        seen[nic.id] = "is another NIC's id too"


def _impossible(step: Step, stage: _Stage) -> tuple[str, str]:
    """The key that is at fault and why this cannot be done now; an empty text if it can."""
    if step.called in stage.moments or step.called == "step":
        return "called", f"{show(step.called)} is taken already; choose another"
    if step.do.endswith("-daemon") or step.do == "overrun":
        if step.do == "start-daemon" and stage.daemon:
            return "do", "the daemon is running already; stop-daemon or kill-daemon first"
        if step.do != "start-daemon" and not stage.daemon:
            return "do", "the daemon is not running; start-daemon first"
    if step.do == "migrate" and stage.plugged & stage.vfs:
        here = ", ".join(sorted(stage.plugged & stage.vfs))
        return "do", f"a VF cannot migrate, and {here} is plugged in; unplug it first, as a host does"
    return "nic", _misplaced(step, stage)


def _misplaced(step: Step, stage: _Stage) -> str:
    """Why nothing can be done with the step's NIC, or ""."""
    nic = step.args.get("nic", "master")
    if step.do == "plug" and nic in stage.plugged:
        return f"{nic} is plugged in already; unplug it first, or begin with plugged = false"
    if step.do != "plug" and nic != "master" and nic not in stage.plugged:
        return f"{nic} is not plugged in at this moment; plug it in first"
    return ""


def _follow(step: Step, stage: _Stage) -> None:
    """The stage as it is after the step."""
    if step.do == "plug":
        stage.plugged.add(step.args["nic"])
    elif step.do in ("unplug", "overrun"):
        stage.plugged.discard(step.args["nic"])
    elif step.do.endswith("-daemon"):
        stage.daemon = step.do == "start-daemon"
    stage.moments["step"] = stage.clock
    if step.called:
        stage.moments[step.called] = stage.clock


def _unheard(item: Heard, stage: _Stage) -> str:
    """Why there is nothing to look back on, or ""."""
    if item.since not in stage.moments:
        if item.since == "step":
            return 'there is no step above; write since = "start"'
        return f'no step above is called {show(item.since)}; write "step", "start" or what one is called'
    if stage.clock <= stage.moments[item.since]:
        return f"no time passes between {item.since} and this item; give it a wait"
    return ""
