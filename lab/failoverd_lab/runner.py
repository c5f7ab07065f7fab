"""Run a scenario in any world, item by item, and report the result.

An expectation that fails does not end the story: the rest of it, and the picture, are needed to understand the failure.
A step that the world cannot do ends it, as nothing after it would mean anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from failoverd_lab import checks
from failoverd_lab.epilogue import REST, not_held
from failoverd_lab.heard import heard
from failoverd_lab.report import Finding, Report
from failoverd_lab.story import Heard, Item, Scenario, See, Step
from failoverd_lab.world import CannotTell, Mark, Recording, World


def _no_progress(_: str) -> None:
    """Discard the progress."""


async def run(scenario: Scenario, world: World, progress: Callable[[str], None] = _no_progress) -> Report:
    """Run the story. Raises CannotTell, with the file and line of the step; takes the world down in any case."""
    try:
        async with trio.open_nursery() as nursery:
            try:
                return await _Telling(scenario, world, progress, nursery).tell()
            finally:
                with trio.CancelScope(shield=True):
                    await world.stop()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _only(group) from None


def _only(error: BaseException) -> BaseException:
    """Return the error that a nursery has wrapped; newer trios always wrap, older ones only several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@dataclass(slots=True)
class _Telling:
    """One running story. `moments` has the times of the named steps; looks back are judged when all is recorded."""

    scenario: Scenario
    world: World
    progress: Callable[[str], None]
    nursery: trio.Nursery
    memory: checks.Memory = field(default_factory=checks.Memory)
    moments: dict[str, float] = field(default_factory=lambda: {"start": 0.0})
    marks: list[Mark] = field(default_factory=list)
    seen: dict[int, list[Finding]] = field(default_factory=dict)
    windows: dict[int, tuple[float, float]] = field(default_factory=dict)

    async def tell(self) -> Report:
        self.progress(f"{self.scenario.name}: setting the stage in {self.world.name}")
        await self.world.start(self.scenario, self.nursery)
        await self._look()
        for number, item in enumerate(self.scenario.then):
            await self._item(number, item)
        broken = await self._epilogue()
        self.progress(f"{self.scenario.name}: collecting what was recorded")
        recording = await self.world.finish()
        marks = sorted([*recording.marks, *self.marks], key=lambda mark: mark.at)
        recording = dataclasses.replace(recording, marks=marks)
        return Report(self.scenario, self.world.name, [*self._findings(recording), *broken], recording)

    async def _item(self, number: int, item: Item) -> None:
        if item.wait:
            await self.world.sleep_until(self.world.now() + item.wait)
        if isinstance(item, Step):
            await self._do(item)
        elif isinstance(item, See):
            self.seen[number] = await self._see(item)
        else:
            self.windows[number] = (self.moments[item.since], self.world.now())

    async def _do(self, step: Step) -> None:
        at = self.world.now()
        self.progress(f"{self.scenario.name}: {at:.1f} s: {step}")
        self.marks.append(Mark(at, step.called or str(step)))
        self.moments["step"] = at
        if step.called:
            self.moments[step.called] = at
        try:
            await self.world.do(step)
        except CannotTell as why:
            place = f"{self.scenario.file}:{step.line}: {step}"
            raise CannotTell(f"{place}: {why}") from why

    async def _see(self, item: See) -> list[Finding]:
        deadline = self.world.now() + item.within
        wanted = ", ".join(f"{key} = {checks.tell(value)}" for key, value in item.what.items())
        self.progress(f"{self.scenario.name}: {self.world.now():.1f} s: waiting for {wanted}")
        while True:
            asked = self.world.now()
            answers = checks.see(item.what, await self._look(with_declared="link" in item.what))
            if asked >= deadline or all(answer.ok for answer in answers):
                break
            await self.world.sleep_until(min(self.world.now() + self.world.poll, max(deadline, self.world.now())))
        return [Finding(item.line, asked, answer.expected, answer.ok, answer.seen) for answer in answers]

    async def _epilogue(self) -> list[Finding]:
        """Return the invariants that do not hold when the story is over and the machine has had time to settle."""
        deadline = self.world.now() + REST
        while found := list(not_held(self.scenario, await self._look(), self.world.carrier())):
            if self.world.now() >= deadline:
                break
            await self.world.sleep_until(self.world.now() + self.world.poll)
        line = self.scenario.then[-1].line
        return [Finding(line, self.world.now(), f"{name}, in the end", False, text) for name, text in found]

    async def _look(self, with_declared: bool = False) -> checks.Look:
        declared = await self.world.declared() if with_declared else ()
        look = checks.Look(await self.world.status(), await self.world.links(), self.memory, declared)
        self.memory.note(look)
        return look

    def _findings(self, recording: Recording) -> list[Finding]:
        """Return all findings in the order of the story."""
        found: list[Finding] = []
        for number, item in enumerate(self.scenario.then):
            found += self.seen.get(number, [])
            if isinstance(item, Heard):
                start, end = self.windows[number]
                answers = heard(item.what, recording, start, end)
                found += [Finding(item.line, end, a.expected, a.ok, a.seen) for a in answers]
        return found
