"""[link.NAME] tables of all documents, laid over each other, to the declared ends, or to all of their problems.

Each document's values are checked, also where a later one overrides them, as in config/read.py. What belongs together
is checked when the last document has been laid over the others: a drop-in may give the other half.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import field
from itertools import islice
from types import MappingProxyType
from typing import Any

from failoverd.config.bounds import MOST_PROBLEMS, more
from failoverd.config.document import TomlDocument, suggest
from failoverd.config.errors import ConfigError, Problem
from failoverd.config.keys import Entry, entries
from failoverd.config.kinds import InvalidValueError, show
from failoverd.config.links.across import contradictions
from failoverd.config.links.ends import end_of, faults
from failoverd.config.links.spec import Link
from failoverd.config.links.tables import InvalidKeyError
from failoverd.config.links.values import NAME, NAME_IN_WORDS
from failoverd.dataclass import dataclass
from failoverd.model.declared import Declared, End

DEEPEST = 8
"""Most tables and lists within each other in one link; three are of use. JSON may be nested deeper than Python's
functions can call each other.
"""
FAR = ".peer"
"""What the far end of [link.NAME] is called, after the NAME."""

KEYS: Mapping[str, Entry] = {entry.name: entry for entry in entries("link", Link)}
FAR_KEYS = {
    key: entry
    for key, entry in KEYS.items()
    if key not in ("enabled", "kind", "peer") and (not entry.of or "veth" in entry.of)
}
"""Those of a peer that is a table."""


@dataclass(slots=True)
class Draft:
    """One end as the documents so far give it, with the document that gave each key."""

    table: tuple[str, ...]
    """The words of its header."""

    first: TomlDocument
    values: dict[str, Any] = field(default_factory=dict)
    givers: dict[str, TomlDocument] = field(default_factory=dict)
    far: Draft | None = None
    """The other end, if `peer` is a table."""

    broken: bool = False
    """Whether one of its values was refused, so that what is missing is no problem of its own."""

    def give(self, key: str, value: Any, document: TomlDocument) -> None:
        """Take the value of a key, which replaces an earlier document's."""
        self.values[key], self.givers[key] = value, document
        if key == "peer":
            self.far = None

    def problem(self, key: str, text: str) -> Problem:
        """Return a problem with a key, or with the whole of it if the key was not given."""
        if key in self.givers:
            return self.givers[key].problem(self.table, (key,), text)
        return self._document().problem(self.table, (), text)

    def source(self) -> str:
        """Return where it was declared."""
        document = self._document()
        line = document.places.line(self.table)
        return f"{document.file}:{line}" if line else document.file

    def _document(self) -> TomlDocument:
        return self.givers.get("kind", self.first)


class Drafts:
    """All links as the documents so far give them. What is wrong with a value is put into `problems`."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems
        self._links: dict[str, Draft] = {}

    def lay_over(self, document: TomlDocument, links: Mapping[str, Any]) -> Iterator[None]:
        """Take one key after the other from the links of a document, and yield after each."""
        for name, body in links.items():
            if wrong := _unfit(name, body):
                self._problems.append(document.problem(("link", name), (), wrong))
            else:
                draft = self._links.setdefault(name, Draft(("link", name), document))
                yield from self._table(document, draft, body, KEYS)
            yield

    def declared(self, problems: list[Problem]) -> Declared:
        """Return the ends, which are all of them only if there are no problems then.

        What is wrong with an end as a whole is put into `problems`; and if that holds none, what is wrong between ends.
        """
        drafts: dict[str, Draft] = {}
        ends: dict[str, End] = {}
        found = list(islice(self._enter(drafts, ends), MOST_PROBLEMS + 1))
        if not found and not problems:
            wrong = (drafts[name].problem(key, text) for name, key, text, _ in contradictions(ends))
            found = list(islice(wrong, MOST_PROBLEMS + 1))
        if len(found) > MOST_PROBLEMS:
            found[-1] = more(found[0].file)
        problems += found
        return MappingProxyType(ends)

    def _table(
        self, document: TomlDocument, draft: Draft, body: Mapping[str, object], keys: Mapping[str, Entry]
    ) -> Iterator[None]:
        """Take the keys of a table."""
        for key, value in body.items():
            if key == "peer" and "peer" in keys and isinstance(value, Mapping):
                far = draft.far or Draft((*draft.table, "peer"), document)
                draft.give("peer", draft.table[-1] + FAR, document)
                draft.far = far
                yield from self._table(document, far, value, FAR_KEYS)
            else:
                self._take(document, draft, keys, key, value)
            yield

    def _take(self, document: TomlDocument, draft: Draft, keys: Mapping[str, Entry], key: str, value: object) -> None:
        path: tuple[str | int, ...] = (key,)
        if key not in keys:
            wrong = "no such key; " + _advice(key, value, keys)
        else:
            try:
                draft.give(key, keys[key].kind.take(value), document)
                return
            except InvalidKeyError as refused:
                wrong, path = str(refused), (key, *refused.path)
            except InvalidValueError as refused:
                wrong = f"{refused}; give {keys[key].kind.describe()}"
        draft.broken = True
        self._problems.append(document.problem(draft.table, path, wrong))

    def _enter(self, drafts: dict[str, Draft], ends: dict[str, End]) -> Iterator[Problem]:
        """Enter every link that is not withdrawn, and yield what is wrong with each by itself."""
        for name, draft in self._links.items():
            if draft.values.get("enabled", True):
                yield from _enter(drafts, ends, name, draft)
                if draft.far and draft.values.get("kind") == "veth":
                    far = draft.far
                    far.values.update(kind="veth", peer=name)
                    yield from _enter(drafts, ends, name + FAR, far)


def _enter(drafts: dict[str, Draft], ends: dict[str, End], name: str, draft: Draft) -> Iterator[Problem]:
    """Enter an end, or yield what is wrong with it."""
    if name in drafts:
        yield draft.problem("", f"[link.{name[: -len(FAR)]}.peer] is called so, too; give it another name")
    drafts[name] = draft
    if draft.broken:
        return
    found = list(faults(name, draft.values))
    yield from (draft.problem(key, text) for key, text in found)
    if not found:
        ends[name] = end_of(name, draft.values, draft.source())


def declared_from(name: str, mapping: object, where: str) -> tuple[End, ...]:
    """Return the one or two ends of a link whose keys are given as JSON would; none if it is not enabled.

    `where` stands for its place in errors and in `source`. What contradicts other links is not looked for: see across.
    Raises ConfigError.
    """
    problems: list[Problem] = []
    drafts = Drafts(problems)
    deque(drafts.lay_over(TomlDocument(where, {}), {name: mapping}), maxlen=0)
    ends = drafts.declared(problems)
    if problems:
        raise ConfigError(problems[:MOST_PROBLEMS])
    return tuple(ends.values())


def _unfit(name: str, body: object) -> str:
    """Return what is wrong with a link as such, "" if nothing is."""
    if not NAME.fullmatch(name):
        return f"{show(name)} is no name of a link; give {NAME_IN_WORDS}"
    if not isinstance(body, Mapping):
        return f"{show(body)} is no link; write [link.{name}], then its keys"
    return "it is nested too deeply; no key takes more than a list of tables" if _deeper(body) else ""


def _deeper(body: object) -> bool:
    """Return whether tables and lists are in each other more than DEEPEST times."""
    level: list[Any] = [body]
    for _ in range(DEEPEST):
        inner = (item for outer in level for item in (outer.values() if isinstance(outer, Mapping) else outer))
        level = [item for item in inner if isinstance(item, (Mapping, list, tuple))]
    return bool(level)


def _advice(key: str, value: object, keys: Mapping[str, Entry]) -> str:
    if key in KEYS:
        return "it belongs below [link.NAME] itself"
    if isinstance(value, Mapping) and keys is KEYS:
        return 'the name of a link that has a dot is written in quotes: [link."NAME.REST"]'
    return suggest(key, keys, "{}", "the keys of a link are")
