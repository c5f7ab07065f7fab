"""Check whether a story makes sense as a whole, each value being right by itself.

The story is followed from item to item. A step that could not happen is refused (a NIC unplugged twice, a VF that
migrates), and so is an expectation that could not fail (about no time at all). A world would give a confusing error for
it, and late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from failoverd.config.errors import ConfigError
from failoverd.config.kinds import show
from failoverd.config.load import from_mapping
from failoverd_lab.grammar import RESERVED
from failoverd_lab.kinds import Path, WrongError
from failoverd_lab.story import Heard, Scenario, See, Step, overlay

_A_LOOK = 1e-6
MOST_PROBES = 1_000_000
"""Most probes each way in a story: a world keeps all of them until it ends."""


@dataclass(slots=True)
class _Stage:
    """The state while the story is followed. `moments` has the earliest time of each named step, `mtus` the most that
    each driver accepts."""

    plugged: set[str]
    vfs: set[str]
    mtus: dict[str, int]
    namespaces: set[str] = field(default_factory=set)
    config: Mapping[str, Any] = field(default_factory=dict)
    daemon: bool = True
    clock: float = 0.0
    moments: dict[str, float] = field(default_factory=lambda: {"start": 0.0})


def nonsense(scenario: Scenario) -> Iterator[WrongError]:
    """Yield everything in the story that makes no sense."""
    yield from _bad_ids(scenario)
    yield from _bad_names(scenario)
    yield from _bad_config(scenario.config, ())
    if scenario.length * scenario.rate > MOST_PROBES:
        why = f"{scenario.length:.0f} s of story at {scenario.rate} probes a second are more than {MOST_PROBES} probes"
        yield WrongError(("rate",), f"{why}; give a lower rate or shorter waits")
    stage = _Stage(
        plugged={nic.id for nic in scenario.nics if nic.plugged},
        vfs={nic.id for nic in scenario.nics if nic.bus == "pci"},
        mtus={nic.id: nic.max_mtu for nic in scenario.nics},
        config=scenario.config,
    )
    for number, item in enumerate(scenario.then):
        stage.clock += item.wait
        if isinstance(item, See):
            stage.clock += _A_LOOK
        elif isinstance(item, Heard):
            if why := _unheard(item, stage):
                yield WrongError(("then", number, "since"), why)
        else:
            if item.do == "configure":
                stage.config = overlay(stage.config, item.args["config"])
                yield from _bad_config(stage.config, ("then", number))
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


def _bad_names(scenario: Scenario) -> Iterator[WrongError]:
    """Yield the names that two devices would have, and an error where the machine's addresses would be on an absent
    NIC."""
    seen: dict[str, str] = {}
    for number, nic in enumerate(scenario.nics):
        if nic.name in seen:
            why = f"{show(nic.name)} is {seen[nic.name]}'s name too; choose another"
            yield WrongError(("nic", number, "name"), why)
        if nic.name:
            seen[nic.name] = nic.id
    number = next((i for i, nic in enumerate(scenario.nics) if nic.bus == "virtio"), 0)
    if scenario.nics and not scenario.nics[number].plugged:
        why = f"the machine's addresses are on {scenario.nics[number].id} at the start"
        yield WrongError(("nic", number, "plugged"), f"{why}, so it must be plugged in; leave plugged out")


def _bad_config(config: Mapping[str, Any], path: Path) -> Iterator[WrongError]:
    try:
        from_mapping(config, "")
    except ConfigError as error:
        for problem in error.problems:
            words = [word.strip("[]") for word in problem.subject.split()]
            yield WrongError((*path, "config", *words), problem.text)


def _impossible(step: Step, stage: _Stage) -> tuple[str, str]:
    """Return the key at fault and why the step cannot be done now; an empty text if it can."""
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
    if step.do == "namespace" and (step.args["name"] in stage.namespaces) == step.args.get("present", True):
        is_there = step.args["name"] in stage.namespaces
        return "name", f"{step.args['name']} is {'there already' if is_there else 'not there; it has to come first'}"
    return "nic", _misplaced(step, stage)


def _misplaced(step: Step, stage: _Stage) -> str:
    """Return why the step's NIC cannot be used, or ""."""
    nic = step.args.get("nic", "master")
    if step.do == "mtu" and step.args["mtu"] > stage.mtus.get(nic, step.args["mtu"]):
        return f"the driver of {nic} takes an MTU of {stage.mtus[nic]} bytes at most (max_mtu)"
    if step.do == "plug" and nic in stage.plugged:
        return f"{nic} is plugged in already; unplug it first, or begin with plugged = false"
    if step.do != "plug" and nic != "master" and nic not in stage.plugged:
        return f"{nic} is not plugged in at this moment; plug it in first"
    return ""


def _follow(step: Step, stage: _Stage) -> None:
    """Apply the step to the state."""
    if step.do == "plug":
        stage.plugged.add(step.args["nic"])
    elif step.do in ("unplug", "overrun"):
        stage.plugged.discard(step.args["nic"])
    elif step.do.endswith("-daemon"):
        stage.daemon = step.do == "start-daemon"
    elif step.do == "namespace":
        stage.namespaces ^= {step.args["name"]}
    stage.moments["step"] = stage.clock
    if step.called:
        stage.moments[step.called] = stage.clock


def _unheard(item: Heard, stage: _Stage) -> str:
    """Return why there is nothing to look back on, or ""."""
    if item.since not in stage.moments:
        if item.since == "step":
            return 'there is no step above; write since = "start"'
        return f'no step above is called {show(item.since)}; write "step", "start" or what one is called'
    if stage.clock <= stage.moments[item.since]:
        return f"no time passes between {item.since} and this item; give it a wait"
    return ""
