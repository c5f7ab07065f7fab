"""TOML documents to a Config, or to all of their problems.

Documents are laid over each other key by key, later over earlier; a list replaces a list. Each document is checked in
full, also where a later one overrides it: a mistake in it would otherwise break a start on the day that the drop-in
above it is removed. Pure: bytes and mappings in, a Config out; `load` opens the files.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from math import log2
from typing import TYPE_CHECKING, Any

from failoverd.config.bounds import DEEPEST, MOST_PROBLEMS, deepest_brackets, long_number, more, too_deep
from failoverd.config.document import TomlDocument, spell, suggest
from failoverd.config.errors import ConfigError, Problem
from failoverd.config.keys import WITHIN, header, table
from failoverd.config.kinds import InvalidValueError, show
from failoverd.config.locate import Places
from failoverd.config.spec import Config, Damping, Etcd
from failoverd.dataclass import dataclass

if TYPE_CHECKING:
    from failoverd.config.links.read import Drafts
    from failoverd.config.residence import Drafts as Residences

_KEYS = table(Config)
_ENDPOINT = re.compile(r"(https?://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}/?")


@dataclass(slots=True)
class _Draft:
    """The result so far: accepted values by section, the document that gave each, and the problems."""

    values: dict[str, dict[str, Any]] = field(default_factory=lambda: {section: {} for section in _KEYS})
    givers: dict[tuple[str, str], TomlDocument] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    links: Drafts | None = None
    """The [link.NAME] tables, if there are any."""
    residences: Residences | None = None
    """The [master.NAME] tables, if there are any."""


def parse(file: str, raw: bytes) -> TomlDocument:
    """Parse the bytes of `file`. Raises ConfigError."""
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{raw[error.start]:02x} is not UTF-8, which TOML must be; save the file as UTF-8"
        raise ConfigError([Problem(file, line, "", wrong)]) from None
    if line := too_deep(text):
        wrong = f"a key has more than {DEEPEST} words with dots between; no section and no key of failoverd has"
        raise ConfigError([Problem(file, line, "", wrong)])
    try:
        return TomlDocument(file, tomllib.loads(text), Places(text))
    except RecursionError:
        wrong = "brackets are nested too deeply; no key takes more than one list"
        raise ConfigError([Problem(file, deepest_brackets(text), "", wrong)]) from None
    except ValueError as error:
        raise ConfigError([_syntax_problem(file, text, str(error))]) from None


def build(documents: Iterable[TomlDocument]) -> Config:
    """Return the configuration from all the documents together, with defaults for the rest. Raises ConfigError."""
    draft = _Draft()
    for document in documents:
        _lay_over(draft, document)
    defaults = Config()
    sections = {name: replace(getattr(defaults, name), **values) for name, values in draft.values.items()}
    config = replace(defaults, **sections)
    problems = draft.problems or list(_contradictions(config, draft.givers))
    if draft.links:
        config = replace(config, declared=draft.links.declared(problems))
    if draft.residences:
        config = replace(config, residences=draft.residences.residences())
    if problems:
        raise ConfigError(problems)
    return config


def _syntax_problem(file: str, text: str, message: str) -> Problem:
    """Return a syntax error as a problem. tomllib puts the place in its message: "... (at line 3, column 5)" or "...
    (at end of document)"."""
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    if not place:
        line = long_number(text)
        return Problem(file, line, "", "a number has too many digits" if line else f"this is not TOML: {message}")
    line = int(place[1]) if place[1] else text.rstrip().count("\n") + 1
    said = message[: place.start()] + (place[0] if place[1] else "")
    return Problem(file, line, "", f"this is not TOML: {said}; mend the line")


def _lay_over(draft: _Draft, document: TomlDocument) -> None:
    before = len(draft.problems)
    for _ in _each_taken(draft, document):
        if len(draft.problems) - before >= MOST_PROBLEMS:
            draft.problems.append(more(document.file))
            return


def _each_taken(draft: _Draft, document: TomlDocument) -> Iterator[None]:
    """Take one key after the other, and yield after each."""
    for section, body in document.tree.items():
        if not isinstance(body, Mapping):
            draft.problems.append(_no_table(document, section, body))
        elif section == "link":
            yield from _lay_links_over(draft, document, body)
        elif section not in _KEYS or section in WITHIN:
            draft.problems.append(document.problem((section,), (), "no such section; " + _near_section(section)))
        else:
            yield from _each_of(draft, document, section, body)
        yield


def _each_of(draft: _Draft, document: TomlDocument, section: str, body: Mapping[str, object]) -> Iterator[None]:
    """Take the keys of a section, and those of a section within it."""
    for key, value in body.items():
        inner = f"{section}_{key}"
        if section == "master" and key not in _KEYS[section] and isinstance(value, Mapping):
            yield from _lay_residence_over(draft, document, key, value)
        elif inner not in WITHIN:
            _take(draft, document, section, key, value)
        elif isinstance(value, Mapping):
            yield from _each_of(draft, document, inner, value)
        else:
            wrong = f"{show(value)} is no section; write [{section}.{key}], then its keys"
            draft.problems.append(document.problem((section,), (key,), wrong))
        yield


def _lay_links_over(draft: _Draft, document: TomlDocument, body: Mapping[str, object]) -> Iterator[None]:
    if draft.links is None:
        from failoverd.config.links.read import Drafts

        draft.links = Drafts(draft.problems)
    return draft.links.lay_over(document, body)


def _lay_residence_over(draft: _Draft, document: TomlDocument, name: str, body: Mapping[str, object]) -> Iterator[None]:
    if draft.residences is None:
        from failoverd.config.residence import Drafts

        draft.residences = Drafts(draft.problems)
    return draft.residences.lay_over(document, name, body)


def _near_section(name: str) -> str:
    known = [".".join(header(section)) for section in _KEYS]
    return suggest(name, [*known, "link"], "[{}]", "the sections are").replace("[link]", "[link.NAME]")


def _written(section: str) -> str:
    return f"[{'.'.join(header(section))}]"


def _no_table(document: TomlDocument, name: str, body: object) -> Problem:
    """Return the problem with a top-level key: a section given a value, or a key outside every section."""
    if name in _KEYS:
        return document.problem((name,), (), f"{show(body)} is no section; write [{name}], then its keys")
    if name == "link":
        return document.problem((name,), (), f"{show(body)} is no link; write [link.NAME], then its keys")
    homes = [section for section, keys in _KEYS.items() if name in keys]
    advice = f"put it below {_written(homes[0])}" if homes else _near_section(name)
    line = document.places.line((name,))
    return Problem(document.file, line, spell(name), f"stands outside every section; {advice}")


def _take(draft: _Draft, document: TomlDocument, section: str, key: str, value: object) -> None:
    entry = _KEYS[section].get(key)
    if entry is None:
        draft.problems.append(document.problem(header(section), (key,), "no such key; " + _advice(section, key)))
        return
    try:
        draft.values[section][key] = entry.kind.take(value)
    except InvalidValueError as refused:
        draft.problems.append(document.problem(header(section), (key,), f"{refused}; give {entry.kind.describe()}"))
    else:
        draft.givers[section, key] = document


def _advice(section: str, key: str) -> str:
    homes = [home for home, keys in _KEYS.items() if key in keys]
    if homes:
        return f"it belongs below {_written(homes[0])}"
    links = "; a link is a [link.NAME]" if section == "links" else ""
    return suggest(key, _KEYS[section], "{}", f"the keys of {_written(section)} are") + links


def _contradictions(config: Config, givers: Mapping[tuple[str, str], TomlDocument]) -> Iterator[Problem]:
    """Yield the problems of keys that contradict each other, each blamed on a file that gave one of them."""
    join, pairing = config.join, config.pairing
    if join.retry_max < join.retry:
        key = "retry_max" if ("join", "retry_max") in givers else "retry"
        wrong = f"retry_max ({join.retry_max:g}) is less than retry ({join.retry:g}); make it as much"
        yield givers["join", key].problem(("join",), (key,), wrong)
    yield from _of_damping(config.damping, givers)
    yield from _of_path(config.path.targets, givers)
    yield from _of_etcd(config.etcd, givers)
    if not pairing.paravirtual_buses and not pairing.paravirtual_drivers:
        wrong = "paravirtual_drivers is empty too, so no NIC would ever be paired; name a bus or a driver"
        yield givers["pairing", "paravirtual_buses"].problem(("pairing",), ("paravirtual_buses",), wrong)


def _of_path(targets: tuple[str, ...], givers: Mapping[tuple[str, str], TomlDocument]) -> Iterator[Problem]:
    """Check that targets are addresses: a name would have to be looked up through the path that is in question."""
    for word in targets:
        if word != "gateway" and not _is_address(word):
            wrong = f'{show(word)} is no IP address; give addresses, or "gateway"'
            yield givers["path", "targets"].problem(("path",), ("targets",), wrong)


def _is_address(word: str) -> bool:
    try:
        return "%" not in word and bool(ipaddress.ip_address(word))
    except ValueError:
        return False


def _of_etcd(etcd: Etcd, givers: Mapping[tuple[str, str], TomlDocument]) -> Iterator[Problem]:
    """Check that etcd can be reached with what is given."""
    for word in etcd.endpoints:
        if not _ENDPOINT.fullmatch(word):
            wrong = f'{show(word)} is no endpoint; give "https://HOST:PORT", "http://HOST:PORT" or "HOST:PORT"'
            yield givers["etcd", "endpoints"].problem(("etcd",), ("endpoints",), wrong)
    if etcd.enabled and not etcd.endpoints:
        yield givers["etcd", "enabled"].problem(("etcd",), ("enabled",), "there are no endpoints; give them, too")
    for key, other in (("cert", "key"), ("key", "cert"), ("user", "password_file"), ("password_file", "user")):
        if getattr(etcd, key) and not getattr(etcd, other):
            yield givers["etcd", key].problem(("etcd",), (key,), f"it needs {other} beside it; give that, too")


def _of_damping(damping: Damping, givers: Mapping[tuple[str, str], TomlDocument]) -> Iterator[Problem]:
    """Check that damping can suppress a VF, and for more than a moment."""
    given = [key for section, key in givers if section == "damping"]
    if damping.reuse >= damping.suppress:
        key = "reuse" if "reuse" in given else "suppress"
        wrong = f"reuse ({damping.reuse}) is not less than suppress ({damping.suppress}); make it less"
        yield givers["damping", key].problem(("damping",), (key,), wrong)
    elif damping.max_suppress <= (least := damping.half_life * log2(damping.suppress / damping.reuse)):
        key = next(key for key in ("max_suppress", "half_life", "suppress", "reuse") if key in given)
        wrong = f"max_suppress ({damping.max_suppress:g}) is too short for any VF to be suppressed; "
        wrong += f"make it more than {least:g}"
        yield givers["damping", key].problem(("damping",), (key,), wrong)
