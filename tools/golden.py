"""Keep a golden record of what the daemon does: every request, signal, state and reason, in order.

    tools/golden.py check [SEEDS]    compare this tree with the record, or with its first SEEDS histories
    tools/golden.py write            make the record anew
    tools/golden.py show NAME        print one record as this tree makes it: "unplug-bond", or a seed such as "17"
    tools/golden.py diff COMMIT      make the records of COMMIT and of this tree, and print the difference

There are two kinds. Each scenario is told in the simulated world with every datapath it can be told with; its record
is a text file below tests/golden. And there are HISTORIES random ones on the same world, from a seed: what the host, an
administrator, other programs and the daemon's own end may do, with a quiet minute behind it. Of those only a digest
is kept for each, as their whole text is long; `diff` shows what has changed in them.

A refactoring leaves the record equal. Where a change means to alter behaviour, or the words of a reason, the record is
written anew in the same commit, and that commit says why of each kind of line.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import functools
import hashlib
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import trio
from trio._core import _run as trio_run

from failoverd.core.state import State
from failoverd.core.status import nics, status
from failoverd.core.step import step
from failoverd.daemon import engine
from failoverd.model.actions import (
    Action,
    Announce,
    AskConfigurer,
    AskMode,
    Emit,
    FetchInet,
    Peek,
    SaveJournal,
    Say,
    Send,
    WakeAt,
)
from failoverd.model.events import Event
from failoverd_lab.parse import load
from failoverd_lab.runner import run as tell
from failoverd_lab.sim import SimWorld
from failoverd_lab.simkernel import SimKernel
from failoverd_lab.simkernel.state import Refused
from failoverd_lab.story import Nic, Scenario, Step
from failoverd_lab.world import CannotTell

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
DIGESTS = "histories.txt"
HISTORIES = 200
LENGTH = (10, 40)
"""Steps of a random history."""
QUIET = 60.0
"""Seconds of virtual time behind the last step of a random history."""
WAITS = (0.0, 0.0, 0.001, 0.02, 0.3, 1.5, 6.0, 40.0)
"""Seconds between two steps."""
MACS = ("52:54:00:fa:11:01", "52:54:00:fa:11:02")
NAMES = ("lan0", "ens3", "ens4", "ens3nsby", "ens9", "fo525400fa1102", "ens3vf")


# The record


class Recorder:
    """Takes the place of `step` in the engine, and writes down what each one led to."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.lines: list[str] = []
        self._now = now
        self._step = step
        self._shown: dict[str, str] = {}

    def __call__(self, state: State, event: Event, now: float) -> list[Action]:
        actions = self._step(state, event, now)
        for action in actions:
            self._note(action)
        if state.synced:
            self._show(state)
        return actions

    def say(self, text: str) -> None:
        """Write down something with its time."""
        self.lines.append(f"{self._now():9.3f} {text}")

    def _note(self, action: Action) -> None:
        match action:
            case WakeAt() | Peek() | AskMode():
                pass
            case Send(ticket, requests, why):
                self.say(f"send {ticket.owner}: {why}")
                self.lines += [f"{'':9}   {_value(request)}" for request in requests]
            case Emit(signal):
                self.say(f"signal {_value(signal)}")
            case Say(level, text):
                self.say(f"{level}: {text}")
            case SaveJournal(journal):
                self.say(f"journal {journal.mac} toward {journal.toward.value}, cut {journal.cut}")
            case FetchInet(owner, ifindexes, closely):
                near = f", closely={', '.join(map(str, closely))}" if closely else ""
                self.say(f"FetchInet({owner}, {_value(ifindexes)}{near})")
            case AskConfigurer(nic, name):
                self.say(f"ask what configures {nic.name}, for a bond called {name}")
            case Announce(owner, devices, times, ports):
                self.say(f"announce {_value(owner)} {devices} {times} {ports}")
            case _:
                self.say(_value(action))

    def _show(self, state: State) -> None:
        """Write down what has changed in the states and the verdicts, with their reasons."""
        shown: dict[str, str] = {}
        for master in status(state)["masters"]:
            where = f"{master['name']} by {master['datapath']}, {master['active']} carries"
            shown[master["mac"]] = f"{where}: {master['state']}: {master['reason']}"
        for nic in nics(state):
            shown[f"nic {nic['ifindex']}"] = f"{nic['name']}: {nic['verdict']}: {nic['reason']}"
        for key in sorted({*shown, *self._shown}):
            if shown.get(key) != self._shown.get(key):
                self.say(f"{key} is {shown.get(key, 'gone')}")
        self._shown = shown


def _value(value: object) -> str:
    """A value in a line: without the fields that have their defaults, bytes in hexadecimal digits."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [
            _value(getattr(value, field.name))
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            else f"{field.name}={_value(getattr(value, field.name))}"
            for field in dataclasses.fields(value)
            if not _is_default(field, getattr(value, field.name))
        ]
        return f"{type(value).__name__}({', '.join(parts)})"
    return _plain(value)


def _plain(value: object) -> str:
    match value:
        case bytes():
            return value.hex() or "''"
        case float():
            return f"{value:.3f}"
        case enum.Enum():
            return str(value.value)
        case frozenset() | set():
            return "{" + ", ".join(sorted(map(_value, value))) + "}"
        case Mapping():
            return "{" + ", ".join(f"{_value(key)}: {_value(one)}" for key, one in value.items()) + "}"
        case tuple() | list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return str(value).replace("\n", "\\n") or "''"


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(value == field.default)
    return field.default_factory is not dataclasses.MISSING and bool(value == field.default_factory())


class World(SimWorld):
    """The simulated world, on a kernel of the release that is asked for."""

    started = False

    def __init__(self, release: tuple[int, int]) -> None:
        super().__init__(progress=lambda _text: None)
        self.kernel = SimKernel(self.clock.current_time, release)

    async def start(self, scenario: Scenario, nursery: trio.Nursery) -> None:
        """See SimWorld."""
        self.started = True
        self._start = trio.current_time()
        await super().start(scenario, nursery)


def recorded(world: World, what: Callable[[Recorder], Any]) -> list[str]:
    """Have something happen in a world, always in the same order, and give the lines it led to."""
    recorder = Recorder(lambda: world.now() if world.started else 0.0)
    trio_run._r.seed(0)
    with (
        patch.object(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", new=True),
        patch.object(engine, "step", recorder),
    ):
        trio.run(functools.partial(what, recorder), clock=world.clock)
    return recorder.lines


# The scenarios


def scenarios() -> Iterator[tuple[str, Scenario]]:
    """Every scenario with every datapath it can be told with here, by the name of its record."""
    for path in sorted((ROOT / "scenarios").glob("*.toml")):
        story = load(path)
        for datapath in ("bond", "tc", "hv_netvsc"):
            if datapath in (story.datapaths or ("bond", "tc")):
                yield f"{story.name}-{datapath}", story.told_with(datapath)


def tell_scenario(scenario: Scenario) -> list[str]:
    """The record of one scenario."""
    world = World((6, 1))

    async def what(recorder: Recorder) -> None:
        await tell(scenario, world, lambda text: recorder.say(f"# {text}"))

    return recorded(world, what)


# The random histories


def _others_links(world: World, dice: random.Random) -> None:
    """Another program makes a device, or takes one away again."""
    admin, name = world.kernel.admin, f"other{dice.randrange(3)}"
    there = [seen.ifindex for seen in world.kernel.links() if seen.name == name]
    if there:
        admin.delete(there[0])
    else:
        admin.create(dice.choice(("dummy", "bridge")), name)


def _on_top(world: World, dice: random.Random) -> None:
    """A VLAN comes to stand on a device, or goes."""
    there = [seen for seen in world.kernel.links() if seen.name == "vlan7"]
    if there:
        world.kernel.admin.delete(there[0].ifindex)
        return
    data = bytes([6, 0, 1, 0, 7, 0, 0, 0])
    world.kernel.admin.create("vlan", "vlan7", data=data, lower=dice.choice(list(world.ifindexes.values())))


def _address(world: World, dice: random.Random) -> None:
    """A device gets an unexpected address."""
    cidr = dice.choice(("10.9.0.4/24", "fd00:99::7/64", "192.0.2.1/32"))
    world.kernel.admin.add_address(dice.choice([seen.ifindex for seen in world.kernel.links()]), cidr)


def _mac(world: World, dice: random.Random) -> None:
    """A NIC is given another MAC."""
    mac = dice.choice((*MACS, "02:00:00:00:00:07"))
    world.kernel.admin.set_mac(dice.choice(list(world.ifindexes.values())), mac)


DEEDS: Sequence[Callable[[World, random.Random], None]] = (_others_links, _on_top, _address, _mac)


def history(seed: int) -> list[str]:
    """The record of one random history."""
    dice = random.Random(seed)  # noqa: S311 - it is to be the same each time
    world = World(dice.choice(((6, 1), (6, 8))))
    nics = [Nic("pv", "virtio", MACS[0]), Nic("vf", "pci", MACS[0], plugged=dice.random() < 0.7)]
    if dice.random() < 0.4:
        nics += [Nic("pv2", "virtio", MACS[1]), Nic("vf2", "pci", MACS[1])]
    if dice.random() < 0.3:
        nics.append(Nic("third", dice.choice(("virtio", "pci")), MACS[0], plugged=False))
    scenario = Scenario(f"history {seed}", "", tuple(nics), (), config=_config(dice))

    async def what(recorder: Recorder) -> None:
        async with trio.open_nursery() as nursery:
            await world.start(scenario, nursery)
            for _ in range(dice.randint(*LENGTH)):
                await trio.sleep(dice.choice(WAITS))
                await _something(world, dice, recorder)
            await trio.sleep(QUIET)
            nursery.cancel_scope.cancel()

    return recorded(world, what)


def _config(dice: random.Random) -> dict[str, Any]:
    create = dice.choice(("always", "remembered", "paired"))
    config: dict[str, Any] = {"master": {"datapath": dice.choice(("bond", "bond", "tc", "auto")), "create": create}}
    if dice.random() < 0.4:
        config["failback"] = {"hold_down": dice.choice((0.2, 2.0)), "automatic": dice.random() < 0.7}
    if dice.random() < 0.3:
        config["naming"] = {"master": dice.choice(("{nic}", "m{nic}")), "primary": "{master}vf"}
    return config


async def _something(world: World, dice: random.Random, recorder: Recorder) -> None:
    """One step of a story, or a deed of others; what cannot be done is written down as such."""
    if dice.random() < 0.25:
        deed = dice.choice(DEEDS)
        recorder.say(f"# {deed.__name__.strip('_')}")
        try:
            deed(world, dice)
        except (Refused, IndexError, KeyError) as error:
            recorder.say(f"# refused: {type(error).__name__}")
        return
    step = _step(world, dice)
    recorder.say(f"# {step}")
    try:
        with trio.move_on_after(30):
            await world.do(step)
    except (CannotTell, KeyError) as error:
        recorder.say(f"# cannot: {error}")


def _step(world: World, dice: random.Random) -> Step:
    nic = dice.choice(list(world.nics))
    any_nic = dice.choice((nic, nic, "master"))
    vf = dice.choice([one for one in world.nics if one != "pv"])
    choices: list[tuple[int, str, dict[str, Any]]] = [
        (6, "unplug" if vf in world.ifindexes else "plug", {"nic": vf}),
        (1, "unplug" if "pv" in world.ifindexes else "plug", {"nic": "pv"}),
        (6, "carrier", {"nic": nic, "up": dice.random() < 0.5}),
        (2, "admin", {"nic": any_nic, "up": dice.random() < 0.6}),
        (1, "mtu", {"nic": any_nic, "mtu": dice.choice((1400, 1500, 9000))}),
        (1, "address", {"address": dice.choice(("10.0.9.9/24", "fd00:9::9/64")), "present": dice.random() < 0.7}),
        (1, "rename", {"nic": any_nic, "name": dice.choice(NAMES)}),
        (1, "rename-link", {"nic": any_nic, "name": dice.choice(NAMES)}),
        (1, "foreign-master", {"nic": nic}),
        (1, "release", {}),
        (1, "drain", {}),
        (1, "undrain", {}),
        (1, "overrun", {"nic": vf}),
        (2, "kill-daemon" if world.engine is not None else "start-daemon", {}),
        (0 if world.engine is not None else 6, "start-daemon", {}),
    ]
    _, do, args = dice.choices(choices, [weight for weight, _, _ in choices])[0]
    return Step(do, args)


# The commands


def make(name: str) -> tuple[str, str]:
    """One record, by its name: a scenario's or a seed."""
    logging.disable(logging.CRITICAL)
    lines = history(int(name)) if name.isdigit() else tell_scenario(dict(scenarios())[name])
    return name, "\n".join(lines) + "\n"


def every(seeds: int = HISTORIES) -> dict[str, str]:
    """All records, or those of the scenarios and of the first histories."""
    names = [name for name, _ in scenarios()] + [str(seed) for seed in range(seeds)]
    with ProcessPoolExecutor(2) as pool:
        return dict(pool.map(make, names, chunksize=4))


def files(records: Mapping[str, str]) -> dict[str, str]:
    """The files of the record, by name: one for each scenario, and one of digests."""
    told = {f"{name}.txt": text for name, text in records.items() if not name.isdigit()}
    seeds = [(name, text) for name, text in records.items() if name.isdigit()]
    lines = [f"{name} {hashlib.sha256(text.encode()).hexdigest()[:16]} {text.count(chr(10))}\n" for name, text in seeds]
    return {**told, DIGESTS: "".join(lines)}


def write() -> int:
    """Make the record anew."""
    GOLDEN.mkdir(exist_ok=True)
    made = files(every())
    for path in GOLDEN.glob("*.txt"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (GOLDEN / name).write_text(text)
    return 0


def check(seeds: int = HISTORIES) -> int:
    """Compare; 1 where this tree does something else than the record says."""
    made = files(every(seeds))
    kept = {path.name: path.read_text() for path in sorted(GOLDEN.glob("*.txt"))}
    kept[DIGESTS] = "".join(kept.get(DIGESTS, "").splitlines(keepends=True)[:seeds])
    differing = [name for name in sorted({*made, *kept}) if made.get(name) != kept.get(name)]
    for name in differing:
        print(name, *_difference(kept.get(name, ""), made.get(name, ""))[:30], sep="\n  ")
    print(f"golden record: {len(made) - 1} scenarios and {seeds} histories, {len(differing)} files differ")
    return int(bool(differing))


def diff(commit: str) -> int:
    """Print what this tree does otherwise than another commit did, record by record."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--detach", "-q", str(tree), commit)
        try:
            before, after = (_all_of(where) for where in (tree, ROOT))
        finally:
            _git("worktree", "remove", "--force", str(tree))
    for name in sorted({*before, *after}):
        if lines := _difference(before.get(name, ""), after.get(name, "")):
            print(f"== {name}", *lines, sep="\n")
    return 0


def _difference(before: str, after: str) -> list[str]:
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", n=1, lineterm=""))


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True)  # noqa: S607


def _all_of(tree: Path) -> dict[str, str]:
    """The records as the code of a tree makes them."""
    program = "import golden, json; print(json.dumps(golden.every()))"
    path = ":".join(str(tree / part) for part in (".", "tools", "lab"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tree,
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"},
    )
    return dict(json.loads(done.stdout))


def main(arguments: Sequence[str]) -> int:
    """Run one command."""
    match arguments:
        case ["check"]:
            return check()
        case ["check", seeds]:
            return check(int(seeds))
        case ["write"]:
            return write()
        case ["show", name]:
            print(make(name)[1], end="")
            return 0
        case ["diff", commit]:
            return diff(commit)
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of a set's elements must not differ from run to run.
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606
    sys.exit(main(sys.argv[1:]))
