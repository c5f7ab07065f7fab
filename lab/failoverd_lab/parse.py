"""TOML to a Scenario, or to every problem of the file, each with file, line and key.

All problems are reported at once, so that a file can be mended in one go. Whether the values make sense together is
checked only when each is right by itself (`failoverd_lab.sense`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failoverd.config.bounds import LARGEST, MOST_PROBLEMS
from failoverd.config.errors import ConfigError, Problem
from failoverd.config.locate import Places
from failoverd.config.read import parse as read
from failoverd.config.regular import read_regular
from failoverd_lab import grammar
from failoverd_lab.kinds import Anything, OneOf, Table, Text, WrongError, take
from failoverd_lab.kinds import Path as KeyPath
from failoverd_lab.sense import nonsense
from failoverd_lab.story import Heard, Item, Nic, Scenario, See, Step


class ScenarioError(Exception):
    """A scenario file cannot be used. `problems` has at least one entry; the text has a line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def load(path: Path) -> Scenario:
    """Read one file. Raises ScenarioError."""
    try:
        raw = read_regular(path, LARGEST, follow=True)
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}; give the path of a scenario file"
        raise ScenarioError([Problem(str(path), 0, "", wrong)]) from None
    return parse(raw, str(path))


def parse(raw: bytes, file: str = "") -> Scenario:
    """Read the text of one file; `file` names it in errors. Raises ScenarioError."""
    try:
        document = read(file, raw)
    except ConfigError as error:
        raise ScenarioError(error.problems) from None
    draft = _Draft(document.tree, document.places)
    scenario = draft.scenario(file)
    if not draft.wrong:
        draft.wrong.extend(nonsense(scenario))
    if draft.wrong:
        problems = [_problem(file, document.places, wrong) for wrong in draft.wrong[:MOST_PROBLEMS]]
        problems.sort(key=lambda problem: problem.line)
        if more := len(draft.wrong) - MOST_PROBLEMS:
            problems += [Problem(file, 0, "", f"{more} more mistakes; mend these first")] * (more > 0)
        raise ScenarioError(problems)
    return scenario


def _problem(file: str, places: Places, wrong: WrongError) -> Problem:
    key = ".".join(word for word in wrong.path if isinstance(word, str))
    return Problem(file, places.line(wrong.path), key, str(wrong))


@dataclass(slots=True)
class _Draft:
    """The document, and its problems so far."""

    tree: Mapping[str, Any]
    places: Places
    wrong: list[WrongError] = field(default_factory=list)

    def scenario(self, file: str) -> Scenario:
        """Return the scenario; usable only if there was no problem."""
        inner = {"nic": Anything(), "then": Anything()}
        top = Table(grammar.TOP.required, {**grammar.TOP.optional, **inner})
        rest = {key: value for key, value in self.tree.items() if key not in inner}
        head = self._take(top, rest, ())
        entries = list(self._entries("nic"))
        nics = [Nic(**kept) for path, entry in entries if (kept := self._take(grammar.NIC, entry, path))]
        ids = [str(entry["id"]) for _, entry in entries if isinstance(entry, dict) and "id" in entry]
        then = [item for path, entry in self._entries("then") if (item := self._item(entry, path, ids))]
        head = {"name": "", "story": "", **head}
        return Scenario(nics=tuple(nics), then=tuple(then), file=file, **head)

    def _take(self, kind: Any, value: Any, path: KeyPath) -> dict[str, Any]:
        """Return the value, or an empty table if it is wrong."""
        try:
            return dict(take(kind, value, path))
        except WrongError as wrong:
            self.wrong.append(wrong)
            return {}

    def _entries(self, key: str) -> Iterator[tuple[KeyPath, Any]]:
        found = self.tree.get(key, [])
        if not isinstance(found, list) or not found:
            self.wrong.append(WrongError((key,), f"there is none; write at least one [[{key}]]"))
            return
        for number, entry in enumerate(found):
            yield (key, number), entry

    def _item(self, entry: Any, path: KeyPath, ids: Sequence[str]) -> Item | None:
        kinds = [key for key in ("do", "see", "heard") if isinstance(entry, dict) and key in entry]
        if len(kinds) != 1:
            self.wrong.append(WrongError(path, "it must have exactly one of the keys do, see and heard"))
            return None
        kind = kinds[0]
        line = self.places.line((*path, kind))
        wait = {"wait": grammar.TIME}
        if kind == "see":
            kept = self._take(Table({"see": grammar.see(ids)}, {"within": grammar.TIME, **wait}), entry, path)
            return See(what=kept.pop("see"), line=line, **kept) if kept else None
        if kind == "heard":
            word = Text(r"\S.*", '"step", "start" or what a step above is called')
            kept = self._take(Table({"heard": grammar.heard(ids)}, {"since": word, **wait}), entry, path)
            return Heard(what=kept.pop("heard"), line=line, **kept) if kept else None
        return self._step(entry, path, ids, line)

    def _step(self, entry: dict[str, Any], path: KeyPath, ids: Sequence[str], line: int) -> Step | None:
        known = grammar.actions(ids)
        own = known[entry["do"]] if entry["do"] in list(known) else Table()
        word = Text(r"\S.*", "a text that does not begin with a space")
        common = {"wait": grammar.TIME, "called": word}
        table = Table({"do": OneOf(tuple(known)), **own.required}, {**common, **own.optional})
        kept = self._take(table, entry, path)
        if not kept:
            return None
        args = {key: kept[key] for key in own.keys if key in kept}
        return Step(kept["do"], args, kept.get("wait", 0.0), kept.get("called", ""), line)
