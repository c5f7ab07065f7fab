"""[master.NAME] tables: where a failover master is to live. The keys, and the reading of all documents' tables.

It is loaded for the first such table, as the keys of declared links are. The price of `Annotated` is that this module
must not postpone its annotations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Any

from failoverd.config.document import TomlDocument, suggest
from failoverd.config.errors import Problem
from failoverd.config.keys import Entry, Key, entries
from failoverd.config.kinds import Choice, InvalidValueError, show
from failoverd.config.links.namespaces import REFERENCES, AbsolutePath, Container, NamespaceName, reference
from failoverd.config.links.spec import Namespace
from failoverd.config.links.tables import InvalidKeyError, Table
from failoverd.config.links.values import DeviceName, as_mac, plain
from failoverd.dataclass import dataclass
from failoverd.model.declared import NamespaceRef
from failoverd.model.residence import HOME, PARK, Residence

_TABLE = Table(Namespace, reference, "a table with exactly one of name, pid, path and container")
_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A network namespace: a text as `failoverctl move` takes it, or a table as a declared link has it."""

    def take(self, value: object) -> NamespaceRef:
        if isinstance(value, Mapping):
            ref = _TABLE.take(value)
            assert isinstance(ref, NamespaceRef)
            return ref
        by, colon, rest = plain(value).partition(":")
        if not colon or by not in REFERENCES:
            by, rest = "name", plain(value)
        return NamespaceRef(by, self._checked(by, rest))

    def _checked(self, by: str, value: str) -> str:
        match by:
            case "name":
                return NamespaceName().take(value)
            case "path":
                return AbsolutePath().take(value)
            case "container":
                return Container().take(value)
        if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS and int(value)):
            raise InvalidValueError(f"{show(value)} is no process id")
        return str(int(value))

    def describe(self) -> str:
        return 'a name as `ip netns` lists it, "pid:N", "path:P", "container:C", or a table as a link\'s namespace is'


@dataclass(frozen=True, slots=True)
class MasterOf:
    """Where one master lives. NAME is the name of the master, one of its alternative names, or the MAC of the pair in
    quotes.
    """

    namespace: Annotated[
        NamespaceRef | None,
        Key(
            Whereabouts(),
            "The network namespace that the master lives in, with all that stands on it. It moves there when it has "
            "been joined and the namespace is there, and comes home when the key is taken away. An order by "
            "`failoverctl move` holds until this key is changed.",
        ),
    ] = None
    when_gone: Annotated[
        str,
        Key(
            Choice((HOME, PARK)),
            'What is done when the namespace ends. "home": the master is made at home as it was there, and moves again '
            'when the namespace is there again. "park": there is no master until then; its NICs wait, down and without '
            "addresses, in failoverd's own namespace.",
        ),
    ] = HOME


KEYS: Mapping[str, Entry] = {entry.name: entry for entry in entries("master", MasterOf)}


@dataclass(slots=True)
class Drafts:
    """All such tables as the documents so far give them. What is wrong with a value is put into `problems`."""

    problems: list[Problem]
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def lay_over(self, document: TomlDocument, name: str, body: Mapping[str, Any]) -> Iterator[None]:
        """Take one key after the other from the table of a master, and yield after each."""
        known = as_mac(name)
        if not known:
            try:
                known = DeviceName().take(name)
            except InvalidValueError as refused:
                wrong = f"{refused}; give the name of a master, or the MAC of a pair in quotes"
                self.problems.append(document.problem(("master", name), (), wrong))
                return
        for key, value in body.items():
            self._take(document, name, self.values.setdefault(known, {}), key, value)
            yield

    def _take(self, document: TomlDocument, name: str, values: dict[str, Any], key: str, value: object) -> None:
        path: tuple[str | int, ...] = (key,)
        if key not in KEYS:
            wrong = "no such key; " + suggest(key, KEYS, "{}", "the keys of a master are")
        else:
            try:
                values[key] = KEYS[key].kind.take(value)
                return
            except InvalidKeyError as refused:
                wrong, path = str(refused), (key, *refused.path)
            except InvalidValueError as refused:
                wrong = f"{refused}; give {KEYS[key].kind.describe()}"
        self.problems.append(document.problem(("master", name), path, wrong))

    def residences(self) -> dict[str, Residence]:
        """Return what the tables say; for a document without problems."""
        return {name: Residence(**values) for name, values in self.values.items()}


def told(residence: Residence | None) -> Mapping[str, str]:
    """Return every key with its value in TOML's types, "" for none, for the reload's log lines."""
    found = residence or Residence()
    return {"namespace": str(found.namespace or ""), "when_gone": found.when_gone}
